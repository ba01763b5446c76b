// Package diagnose says why pods wait for their storage: what is wrong, and the one thing to do next. It is pure: the claims
// controller and the status command read the cluster, each in its own way, and ask here, so that an Event and the command
// say the same sentence.
package diagnose
