// Package kube holds the plumbing that several controllers share: the API types that a program
// uses, metadata-only objects, recommended labels, Events, and the MutatingWebhookConfiguration of
// the own installation.
//
// It makes no decision about storage, pods or claims, and imports no other package of this module.
package kube
