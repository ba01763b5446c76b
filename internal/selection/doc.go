// Package selection finds which pods an installation selects: by the webhooks of its
// MutatingWebhookConfiguration, or, in policy mode, by its MutatingAdmissionPolicy and the bindings
// of that. Both become the same rules, so that nothing else has to distinguish the two modes.
//
// A [Source] names where a program finds its own selection. It reads caches, and changes no object.
package selection
