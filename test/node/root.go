package node

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// Paths as the node sees them. The files in the directory root have some of them, too.
const (
	binDir           = "/node/bin"
	containerdConfig = "/etc/containerd/config.toml"
	kubeletConfig    = "/etc/kubernetes/kubelet.yaml"
	kubeconfigFile   = "/etc/kubernetes/kubeconfig"
	caFile           = "/etc/kubernetes/ca.crt"
	podLogs          = "/var/log/pods"

	dirMode     = 0o755
	fileMode    = 0o644
	privateMode = 0o600
)

var (
	// rootFiles are the configuration of the node, templates of Options.
	//
	//go:embed root
	rootFiles embed.FS

	rootDirs = []string{
		"/proc", "/sys", "/dev", "/run", "/root", "/tmp", "/var/lib/kubelet", "/var/log/containers", podLogs, "/opt", "/mnt",
		"/srv", binDir,
	}
	// machineDirs are directories of the machine that the node sees and cannot change: runc and the
	// kubelet need libraries and mount. Those that are symbolic links are links in the node.
	machineDirs = []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}
)

// writeRoot writes the files that the node has on its disk, and the directories for its mounts.
func (n *Node) writeRoot() error {
	failed := []error{os.MkdirAll(n.podLogs(), dirMode)}
	for _, dir := range append(n.visibleDirs(), rootDirs...) {
		failed = append(failed, os.MkdirAll(n.Path(dir), dirMode))
	}
	for _, dir := range machineDirs {
		if target, err := os.Readlink(dir); err == nil {
			failed = append(failed, os.Symlink(target, n.Path(dir)))
		}
	}
	for name, path := range n.programs {
		failed = append(failed, os.Symlink(path, n.Path(filepath.Join(binDir, name))))
	}
	return errors.Join(errors.Join(failed...), os.Chmod(n.Path("/tmp"), os.ModeSticky|os.ModePerm),
		fs.WalkDir(rootFiles, "root", n.writeForm))
}

// writeForm writes one of rootFiles.
func (n *Node) writeForm(path string, entry fs.DirEntry, err error) error {
	if err != nil || entry.IsDir() {
		return err
	}
	form, err := template.ParseFS(rootFiles, path)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := form.Execute(&text, map[string]any{
		"PauseImage": PauseImage, "Group": n.options.Group, "Address": n.options.Address, "Pods": n.options.Pods,
	}); err != nil {
		return err
	}
	return n.write(strings.TrimPrefix(path, "root"), text.Bytes(), fileMode)
}

// visibleDirs are the directories of the machine that are mounted in the node, under the same path and
// read-only.
func (n *Node) visibleDirs() []string {
	var dirs []string
	for _, dir := range machineDirs {
		if info, err := os.Lstat(dir); err == nil && info.IsDir() {
			dirs = append(dirs, dir)
		}
	}
	for _, path := range n.programs {
		dirs = append(dirs, filepath.Dir(path))
	}
	return dirs
}

// podLogs is the directory of the pods' logs, beside those of the parts.
func (n *Node) podLogs() string { return filepath.Join(n.options.Logs, "pods") }

func (n *Node) writeCredentials(c Credentials) error {
	return errors.Join(
		n.write(kubeconfigFile, c.Kubeconfig, privateMode), n.write(caFile, c.ClientCA, fileMode),
	)
}

func (n *Node) write(path string, text []byte, mode os.FileMode) error {
	file := n.Path(path)
	err := os.MkdirAll(filepath.Dir(file), dirMode)
	if err == nil {
		err = os.WriteFile(file, text, mode)
	}
	if err != nil {
		return fmt.Errorf("write the files of the node: %w", err)
	}
	return nil
}
