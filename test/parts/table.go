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
		"helm3": {module: "helm3", pkg: helm3 + "/cmd/helm", stamps: helm3Stamps},
		"helm4": {
			module: "helm4", pkg: helm4 + "/cmd/helm",
			stamps: []stamp{{helm4 + "/internal/version.version", helm4, whole}},
		},

		"kustomize":      {module: ".", pkg: "sigs.k8s.io/kustomize/kustomize/v5"},
		"yq":             {module: ".", pkg: "github.com/mikefarah/yq/v4"},
		"gotestsum":      {module: ".", pkg: "gotest.tools/gotestsum"},
		"gofumpt":        {module: ".", pkg: "mvdan.cc/gofumpt"},
		"benchstat":      {module: ".", pkg: "golang.org/x/perf/cmd/benchstat"},
		"helm-unittest":  {module: "chart", pkg: "github.com/helm-unittest/helm-unittest/cmd/helm-unittest"},
		"promql":         {module: "chart", pkg: "."},
		"controller-gen": {module: "chart", pkg: "sigs.k8s.io/controller-tools/cmd/controller-gen"},
		"golangci-lint": {
			module: "lint", pkg: golangciV2 + "/cmd/golangci-lint",
			// It reports its version only if it has a date too.
			stamps: []stamp{{"main.version", golangciV2, bare}, {"main.date", golangciV2, whole}},
		},

		"image": {module: "image", pkg: "."},

		"etcd": {module: "controlplane", pkg: "go.etcd.io/etcd/server/v3", asset: true},
		"kube-apiserver": {
			module: "controlplane", pkg: kubernetes + "/cmd/kube-apiserver", stamps: kubeStamps, asset: true,
		},
		"kube-controller-manager": {
			module: "controlplane", pkg: kubernetes + "/cmd/kube-controller-manager", stamps: kubeStamps,
		},
		"kube-scheduler": {module: "controlplane", pkg: kubernetes + "/cmd/kube-scheduler", stamps: kubeStamps},
		"kubectl":        {module: "kubectl", pkg: "."},

		"kubelet": {module: "controlplane", pkg: kubernetes + "/cmd/kubelet", stamps: kubeStamps},
		"containerd": {
			module: "node", pkg: containerd + "/cmd/containerd", tags: containerdTags,
			stamps: []stamp{{containerd + "/version.Version", containerd, whole}},
		},
		"containerd-shim-runc-v2": {module: "node", pkg: containerd + "/cmd/containerd-shim-runc-v2", tags: containerdTags},
		"ctr":                     {module: "node", pkg: containerd + "/cmd/ctr", tags: containerdTags},
		// Without the tag it refuses each pod with a seccomp profile.
		"runc": {
			module: "node", pkg: "github.com/opencontainers/runc", tags: "seccomp",
			library: &library{name: "libseccomp", debian: "libseccomp-dev"},
		},
		"bridge":     {module: "node", pkg: cniPlugins + "main/bridge"},
		"host-local": {module: "node", pkg: cniPlugins + "ipam/host-local"},
		"loopback":   {module: "node", pkg: cniPlugins + "main/loopback"},

		"local-path-provisioner": {module: "localpath", pkg: "github.com/rancher/local-path-provisioner"},
		"gosh":                   {module: "localpath", pkg: "mvdan.cc/sh/v3/cmd/gosh"},
	}
)

func whole(version string) string { return version }

func bare(version string) string { return strings.TrimPrefix(version, "v") }

// kubeMajor is 1 for all of Kubernetes: its libraries are numbered v0.37 where the release is
// v1.37.
func kubeMajor(string) string { return "1" }

func minor(version string) string {
	_, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")

	return minor
}
