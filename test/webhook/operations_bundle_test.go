package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// without returns the certificates that are not in the other list.
func without(certs, others []*x509.Certificate) []*x509.Certificate {
	return slices.DeleteFunc(slices.Clone(certs), func(c *x509.Certificate) bool {
		return slices.ContainsFunc(others, c.Equal)
	})
}

// servesOnly returns an error unless the CAs alone verify what every replica serves.
func (s *site) servesOnly(ctx context.Context, roots []*x509.Certificate) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	for _, replica := range s.Replicas {
		connection, err := (&tls.Dialer{Config: s.trusting(roots)}).DialContext(ctx, "tcp", replica.Reviews)
		if err != nil {
			return fmt.Errorf("connect to %s: %w", replica.Pod, err)
		}
		_ = connection.Close()
	}
	return nil
}

// bundleWiped removes the trust of API servers: only the webhook itself can restore it.
func bundleWiped(t *testing.T, s *site) {
	before, err := s.caBundle(t.Context())
	require.NoError(t, err)
	for name, patch := range map[string]string{
		"a third party removes it": `[{"op":"remove","path":"/webhooks/0/clientConfig/caBundle"}]`,
		"a third party replaces it": fmt.Sprintf(`[{"op":"replace","path":"/webhooks/0/clientConfig/caBundle","value":%q}]`,
			base64.StdEncoding.EncodeToString(suite.Plane(t).CA)),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Client.AdmissionregistrationV1().MutatingWebhookConfigurations().
				Patch(t.Context(), s.configuration(), types.JSONPatchType, []byte(patch), metav1.PatchOptions{})
			require.NoError(t, err)
			begun := time.Now()
			suite.Eventually(t, "the caBundle should be repaired", func(ctx context.Context) error {
				live, err := s.caBundle(ctx)
				if err != nil {
					return err
				}
				return s.servesOnly(ctx, without(live, without(live, before)))
			})
			t.Logf("repaired after %s", time.Since(begun).Round(time.Millisecond))
		})
	}
}
