package controlplane

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

const (
	auditFile       = "audit.json"
	auditPolicyFile = "audit-policy.yaml"

	// Each request once, when it was answered, without its content.
	auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules: [{level: Metadata}]
`
)

// Actor is the user for whom a request counts: the impersonated one, or else the user itself.
func Actor(e auditv1.Event) string { return cmp.Or(e.ImpersonatedUser, &e.User).Username }

// Audit returns the requests to an API server with Options.AuditLog so far, in the order of the
// answers. Requests that were under way when the API server was killed are not in it.
func (c *ControlPlane) Audit() ([]auditv1.Event, error) {
	files, err := filepath.Glob(c.file("audit*.json"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("read the audit log: it is not enabled: %w", os.ErrNotExist)
	}
	var events []auditv1.Event
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read the audit log: %w", err)
		}
		// A line may be incomplete: the API server writes at this moment, or was killed while it
		// did.
		for line := range bytes.Lines(text) {
			var event auditv1.Event
			if json.Unmarshal(line, &event) == nil {
				events = append(events, event)
			}
		}
	}
	return events, nil
}

func (c *ControlPlane) configureAudit(flags *envtest.Arguments) error {
	flags.Set("audit-policy-file", c.file(auditPolicyFile))
	flags.Set("audit-log-path", c.file(auditFile))
	flags.Set("audit-log-maxsize", "1000") // megabytes, before it begins another file
	if err := os.WriteFile(c.file(auditPolicyFile), []byte(auditPolicy), privateFile); err != nil {
		return fmt.Errorf("write the audit policy: %w", err)
	}
	return nil
}
