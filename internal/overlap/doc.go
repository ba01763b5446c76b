// Package overlap finds other installations that select pods that this one selects, by a webhook or
// by policies. Both would mount storage in these pods, each by its own configuration.
//
// It compares the selectors of the MutatingWebhookConfigurations and MutatingAdmissionPolicies with the
// labels of the cluster's namespaces. Everything is in the manager's cache; only an installation with
// a webhook lists the policies, of which it has no cache. It changes no object. Every
// replica compares, so that /readyz and the gauge report an overlap on each; the leader also logs
// it and sends an Event.
package overlap
