package webhook

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/test/cluster"
)

const (
	configKey    = "config.yaml"
	misspelt     = "sise"
	refusedGauge = "pipeline_storage_config_refused"
	movedPath    = "/moved"
)

// configurationBroken edits the ConfigMap: an invalid file changes nothing and is reported in every
// place that users check, and a valid one comes into force in the same processes.
func configurationBroken(t *testing.T, s *site) {
	running := s.replicas()
	original := s.configuration(t)
	moved := withPath(t, original, movedPath)

	// Invalid in one field, and with another path in a valid field: no part of this file may be in
	// force.
	s.configure(t, moved+misspelt+": 1\n")
	for _, p := range running {
		s.awaitConfiguration(t, p, 1, misspelt)
		s.awaitRefusal(t, p)
	}
	path, err := s.admit(t.Context())
	require.NoError(t, err)
	assert.Equal(t, mountPath, path, "the configuration before stays in force")
	require.NoError(t, s.areServing(t.Context()), "an invalid file must not end the replicas")

	s.configure(t, moved)
	for _, p := range running {
		s.awaitConfiguration(t, p, 0, "configuration: ok\n")
	}
	path, err = s.admit(t.Context())
	require.NoError(t, err)
	assert.Equal(t, movedPath, path, "the new one is in force everywhere")

	s.configure(t, original)
	cluster.Eventually(t, "the first configuration should be in force again", func(ctx context.Context) error {
		for _, p := range running { // each has loaded two files since the invalid one
			if taken, err := metric(ctx, p, `pipeline_storage_config_reloads_total{result="ok"}`); err != nil || taken < 2 {
				return fmt.Errorf("%s has loaded %v files, %w", p.Pod, taken, err)
			}
		}
		return nil
	})
	path, err = s.admit(t.Context())
	require.NoError(t, err)
	assert.Equal(t, mountPath, path)
	assert.Equal(t, running, s.replicas(), "nothing was restarted")
}

func (s *site) configuration(t *testing.T) string {
	t.Helper()
	stored, err := s.Client.CoreV1().ConfigMaps(releaseNamespace).Get(t.Context(), deployment, metav1.GetOptions{})
	require.NoError(t, err)
	return stored.Data[configKey]
}

func (s *site) configure(t *testing.T, text string) {
	t.Helper()
	stored, err := s.Client.CoreV1().ConfigMaps(releaseNamespace).Get(t.Context(), deployment, metav1.GetOptions{})
	require.NoError(t, err)
	stored.Data[configKey] = text
	_, err = s.Client.CoreV1().ConfigMaps(releaseNamespace).Update(t.Context(), stored, metav1.UpdateOptions{})
	require.NoError(t, err)
}

// withPath returns the configuration with another mount path of its first profile.
func withPath(t *testing.T, text, path string) string {
	t.Helper()
	var file struct {
		APIVersion string           `json:"apiVersion"`
		Kind       string           `json:"kind"`
		Profiles   []map[string]any `json:"profiles"`
	}
	require.NoError(t, yaml.UnmarshalStrict([]byte(text), &file))
	mount, ok := file.Profiles[0]["mount"].(map[string]any)
	require.True(t, ok)
	mount["path"] = path
	changed, err := yaml.Marshal(file)
	require.NoError(t, err)
	return string(changed)
}

// awaitConfiguration waits until a replica, which stays ready all the time, reports the result for
// its file.
func (s *site) awaitConfiguration(t *testing.T, p cluster.Process, refused float64, detail string) {
	t.Helper()
	cluster.Eventually(t, p.Pod+" should report the result for its file", func(ctx context.Context) error {
		status, text, err := get(ctx, p, healthPort, "/readyz?verbose")
		if err != nil {
			return err
		}
		require.Equal(t, http.StatusOK, status, text)
		gauge, err := metric(ctx, p, refusedGauge)
		if err == nil && (gauge != refused || !strings.Contains(text, detail)) {
			err = fmt.Errorf("%s is %v, with the body %q", refusedGauge, gauge, text)
		}
		return err
	})
}

// awaitRefusal waits for the Event with the reason, and checks that it is a warning about the
// replica's own pod.
func (s *site) awaitRefusal(t *testing.T, p cluster.Process) {
	t.Helper()
	cluster.Eventually(t, "there should be an Event on "+p.Pod, func(ctx context.Context) error {
		events, err := s.Client.EventsV1().Events(releaseNamespace).List(ctx,
			metav1.ListOptions{FieldSelector: "reason=ConfigurationRefused"})
		if err != nil {
			return err
		}
		for i := range events.Items {
			if e := &events.Items[i]; e.Regarding.Kind == "Pod" && e.Regarding.Name == p.Pod {
				assert.Equal(t, corev1.EventTypeWarning, e.Type)
				assert.Contains(t, e.Note, misspelt)
				return nil
			}
		}
		return fmt.Errorf("none of %d Events is about it", len(events.Items))
	})
}
