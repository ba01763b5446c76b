package parts

import "strings"

// part is how one program is built: without cgo, as its own project releases it, unless it needs a
// library.
type part struct {
	// module is the directory under tools/ with the go.mod that pins the program.
	module string
	pkg    string
	stamps []stamp
	// tags are build tags, separated by commas.
	tags string
	// library is what the program is linked with, by cgo.
	library *library
	// asset is set for the programs that envtest also provides.
	asset bool
	// cpu is how many seconds of CPU time the build takes on an empty cache after the parts above it.
	// helm3, kubelet, runc and what is named kube- are measured. The others are computed from the sources
	// that no part above compiles: measured builds take 3.3 s for each megabyte, and the linker some seconds.
	cpu int
}

// stamp sets a variable of the program to something of a pinned module's version, so that a new pin
// cannot leave a program that reports the old version.
type stamp struct {
	variable string
	module   string
	value    func(version string) string
}

const (
	kubeVersion = "k8s.io/component-base/version."
	kubernetes  = "k8s.io/kubernetes"
	clientGo    = "k8s.io/client-go"
	helm3       = "helm.sh/helm/v3"
	helm4       = "helm.sh/helm/v4"
	golangciV2  = "github.com/golangci/golangci-lint/v2"
	containerd  = "github.com/containerd/containerd/v2"
	cniPlugins  = "github.com/containernetworking/plugins/plugins/"
	prometheus  = "github.com/prometheus/prometheus/cmd/prometheus"

	csiProvisioner = "github.com/kubernetes-csi/external-provisioner/v6"
	csiSnapshotter = "github.com/kubernetes-csi/external-snapshotter/v8"

	// Features that a node of the tests does not use, or that need libraries.
	containerdTags = "no_btrfs,no_devmapper,no_zfs,no_aufs"
)

var (
	// Without these the API server reports v0.0.0, and Helm refuses each chart that requires a
	// minimum version.
	kubeStamps = []stamp{
		{kubeVersion + "gitVersion", kubernetes, whole},
		{kubeVersion + "gitMajor", kubernetes, kubeMajor},
		{kubeVersion + "gitMinor", kubernetes, minor},
	}

	// Without these "helm template" and "helm lint" assume Kubernetes 1.20. Helm 4 reads its own
	// build information instead.
	helm3Stamps = []stamp{
		{helm3 + "/internal/version.version", helm3, whole},
		{helm3 + "/pkg/chartutil.k8sVersionMajor", clientGo, kubeMajor},
		{helm3 + "/pkg/chartutil.k8sVersionMinor", clientGo, minor},
		{helm3 + "/pkg/lint/rules.k8sVersionMajor", clientGo, kubeMajor},
		{helm3 + "/pkg/lint/rules.k8sVersionMinor", clientGo, minor},
	}

	table = map[string]part{
		"helm3": {module: "helm3", pkg: helm3 + "/cmd/helm", stamps: helm3Stamps, cpu: 135},
		"helm4": {
			module: "helm4", pkg: helm4 + "/cmd/helm", cpu: 130,
			stamps: []stamp{{helm4 + "/internal/version.version", helm4, whole}},
		},

		"etcd": {module: "controlplane", pkg: "go.etcd.io/etcd/server/v3", asset: true, cpu: 40},
		"kube-apiserver": {
			module: "controlplane", pkg: kubernetes + "/cmd/kube-apiserver", stamps: kubeStamps, asset: true, cpu: 381,
		},
		"kube-controller-manager": {
			module: "controlplane", pkg: kubernetes + "/cmd/kube-controller-manager", stamps: kubeStamps, cpu: 88,
		},
		"kube-scheduler": {module: "controlplane", pkg: kubernetes + "/cmd/kube-scheduler", stamps: kubeStamps, cpu: 16},
		"kubectl":        {module: "kubectl", pkg: ".", cpu: 18},
		"kustomize":      {module: ".", pkg: "sigs.k8s.io/kustomize/kustomize/v5", cpu: 8},
		"helm-unittest":  {module: "chart", pkg: "github.com/helm-unittest/helm-unittest/cmd/helm-unittest", cpu: 15},
		"controller-gen": {module: "chart", pkg: "sigs.k8s.io/controller-tools/cmd/controller-gen", cpu: 13},
		"promql":         {module: "chart", pkg: ".", cpu: 18},
		"prometheus":     {module: "prom", pkg: prometheus, tags: "remove_all_sd", cpu: 150},
		"kyverno":        {module: "kyverno", pkg: ".", cpu: 14},
		"image":          {module: "image", pkg: ".", cpu: 35},
		"gotestsum":      {module: ".", pkg: "gotest.tools/gotestsum", cpu: 7},
		"golangci-lint": {
			module: "lint", pkg: golangciV2 + "/cmd/golangci-lint", cpu: 100,
			// It reports its version only if it has a date too.
			stamps: []stamp{{"main.version", golangciV2, bare}, {"main.date", golangciV2, whole}},
		},
		"yq":          {module: ".", pkg: "github.com/mikefarah/yq/v4", cpu: 30},
		"gofumpt":     {module: ".", pkg: "mvdan.cc/gofumpt", cpu: 3},
		"benchstat":   {module: ".", pkg: "golang.org/x/perf/cmd/benchstat", cpu: 3},
		"sbom":        {module: "release", pkg: ".", cpu: 4},
		"actionlint":  {module: "release", pkg: "github.com/rhysd/actionlint/cmd/actionlint", cpu: 8},
		"govulncheck": {module: "release", pkg: "golang.org/x/vuln/cmd/govulncheck", cpu: 8},
		"kubelet":     {module: "controlplane", pkg: kubernetes + "/cmd/kubelet", stamps: kubeStamps, cpu: 43},
		"containerd": {
			module: "node", pkg: containerd + "/cmd/containerd", tags: containerdTags, cpu: 62,
			stamps: []stamp{{containerd + "/version.Version", containerd, whole}},
		},
		"containerd-shim-runc-v2": {
			module: "node", pkg: containerd + "/cmd/containerd-shim-runc-v2", tags: containerdTags, cpu: 6,
		},
		"ctr": {module: "node", pkg: containerd + "/cmd/ctr", tags: containerdTags, cpu: 6},
		// Without the tag it refuses each pod with a seccomp profile.
		"runc": {
			module: "node", pkg: "github.com/opencontainers/runc", tags: "seccomp", cpu: 22,
			library: &library{name: "libseccomp", debian: "libseccomp-dev"},
		},
		"bridge":     {module: "node", pkg: cniPlugins + "main/bridge", cpu: 2},
		"host-local": {module: "node", pkg: cniPlugins + "ipam/host-local", cpu: 2},
		"loopback":   {module: "node", pkg: cniPlugins + "main/loopback", cpu: 2},

		"local-path-provisioner": {module: "localpath", pkg: "github.com/rancher/local-path-provisioner", cpu: 95},
		"sh":                     {module: "localpath", pkg: ".", cpu: 4},

		"csi":                 {module: "csi", pkg: ".", cpu: 5},
		"csi-provisioner":     {module: "csi", pkg: csiProvisioner + "/cmd/csi-provisioner", cpu: 110},
		"csi-snapshotter":     {module: "csi", pkg: csiSnapshotter + "/cmd/csi-snapshotter", cpu: 20},
		"snapshot-controller": {module: "csi", pkg: csiSnapshotter + "/cmd/snapshot-controller", cpu: 10},
	}
)

func whole(version string) string { return version }

func bare(version string) string { return strings.TrimPrefix(version, "v") }

// kubeMajor is 1 for all of Kubernetes: its libraries are numbered v0.37 where the release is
// v1.37.
func kubeMajor(string) string { return "1" }

func minor(version string) string { return strings.Split(version, ".")[1] }
