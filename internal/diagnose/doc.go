// Package diagnose finds why pods wait for their storage: the problem, and the one next step.
//
// It is pure. The claims controller and the status command read the cluster, each in its own way,
// and call it. So an Event and the command have the same sentence.
package diagnose
