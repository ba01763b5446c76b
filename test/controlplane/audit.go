package controlplane

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

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

// AuditEvent is a request that the API server answered.
type AuditEvent struct {
	AuditID string `json:"auditID"`
	// Verb is get, list, watch, create, update, patch, delete or deletecollection.
	Verb       string `json:"verb"`
	RequestURI string `json:"requestURI"`
	// User made the request; Impersonated is the user that it was made as, if any.
	User         AuditUser  `json:"user"`
	Impersonated *AuditUser `json:"impersonatedUser"`
	UserAgent    string     `json:"userAgent"`
	// Object is the object of the request, or nil for a request without one, such as /healthz.
	Object *AuditObject `json:"objectRef"`
	// Status has the code of the answer.
	Status struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
	Received time.Time `json:"requestReceivedTimestamp"`
	Answered time.Time `json:"stageTimestamp"`
}

// AuditUser is a user of the API server.
type AuditUser struct {
	Username string   `json:"username"`
	Groups   []string `json:"groups"`
}

// AuditObject names an object, or all of a kind without a Name.
type AuditObject struct {
	Resource    string `json:"resource"`
	Namespace   string `json:"namespace"`
	Name        string `json:"name"`
	APIGroup    string `json:"apiGroup"`
	Subresource string `json:"subresource"`
}

// Actor is the user for whom a request counts: the impersonated one, or else the user itself.
func (e AuditEvent) Actor() string {
	if e.Impersonated != nil {
		return e.Impersonated.Username
	}
	return e.User.Username
}

// Audit returns the requests to an API server with Options.AuditLog so far, in the order of the
// answers. Requests that were under way when the API server was killed are not in it.
func (c *ControlPlane) Audit() ([]AuditEvent, error) {
	files, err := filepath.Glob(c.file("audit*.json"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("read the audit log: it is not enabled: %w", os.ErrNotExist)
	}
	var events []AuditEvent
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read the audit log: %w", err)
		}
		// A line may be incomplete: the API server writes at this moment, or was killed while it
		// did.
		for line := range bytes.Lines(text) {
			var event AuditEvent
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
