package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	configKey = "config.yaml"
	misspelt  = "sise"
	movedPath = "/moved"

	refusedGauge  = "pipeline_storage_config_refused"
	reloadedTotal = `pipeline_storage_config_reloads_total{result="ok"}`
)

// configurationBroken edits the ConfigMap: an invalid file changes nothing and is reported in every
// place that users check, and a valid one comes into force in the same processes.
func configurationBroken(t *testing.T, s *installation, namespace string) {
	running := s.processes(t)
	original := s.configuration(t)
	moved := withPath(t, original, movedPath)

	// Invalid in one field, and with another path in a valid field: no part of this file may be in
	// force.
	s.configure(t, moved+misspelt+": 1\n")
	s.awaitConfiguration(t, 1, 0, misspelt)
	s.awaitRefusals(t)
	require.NoError(t, admit(t.Context(), shared.Client, namespace), "the configuration before stays in force")
	require.NoError(t, s.areServing(t.Context()), "an invalid file must not end the replicas")

	s.configure(t, moved)
	s.awaitConfiguration(t, 0, 1, "configuration: ok\n")
	require.NoError(t, admitAt(t.Context(), shared.Client, namespace, movedPath), "the new one is in force everywhere")

	s.configure(t, original)
	s.awaitConfiguration(t, 0, 2, "configuration: ok\n")
	require.NoError(t, admit(t.Context(), shared.Client, namespace), "the first one is in force again")
	assert.Equal(t, running, s.processes(t), "nothing was restarted")
}

func (i *installation) configuration(t *testing.T) string {
	t.Helper()
	stored, err := shared.Client.CoreV1().ConfigMaps(i.releaseNamespace).Get(t.Context(), i.deployment,
		metav1.GetOptions{})
	require.NoError(t, err)
	return stored.Data[configKey]
}

// configure changes the configuration, and the annotations of the pods: for a pod that has changed,
// the kubelet updates the files at once and not in its next round.
func (i *installation) configure(t *testing.T, text string) {
	t.Helper()
	maps := shared.Client.CoreV1().ConfigMaps(i.releaseNamespace)
	stored, err := maps.Get(t.Context(), i.deployment, metav1.GetOptions{})
	require.NoError(t, err)
	stored.Data[configKey] = text
	_, err = maps.Update(t.Context(), stored, metav1.UpdateOptions{})
	require.NoError(t, err)
	pods, err := i.pods(t.Context())
	require.NoError(t, err)
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"example.com/configured":%q}}}`, time.Now())
	for k := range pods {
		_, err := shared.Client.CoreV1().Pods(i.releaseNamespace).Patch(t.Context(), pods[k].Name, types.MergePatchType,
			patch, metav1.PatchOptions{})
		require.NoError(t, err)
	}
}

// withPath returns the configuration with another mount path of its first profile.
func withPath(t *testing.T, text, path string) string {
	t.Helper()
	var file map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(text), &file))
	profile, ok := file["profiles"].([]any)[0].(map[string]any)
	require.True(t, ok)
	profile["mount"] = map[string]any{"path": path}
	changed, err := yaml.Marshal(file)
	require.NoError(t, err)
	return string(changed)
}

// awaitConfiguration waits until every replica, which stays ready all the time, reports what has
// become of its file, and how many files it has loaded.
func (i *installation) awaitConfiguration(t *testing.T, refused, loaded float64, detail string) {
	t.Helper()
	pods, err := i.pods(t.Context())
	require.NoError(t, err)
	for k := range pods {
		suite.Eventually(t, pods[k].Name+" should report the result for its file", func(ctx context.Context) error {
			status, text, err := get(ctx, &pods[k], healthPort, "/readyz?verbose")
			if err != nil {
				return err
			}
			require.Equal(t, http.StatusOK, status, text)
			gauge, err := metric(ctx, &pods[k], refusedGauge)
			if err != nil {
				return err
			}
			total, err := metric(ctx, &pods[k], reloadedTotal)
			if err == nil && (gauge != refused || total < loaded || !strings.Contains(text, detail)) {
				err = fmt.Errorf("%s is %v after %v files, and /readyz is %q", refusedGauge, gauge, total, text)
			}
			return err
		})
	}
}

// awaitRefusals waits for a warning about every replica's own pod.
func (i *installation) awaitRefusals(t *testing.T) {
	t.Helper()
	pods, err := i.pods(t.Context())
	require.NoError(t, err)
	suite.Eventually(t, "there should be an Event on every pod", func(ctx context.Context) error {
		events, err := shared.Client.EventsV1().Events(i.releaseNamespace).List(ctx,
			metav1.ListOptions{FieldSelector: "reason=ConfigurationRefused,reportingController=pipeline-storage"})
		if err != nil {
			return err
		}
		warned := map[string]bool{}
		for k := range events.Items {
			if e := &events.Items[k]; e.Regarding.Kind == "Pod" {
				assert.Equal(t, corev1.EventTypeWarning, e.Type)
				assert.Contains(t, e.Note, misspelt)
				warned[e.Regarding.Name] = true
			}
		}
		for k := range pods {
			if !warned[pods[k].Name] {
				return fmt.Errorf("none of %d Events is about %s", len(events.Items), pods[k].Name)
			}
		}
		return nil
	})
}
