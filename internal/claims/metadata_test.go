package claims

import (
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/pipeline-storage/pipeline-storage/internal/claimtest"
	"github.com/pipeline-storage/pipeline-storage/internal/kube"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// TestAnyClassFitsWhereTheClusterChooses: the API server has filled in the class of an existing claim.
func TestAnyClassFitsWhereTheClusterChooses(t *testing.T) {
	t.Parallel()

	wanted := claimtest.Claim()
	wanted.Spec.StorageClassName = nil
	none := claimtest.Claim()
	none.Spec.StorageClassName = nil
	for name, existing := range map[string]*corev1.PersistentVolumeClaim{
		"the default of that day": claimtest.Claim(claimtest.Class("gp2")),
		"the empty class":         claimtest.Claim(claimtest.Class("")),
		"none yet":                none,
	} {
		assert.Empty(t, misfits(existing, wanted), name)
		assert.Empty(t, differences(existing, wanted), name)
	}
	assert.Equal(t, []string{"its volumeMode is Block, but pods mount a file system"},
		misfits(claimtest.Claim(claimtest.Block), wanted), "everything else counts")
}

func TestClassesWithOtherTopologiesDiffer(t *testing.T) {
	t.Parallel()

	class := func(terms ...corev1.TopologySelectorTerm) *storagev1.StorageClass {
		return &storagev1.StorageClass{AllowedTopologies: terms}
	}
	term := func(expressions ...corev1.TopologySelectorLabelRequirement) corev1.TopologySelectorTerm {
		return corev1.TopologySelectorTerm{MatchLabelExpressions: expressions}
	}
	zone := corev1.TopologySelectorLabelRequirement{Key: "zone", Values: []string{"a", "b"}}
	rack := corev1.TopologySelectorLabelRequirement{Key: "rack", Values: []string{"1"}}
	assert.Empty(t, classDifferences(class(term(zone), term(rack)), class(term(zone), term(rack))))
	assert.Equal(t, []string{"its allowedTopologies are unlimited, not zone=a,b and rack=1"},
		classDifferences(class(), class(term(zone, rack))))
	assert.Equal(t, []string{"its allowedTopologies are zone=a,b or rack=1, not zone=a,b and rack=1"},
		classDifferences(class(term(zone), term(rack)), class(term(zone, rack))))
}

// TestLacking: what is there has another owner, whatever its value is.
func TestLacking(t *testing.T) {
	t.Parallel()

	own := map[string]string{"team": "{namespace}", "stage": "test", "same": "x", "empty": ""}
	wanted := map[string]string{"team": "ml", "stage": "test", "same": "x", "empty": "", storage.LabelProfile: "a"}
	missing, different := lacking("label", own, map[string]string{"stage": "prod", "same": "x", "other": "y"}, wanted)
	assert.Equal(t, kube.Fields{"team": "ml", "empty": ""}, missing)
	assert.Equal(t, []string{`its label stage is "prod", not "test"`}, different)

	missing, different = lacking("label", nil, nil, wanted)
	assert.Empty(t, missing)
	assert.Empty(t, different)
}
