package node

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// hostDirs are directories of the machine that the node sees and cannot change: runc and the
// kubelet need libraries and mount.
var hostDirs = []string{"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"}

// sysctls are values of the whole kernel that the kubelet sets when they differ. It sees files with
// the values that it wants.
var sysctls = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// space is the namespaces of a node, for as long as their first process lives.
type space struct {
	first *exec.Cmd
	ended chan struct{}
	// names are those of the namespaces, in the order in which a thread can enter them.
	namespaces []*os.File
}

var entered = []struct {
	name string
	kind int
}{{"ipc", unix.CLONE_NEWIPC}, {"uts", unix.CLONE_NEWUTS}, {"pid", unix.CLONE_NEWPID}, {"mnt", unix.CLONE_NEWNS}}

// newSpace makes the namespaces and starts the first process. They are made on a thread that stays
// for as long as the process lives, which ends with its thread, and so with this program.
func newSpace(n *Node) (*space, error) {
	s := &space{ended: make(chan struct{})}
	begun := make(chan error)

	onThread(func() {
		err := s.begin(n)
		begun <- err

		if err != nil {
			return
		}

		_ = s.first.Wait() // it is killed
		close(s.ended)
	})

	if err := <-begun; err != nil {
		return nil, err
	}

	if err := s.open(); err != nil {
		s.close()

		return nil, err
	}

	if err := s.within(hideSysctls); err != nil {
		s.close()

		return nil, err
	}

	return s, nil
}

func (s *space) begin(n *Node) error {
	const wanted = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC

	if err := unix.Unshare(wanted); err != nil {
		return fmt.Errorf("make namespaces for the node: %w", err)
	}

	if err := unix.Sethostname([]byte(n.options.Name)); err != nil {
		return fmt.Errorf("name the node: %w", err)
	}

	if err := n.mountRoot(); err != nil {
		return err
	}

	s.first = exec.Command(program(firstProgram))
	s.first.Env = environment()
	s.first.Stderr = os.Stderr
	s.first.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}

	out, err := s.first.StdoutPipe()
	if err != nil {
		return err
	}

	if err := s.first.Start(); err != nil {
		return fmt.Errorf("start the first process of the node: %w", err)
	}

	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		_ = s.first.Process.Kill()

		return fmt.Errorf("start the first process of the node: it printed %q: %w", line, errors.Join(err, s.first.Wait()))
	}

	return nil
}

// mountRoot makes the node's directory the root of this thread's mount namespace.
func (n *Node) mountRoot() error {
	root := n.options.Dir

	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("separate the mounts of the node: %w", err)
	}

	if err := unix.Mount(root, root, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount the root of the node: %w", err)
	}

	for _, mount := range n.mounts() {
		if err := mount(root); err != nil {
			return err
		}
	}

	if err := os.Chdir(root); err != nil {
		return err
	}

	// The old root ends up above the new one, and is unmounted.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("enter the root of the node: %w", err)
	}

	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave the root of the machine: %w", err)
	}

	// The kubelet shares mounts with containers.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share the mounts of the node: %w", err)
	}

	return os.Chdir("/")
}

// mounts are the mounts of the root in addition to its files.
func (n *Node) mounts() []func(root string) error {
	all := []func(string) error{
		bind("/sys", "/sys", unix.MS_REC), bind("/dev", "/dev", unix.MS_REC),
		memory("/dev/shm"), memory("/run"),
		bind(n.options.Archive, archivePath, 0),
		bind(n.podLogs(), podLogs, 0),
	}

	for name, path := range n.machinePrograms() {
		all = append(all, bind(filepath.Dir(path), partsDir+"/"+name, 0))
	}

	for _, name := range hostDirs {
		all = append(all, readOnlyMount("/"+name))
	}

	return all
}

func bind(source, target string, flags uintptr) func(string) error {
	return func(root string) error {
		if err := unix.Mount(source, filepath.Join(root, target), "", unix.MS_BIND|flags, ""); err != nil {
			return fmt.Errorf("mount %s for the node: %w", target, err)
		}

		return nil
	}
}

func memory(target string) func(string) error {
	return func(root string) error {
		if err := unix.Mount("tmpfs", filepath.Join(root, target), "tmpfs", 0, "mode=0755"); err != nil {
			return fmt.Errorf("mount %s for the node: %w", target, err)
		}

		return nil
	}
}

// readOnlyMount mounts a directory of the machine read-only, or copies it if it is a symbolic link.
func readOnlyMount(path string) func(string) error {
	return func(root string) error {
		target := filepath.Join(root, path)

		info, err := os.Lstat(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}

		if err != nil {
			return err
		}

		if info.Mode()&os.ModeSymlink != 0 {
			to, err := os.Readlink(path)
			if err != nil {
				return err
			}

			if err := os.Symlink(to, target); err != nil && !errors.Is(err, os.ErrExist) {
				return err
			}

			return nil
		}

		if err := os.MkdirAll(target, dirMode); err != nil {
			return err
		}

		if err := bind(path, path, unix.MS_REC)(root); err != nil {
			return err
		}

		return unix.Mount("", target, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
	}
}

func hideSysctls() error {
	const dir = "/run/sysctl"

	if err := os.MkdirAll(dir, dirMode); err != nil {
		return err
	}

	for name, value := range sysctls {
		target := filepath.Join("/proc/sys", name)
		if _, err := os.Stat(target); errors.Is(err, os.ErrNotExist) {
			continue
		}

		source := filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
		if err := os.WriteFile(source, []byte(value+"\n"), fileMode); err != nil {
			return err
		}

		if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("hide %s from the node: %w", name, err)
		}
	}

	return nil
}

// open holds the namespaces open.
func (s *space) open() error {
	for _, namespace := range entered {
		file, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", s.first.Process.Pid, namespace.name))
		if err != nil {
			return fmt.Errorf("find the namespaces of the node: %w", err)
		}

		s.namespaces = append(s.namespaces, file)
	}

	return nil
}

// enter moves this thread, which must not be used for anything else after.
func (s *space) enter() error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("enter the node: %w", err)
	}

	for i, namespace := range entered {
		if err := unix.Setns(int(s.namespaces[i].Fd()), namespace.kind); err != nil {
			return fmt.Errorf("enter the node: %s: %w", namespace.name, err)
		}
	}

	return nil
}

// start starts a command in the namespaces. It is a child of this program, and ends with the first
// process of the node.
func (s *space) start(command *exec.Cmd) error {
	// Its other files on the machine's disk are in the node.
	command.Err = nil
	command.Dir = "/"

	return s.within(command.Start)
}

func (s *space) within(do func() error) error {
	done := make(chan error)

	onThread(func() {
		if err := s.enter(); err != nil {
			done <- err

			return
		}

		done <- do()
	})

	return <-done
}

// close ends the first process and with it all others, and returns when they have ended.
func (s *space) close() {
	_ = s.first.Process.Kill()
	<-s.ended

	for _, file := range s.namespaces {
		_ = file.Close()
	}
}

// onThread runs a function on a thread that ends with it. It is never the main thread, which stands
// for the whole process in /proc and cannot end.
func onThread(run func()) {
	chosen := make(chan struct{})

	go func() {
		runtime.LockOSThread()

		if unix.Gettid() == unix.Getpid() {
			onThread(run) // on another thread, because this one is the main one
			close(chosen)
			runtime.UnlockOSThread()

			return
		}

		close(chosen)
		run() // never unlocked
	}()

	<-chosen
}
