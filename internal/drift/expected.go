package drift

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	v1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/yaml"
)

// AnnotationInstalled is the annotation of the MutatingWebhookConfiguration that names the file it
// was installed with, by [Expected.Hash].
const AnnotationInstalled = "pipeline-storage.io/webhooks-sha256"

// Expected is what the chart installed.
type Expected struct {
	// Webhooks have the API's defaults.
	Webhooks []v1.MutatingWebhook
	// Hash is the SHA-256 of the file, in hexadecimal digits, without the white space at its ends.
	Hash string
}

// Parse reads the file of the expected webhooks: YAML with the one field webhooks, as a
// MutatingWebhookConfiguration has it. An unknown field is an error, and so is a file without
// webhooks.
func Parse(text []byte) (*Expected, error) {
	var file struct {
		Webhooks []v1.MutatingWebhook `json:"webhooks"`
	}
	if err := yaml.UnmarshalStrict(text, &file); err != nil {
		return nil, fmt.Errorf("parse the expected webhooks: %w", err)
	}
	if len(file.Webhooks) == 0 {
		return nil, errors.New("parse the expected webhooks: the file has none")
	}
	sum := sha256.Sum256(bytes.TrimSpace(text))
	return &Expected{Webhooks: defaulted(file.Webhooks), Hash: hex.EncodeToString(sum[:])}, nil
}

// installed reports whether the object was installed with this very file.
func (e *Expected) installed(live *v1.MutatingWebhookConfiguration) bool {
	return live.Annotations[AnnotationInstalled] == e.Hash
}
