package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// devices are what a program may expect below /dev.
var devices = []string{"null", "zero", "full", "random", "urandom"}

// start starts the process in the pod's network and in a mount namespace of its own, in which the
// root file system holds the program, the pod's volumes and what every image has, in memory.
//
// The namespaces belong to a thread, which is made for this and stays for as long as the process
// lives. So the process ends with this program. The thread ends then, because no other goroutine
// may run in there.
func (l launch) start() (*started, error) {
	if !isolated {
		return nil, errNoNamespaces
	}

	s := &started{done: make(chan struct{})}
	begun := make(chan error)

	go func() {
		runtime.LockOSThread() // never unlocked

		err := l.begin(s)
		begun <- err

		if err != nil {
			return
		}

		_ = s.cmd.Wait() // the state has everything

		s.mutex.Lock()
		s.state = s.cmd.ProcessState
		s.mutex.Unlock()

		close(s.done)
	}()

	return s, <-begun
}

func (l launch) begin(s *started) error {
	log, err := os.OpenFile(l.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, fileMode)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	defer log.Close()

	if err := l.separate(); err != nil {
		return err
	}

	if err := l.mountRoot(); err != nil {
		return err
	}

	s.cmd = exec.Command(l.argv[0], l.argv[1:]...)
	s.cmd.Path = l.argv[0] // a path in the container: do not search for it here
	s.cmd.Err = nil
	s.cmd.Env = l.env
	s.cmd.Dir = l.dir
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{
		Chroot: l.root, Pdeathsig: syscall.SIGKILL, Setpgid: true, Credential: l.user.credential(),
	}

	return s.cmd.Start()
}

// separate gives this thread the namespaces of the container.
func (l launch) separate() error {
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC); err != nil {
		return fmt.Errorf("make namespaces: %w", err)
	}

	if err := unix.Sethostname([]byte(l.hostname)); err != nil {
		return fmt.Errorf("name the host: %w", err)
	}

	// Only of this thread; what it starts inherits it. Every container is hardened like this:
	// nothing here needs setuid.
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid new privileges: %w", err)
	}

	if l.sandbox == nil {
		return nil
	}

	if err := unix.Setns(int(l.sandbox.namespace.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the network of the pod: %w", err)
	}

	return nil
}

func (l launch) mountRoot() error {
	if err := unix.Mount("tmpfs", l.root, "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("mount the root: %w", err)
	}

	if err := l.writeRoot(); err != nil {
		return fmt.Errorf("write the root: %w", err)
	}

	binds := []mount{{source: l.program, target: l.entrypoint}, {source: "/proc", target: "/proc"}}
	for _, device := range devices {
		binds = append(binds, mount{source: "/dev/" + device, target: "/dev/" + device})
	}

	for _, m := range append(binds, l.mounts...) {
		if err := l.bind(m); err != nil {
			return err
		}
	}

	if !l.readOnlyRoot {
		return nil
	}

	if err := unix.Mount("", l.root, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("make the root read-only: %w", err)
	}

	return nil
}

// writeRoot writes what a distroless image and the kubelet would.
func (l launch) writeRoot() error {
	files := map[string]string{ //nolint:gosec // no password is in this passwd
		"etc/passwd":      "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n",
		"etc/group":       "root:x:0:\nnonroot:x:65532:\n",
		"etc/hosts":       fmt.Sprintf("127.0.0.1\tlocalhost\n%s\t%s\n", l.address, l.hostname),
		"etc/hostname":    l.hostname + "\n",
		"etc/resolv.conf": "", // there is no name server
	}

	failed := []error{os.Mkdir(filepath.Join(l.root, "etc"), dirMode)}
	for name, text := range files {
		failed = append(failed, os.WriteFile(filepath.Join(l.root, name), []byte(text), fileMode))
	}

	temp := filepath.Join(l.root, "tmp")

	return errors.Join(append(failed, os.Mkdir(temp, dirMode), os.Chmod(temp, os.ModeSticky|os.ModePerm))...)
}

// bind mounts what m names below the root, where it creates what is missing.
func (l launch) bind(m mount) error {
	target := filepath.Join(l.root, m.target)
	if !strings.HasPrefix(target, l.root+"/") {
		return fmt.Errorf("mount %s: it is outside of the container", m.target)
	}

	info, err := os.Stat(m.source)
	if err != nil {
		return fmt.Errorf("mount %s: %w", m.target, err)
	}

	if err := makeTarget(target, info.IsDir()); err != nil {
		return fmt.Errorf("mount %s: %w", m.target, err)
	}

	if err := unix.Mount(m.source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount %s: %w", m.target, err)
	}

	if !m.readOnly {
		return nil
	}

	if err := unix.Mount("", target, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("mount %s read-only: %w", m.target, err)
	}

	return nil
}

func makeTarget(target string, directory bool) error {
	if directory {
		return os.MkdirAll(target, dirMode)
	}

	if err := os.MkdirAll(filepath.Dir(target), dirMode); err != nil {
		return err
	}

	file, err := os.OpenFile(target, os.O_CREATE|os.O_WRONLY, fileMode)
	if err != nil {
		return err
	}

	return file.Close()
}

// credential is nil where the namespace has no other users than root.
func (i identity) credential() *syscall.Credential {
	if !hasUsers() {
		return nil
	}

	return &syscall.Credential{Uid: i.user, Gid: i.group, Groups: i.groups}
}

// hasUsers reports whether processes and files can belong to users other than that of this process.
var hasUsers = sync.OnceValue(func() bool {
	var inside, outside, length int

	text, err := os.ReadFile("/proc/self/uid_map")
	if err != nil || os.Getuid() != 0 {
		return false
	}

	_, err = fmt.Sscan(string(text), &inside, &outside, &length)

	return err == nil && length > 1
})
