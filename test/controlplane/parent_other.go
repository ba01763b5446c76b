//go:build !linux

package controlplane

import "syscall"

// dieWithParent does nothing here: only Linux can tie a process to its parent. A killed test
// program leaves its parts.
func dieWithParent() *syscall.SysProcAttr {
	return nil
}
