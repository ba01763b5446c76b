// Package cluster is a Kubernetes cluster for tests on a bare machine: no container engine, no
// images, no root needed on most machines, no packet that leaves it. Programs under test run as the
// processes of pods, which Deployments make, which Helm installs.
//
//	var shared *cluster.Cluster
//
//	func TestMain(m *testing.M) {
//		os.Exit(cluster.Main(m, cluster.Setup{
//			Programs: map[string]string{"webhook": "../../cmd/webhook"},
//			Before: func(ctx context.Context, c *cluster.Cluster) error {
//				shared = c
//				c.Kubelet.Register("ghcr.io/pipeline-storage/webhook", cluster.Image{
//					Program: cluster.Program("webhook"), Entrypoint: "/webhook", User: 65532, Group: 65532,
//				})
//
//				return nil
//			},
//		}))
//	}
//
//	func TestInstall(t *testing.T) {
//		helm, err := shared.Helm(t.Context(), "helm4")
//		require.NoError(t, err)
//		_, err = helm.Install(t.Context(), "../../charts/pipeline-storage", "storage", "storage-system", "replicas=2")
//		require.NoError(t, err) // two processes run now, ready by their own probes, with addresses of their own
//	}
//
// # What is real
//
// etcd, kube-apiserver, kube-controller-manager, kube-scheduler and both Helms, built from pinned
// modules, see package controlplane. So are binding of claims, scheduling, rollouts, garbage
// collection, EndpointSlices, ServiceAccounts, tokens, RBAC and admission. The API server calls the
// Service of a webhook at the addresses of its ready endpoints.
//
// A pod with a registered image runs as one process for each container, in namespaces of its own: a
// network with a real address at a bridge, and a root file system that holds the program, the
// volumes of the pod, what a distroless image has, and nothing else. It runs as the user of the pod
// with the arguments, the environment, the ServiceAccount's token and the probes of the pod. It
// sees SIGTERM after its preStop hook, and SIGKILL when its time is over; a rollout waits for it.
//
// # What is simulated
//
// The Nodes are objects only. [Kubelet] watches the pods that are bound to them and does for them
// what a kubelet does: see its methods. It acts as an administrator, not as a node. It writes the
// volumes of kinds ConfigMap, Secret, projected, downward API and emptyDir; a claim is a directory
// in memory that all pods of the claim share, whatever its volume is. A changed ConfigMap is in the
// files within a moment, where a node takes up to two minutes. A process that ends is started again
// sooner than on a node.
//
// A container whose image is not registered has no process: it is reported as running and ready, in
// a Job as succeeded after a moment, or as [Kubelet.Pretend] decides.
//
// # What this cannot show
//
//   - Images: their layers, their pull, their labels. Only the program is real.
//   - Limits: no cgroup holds a process to its memory and CPU, so nothing is killed for memory.
//   - seccomp, AppArmor, SELinux; capabilities beyond that a process which is not root has none;
//     user namespaces.
//   - PID namespaces: a process is not PID 1, so that what it reports about itself is right.
//   - Virtual addresses of Services and names: there is no kube-proxy and no DNS. A pod reaches the
//     API server by its environment, and other pods by their addresses.
//   - NetworkPolicies. They are stored and not enforced.
//   - Mounts of real storage: no CSI driver, no fsGroup on a claim.
//   - exec, logs and port-forward of kubectl; exec and gRPC probes; exec hooks.
//
// # With a real node
//
// Options.RealNode has package node's real kubelet, containerd and runc in place of everything that
// is simulated, the image of the repository's Dockerfile, and the local-path provisioner from its
// own manifest. [Cluster.Node] is set then and [Cluster.Kubelet] is not. The pods reach the API
// server behind its Service, by a relay that [Cluster.SlowAPI] can slow down. It needs root: where
// it cannot be, every test that begins with [RequireNode] is skipped, and the run prints NOT
// COVERED with the reason; with the environment variable of [RequireEnv] it fails. After the run
// Main compares the machine with what it was, and fails the run when something remains or changed.
//
// # Where namespaces are not allowed
//
// Main enters a network and a mount namespace before the first test: as root directly, otherwise
// through a user namespace, in which all pods run as the only user there is. Where neither is
// allowed, [Isolated] is false: the control plane, the Nodes and pods without a program work, and a
// pod with a program stays Pending with the reason. A test may then run its program itself, on
// 127.0.0.1 with a file of [WriteKubeconfig], and reports by [Uncovered] what it did not show.
package cluster
