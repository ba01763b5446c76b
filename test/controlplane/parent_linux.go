package controlplane

import "syscall"

// dieWithParent makes the kernel end a part when the test program dies without a Stop, as on a
// timeout.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
