package node

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Paths as the node sees them.
const (
	binDir           = "/node/bin"
	partsDir         = "/node/parts"
	firstProgram     = "init"
	archivePath      = "/node/images.tar"
	containerdConfig = "/etc/containerd/config.toml"
	containerdSocket = "/run/containerd/containerd.sock"
	networkDir       = "/etc/cni/net.d"
	kubeletConfig    = "/etc/kubernetes/kubelet.yaml"
	kubeconfigFile   = "/etc/kubernetes/kubeconfig"
	caFile           = "/etc/kubernetes/ca.crt"
	certFile         = "/etc/kubernetes/kubelet.crt"
	keyFile          = "/etc/kubernetes/kubelet.key"
	podLogs          = "/var/log/pods"
)

// containerdForm has the names of the sandbox image, of the directory of programs and of that of
// networks.
const containerdForm = `version = 4
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.nri.v1.nri", "io.containerd.image-verifier.v1.bindir", "io.containerd.monitor.container.v1.restart",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing",
]
[plugins.'io.containerd.server.v1.grpc']
  address = "%s"
[plugins.'io.containerd.internal.v1.opt']
  path = "/var/lib/containerd-opt"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "%s"
[plugins.'io.containerd.cri.v1.runtime']
  enable_criu = false
  # Root may lack CAP_SYS_RESOURCE, and then cannot make a process less likely to be killed than itself.
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
    BinaryName = "%s/runc"
    SystemdCgroup = false
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["%[3]s"]
  conf_dir = "%s"
`

// networkForm has the network of the pods. Nothing is masqueraded, which would need netfilter: no
// packet leaves the namespace.
const networkForm = `{"cniVersion": "1.0.0", "name": "pods", "plugins": [{
  "type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true, "ipMasq": false,
  "ipam": {"type": "host-local", "dataDir": "/run/cni-ipam", "ranges": [[{"subnet": "%s"}]],
    "routes": [{"dst": "0.0.0.0/0"}]}
}]}
`

// kubeletForm has the socket, the group, the address, the CA, the certificate and the key.
const kubeletForm = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://%s
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: /%s
enforceNodeAllocatable: []
failSwapOn: false
makeIPTablesUtilChains: false
address: %s
healthzBindAddress: %[3]s
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: %s}}
authorization: {mode: Webhook}
tlsCertFile: %s
tlsPrivateKeyFile: %s
resolvConf: /etc/resolv.conf
clusterDomain: cluster.local
podLogsDir: /var/log/pods
volumePluginDir: /var/lib/kubelet/volumeplugins
# The disk is the machine's: how full it is proves nothing about the node.
evictionHard: {memory.available: 1Mi, nodefs.available: 0%%, imagefs.available: 0%%, nodefs.inodesFree: 0%%}
imageGCHighThresholdPercent: 100
maxPods: 250
syncFrequency: 10s
nodeStatusUpdateFrequency: 5s
shutdownGracePeriod: 0s
# A container that ended is started again within moments, not within five minutes.
crashLoopBackOff: {maxContainerRestartPeriod: 2s}
# Tests create many pods at once.
kubeAPIQPS: 200
kubeAPIBurst: 400
eventRecordQPS: 0
registryPullQPS: 0
`

// program returns the path of a program in the node.
func program(name string) string {
	if strings.Contains(name, "/") {
		return name
	}

	return binDir + "/" + name
}

// environment is that of all programs of the node.
func environment() []string {
	return []string{"PATH=" + binDir + ":/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TMPDIR=/tmp"}
}

func (n *Node) kubeletArguments() []string {
	var labels []string
	for _, key := range slices.Sorted(maps.Keys(n.options.Labels)) {
		labels = append(labels, key+"="+n.options.Labels[key])
	}

	return []string{
		"--config=" + kubeletConfig, "--kubeconfig=" + kubeconfigFile, "--hostname-override=" + n.options.Name,
		"--node-ip=" + n.options.Address.String(), "--node-labels=" + strings.Join(labels, ","), "--v=2",
	}
}

// writeRoot writes the files that the node has on its disk.
func (n *Node) writeRoot() error {
	o := n.options

	files := map[string]string{ //nolint:gosec // no password is in this passwd
		containerdConfig: fmt.Sprintf(containerdForm, containerdSocket, PauseImage, binDir, networkDir),
		kubeletConfig: fmt.Sprintf(
			kubeletForm, containerdSocket, o.Group, o.Address, caFile, certFile, keyFile),
		networkDir + "/10-pods.conflist": fmt.Sprintf(networkForm, o.Pods),
		"/etc/resolv.conf":               "", // there is no name server
		"/etc/passwd":                    "root:x:0:0:root:/root:/bin/sh\n",
		"/etc/group":                     "root:x:0:\n",
		"/etc/hosts":                     "127.0.0.1 localhost\n",
		archivePath:                      "", // a mount point
	}

	failed := []error{os.MkdirAll(n.podLogs(), dirMode)}

	for path, text := range files {
		failed = append(failed, n.write(path, []byte(text), fileMode))
	}

	// Links to directories, because runc cannot begin from a file that is mounted by itself.
	for name, path := range n.machinePrograms() {
		failed = append(failed, os.MkdirAll(n.Path(partsDir+"/"+name), dirMode), os.MkdirAll(n.Path(binDir), dirMode),
			os.Symlink(filepath.Join(partsDir, name, filepath.Base(path)), n.Path(binDir+"/"+name)))
	}

	for _, dir := range []string{
		"/proc", "/sys", "/dev", "/run", "/root", "/tmp", "/var/lib/kubelet", "/var/log/containers", podLogs, "/opt", "/mnt",
		"/srv",
	} {
		failed = append(failed, os.MkdirAll(n.Path(dir), dirMode))
	}

	return errors.Join(append(failed, os.Chmod(n.Path("/tmp"), os.ModeSticky|os.ModePerm))...)
}

// machinePrograms are the programs of the node, as this process finds them.
func (n *Node) machinePrograms() map[string]string {
	all := maps.Clone(n.programs)
	all[firstProgram] = n.options.Box

	return all
}

// podLogs is the directory of the pods' logs, beside those of the parts.
func (n *Node) podLogs() string { return filepath.Join(n.options.Logs, "pods") }

func (n *Node) writeCredentials(c Credentials) error {
	return errors.Join(
		n.write(kubeconfigFile, c.Kubeconfig, privateMode), n.write(caFile, c.CA, fileMode),
		n.write(certFile, c.Cert, fileMode), n.write(keyFile, c.Key, privateMode),
	)
}

func (n *Node) write(path string, text []byte, mode os.FileMode) error {
	file := n.Path(path)
	if err := os.MkdirAll(filepath.Dir(file), dirMode); err != nil {
		return fmt.Errorf("write the files of the node: %w", err)
	}

	if err := os.WriteFile(file, text, mode); err != nil {
		return fmt.Errorf("write the files of the node: %w", err)
	}

	return nil
}
