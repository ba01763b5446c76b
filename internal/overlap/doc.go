// Package overlap finds other installations whose webhook selects pods that this one selects. Both
// would mount storage in these pods, each by its own configuration.
//
// It compares the selectors of the MutatingWebhookConfigurations with the labels of the cluster's
// namespaces, without a request: everything is in the manager's cache. It changes no object. Every
// replica compares, so that /readyz and the gauge report an overlap on each; the leader also logs
// it and sends an Event.
package overlap
