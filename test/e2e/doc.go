// Package e2e tests the product as users have it, on a real node: the image, built from the
// Dockerfile, installed by Helm from the chart, beside a real provisioner; pods that write, are
// deleted, and read again what they wrote. See packages cluster and node
// for what is real.
//
//	go test ./test/e2e                     # the short form: minutes
//	go test ./test/e2e -timeout 90m -args -full   # all of it
//	go test ./test/e2e -run TestCostOf -v -timeout 90m -args -cost FILE   # what it costs: figures, no proof
//
// It needs Linux and root. On other machines every test is skipped, with a message: see
// cluster.RequireEnv.
//
// # How to write a test
//
// Each test begins with [requireNode], or with [requireFull] if it takes more than about half a
// minute. The cluster is shared, with one installation of the chart, release ps in the namespace
// storage, whose values are testdata/values.yaml. A test that harms either of them must not be
// parallel and must restore them; all others call t.Parallel and have a namespace of their own:
//
//	func TestDataIsFoundAgain(t *testing.T) {
//		requireNode(t)
//		t.Parallel()
//		namespace := newNamespace(t)
//
//		written := last[file](t, runPod(t, namespace, boxPod("writer", "write", "/data", "numbers", "1048576")))
//		deletePod(t, namespace, "writer")
//		found := last[verified](t, runPod(t, namespace, boxPod("reader", "verify", "/data")))
//		require.Equal(t, []file{written}, found.Files)
//	}
//
// [boxPod] is a pod with the label, as users write it: without a volume. Change it before it is
// created as a test needs. [withoutStorageLabel] removes the label. The comment of package box has
// the commands of the box program; its output is file, verified, trained, recorded, owned and identity
// here, one JSON object a line.
//
//   - [runPod] and [runJob] create, wait for the end, and return the log; they fail the test if the
//     program failed, and then the test's output has the pod, its events and its log. [tryPod]
//     returns the phase instead.
//   - [startPod] creates and waits until all containers run. [deletePod] deletes and waits until it
//     no longer exists.
//   - [logs] is a pod's log so far; [last] decodes its last line, [every] all lines.
//   - [created] creates a pod and returns it as it was admitted.
//   - shared.Node kills and restarts (Kill, Restart, Crash, Boot; shared.AwaitNode), shared.Plane
//     kills and revives the control plane, shared.SlowAPI makes the API server slow for pods,
//     shared.Plane.Audit returns all requests.
package e2e
