// Package admission is the webhook's edge: it reads an AdmissionReview, lets pkg/inject decide, and
// writes the answer.
//
// [Handler] stands where controller-runtime's admission.Webhook would: that one decodes every
// review twice before a handler runs, which costs more than all the work here. The review is
// decoded once into the few fields that are read, nothing is marshalled back, nothing is compared,
// and nothing is requested from the API server: the handler has no side effects, and depends only on
// the review and on what is in memory. It takes no lock but the budget's, and waits for nothing but
// its lane and, where a profile selects namespaces, a new namespace.
//
// What admission.Webhook answers, this answers: a panic, a body that is empty, too large, of
// another type or no review, v1 and v1beta1. Where the review could be read, the answer carries its
// uid. The tests put both beside each other.
package admission
