// Package drift compares the live MutatingWebhookConfiguration with the webhooks that the chart
// installed, reports every difference, and restores the webhooks where that is safe.
//
// In the certificate modes self and secret the program's ServiceAccount may patch this one object,
// to write its caBundle. A stolen token can therefore point the webhook at another server, or widen
// its rules and selectors, and no ValidatingAdmissionPolicy applies to webhook configurations.
// Source: Kubernetes, Validating Admission Policy (admission configurations are exempt).
//
// The chart renders the webhooks once, into the object and into a file of the program's ConfigMap.
// Every replica compares the two after the API's defaults; the caBundle is left out, because the
// package certificates maintains it.
//
// # When the webhooks are restored
//
// The leader restores the webhooks only when all of this holds:
//
//   - [Options.Repair] is set;
//   - the object's annotation [AnnotationInstalled] is the hash of this replica's file: a replica
//     with the file of another release never undoes an upgrade, because Helm writes annotation and
//     webhooks in one request;
//   - the difference has lasted [Options.RepairAfter], doubled after each repair up to an hour:
//     this ends a fight with another controller that also writes the object;
//   - the object exists and is not being deleted.
//
// Without the annotation (kustomize installs none, and an administrator may remove it) differences
// are reported only.
package drift
