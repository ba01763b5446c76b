package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// withoutNetwork runs the command where the kernel ends a process that opens a socket. So every script shows that
// the command contacts no network, which docs/threat-model.md promises.
func withoutNetwork(command func()) func() {
	return func() {
		if err := denySockets(); err != nil {
			fmt.Fprintln(os.Stderr, "deny sockets:", err)
			os.Exit(3) //nolint:forbidigo // as main does
		}
		command()
	}
}

// denySockets has the kernel end this process, all its threads, when it calls socket(2).
func denySockets() error {
	const number = 0 // the offset of the call's number in struct seccomp_data
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: number},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_SOCKET, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_KILL_PROCESS},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	runtime.LockOSThread() // both calls, by one thread
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&program))) //nolint:gosec // the kernel reads a struct
	if errno != 0 {
		return errno
	}
	return nil
}

// dial is a command that contacts a network.
func dial() {
	if connection, err := net.Dial("tcp", "127.0.0.1:9"); err == nil {
		_ = connection.Close()
	}
}

func TestSocketEndsCommand(t *testing.T) {
	t.Parallel()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), dialEnv+"=1")
	require.EqualError(t, command.Run(), "signal: bad system call")
}
