package node

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Process is a process of a pod, as the machine sees it.
type Process struct {
	PID int
	// Name is that of its program, cut off after 15 letters.
	Name string
}

// Usage is what a process or a pod has used. Memory of a process is its resident memory; that of a
// pod is what the kernel counts, with the page cache.
type Usage struct {
	Memory int64
	CPU    time.Duration
}

// Processes returns the processes of a pod without the one that holds its namespaces.
func (n *Node) Processes(pod types.UID) ([]Process, error) {
	dir, err := n.podGroup("memory", pod)
	if err != nil {
		return nil, err
	}

	var all []Process

	groups := os.DirFS(dir)
	err = fs.WalkDir(groups, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Name() != procsFile {
			return ignoreMissing(err)
		}

		text, err := fs.ReadFile(groups, path)
		if err != nil {
			return ignoreMissing(err)
		}

		for word := range strings.FieldsSeq(string(text)) {
			pid, err := strconv.Atoi(word)
			if err != nil {
				return err
			}

			name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
			if err != nil {
				continue // it has ended meanwhile
			}

			if p := (Process{PID: pid, Name: strings.TrimSpace(string(name))}); p.Name != "pause" {
				all = append(all, p)
			}
		}

		return nil
	})
	slices.SortFunc(all, func(a, b Process) int { return a.PID - b.PID })

	return all, err
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV) {
		return nil
	}

	return err
}

// Usage returns what a pod has used so far, all its containers together.
func (n *Node) Usage(pod types.UID) (Usage, error) {
	memoryFile, cpuFile := "memory.usage_in_bytes", "cpuacct.usage"
	if unified() {
		memoryFile, cpuFile = "memory.current", "cpu.stat"
	}

	memory, err := n.podFile("memory", pod, memoryFile)
	if err != nil {
		return Usage{}, err
	}

	cpu, err := n.podFile("cpuacct", pod, cpuFile)
	if err != nil {
		return Usage{}, err
	}

	used := Usage{Memory: memory, CPU: time.Duration(cpu)}
	if unified() { // in microseconds there
		used.CPU *= time.Microsecond
	}

	return used, nil
}

// podFile returns the first number of a file.
func (n *Node) podFile(controller string, pod types.UID, name string) (int64, error) {
	dir, err := n.podGroup(controller, pod)
	if err != nil {
		return 0, err
	}

	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return 0, fmt.Errorf("read what the pod %s used: %w", pod, err)
	}

	for word := range bytes.FieldsSeq(text) {
		if number, err := strconv.ParseInt(string(word), 10, 64); err == nil {
			return number, nil
		}
	}

	return 0, fmt.Errorf("read what the pod %s used: %s is %q", pod, name, text)
}

// podGroup returns the control group of a pod, whose path depends on the pod's quality of service.
func (n *Node) podGroup(controller string, pod types.UID) (string, error) {
	dir := filepath.Join(groupsDir, controller, n.options.Group, "kubepods")
	if unified() {
		dir = filepath.Join(groupsDir, n.options.Group, "kubepods")
	}

	for _, pattern := range []string{"pod" + string(pod), "*/pod" + string(pod)} {
		if found, err := filepath.Glob(filepath.Join(dir, pattern)); err == nil && len(found) == 1 {
			return found[0], nil
		}
	}

	return "", fmt.Errorf("the pod %s has no control group: it does not run", pod)
}

// Stat returns what a process has used so far. pid is as the machine sees it: see Processes and
// PID.
func Stat(pid int) (Usage, error) {
	const (
		hertz     = 100 // USER_HZ, the same on all platforms of Linux that matter
		userField = 11  // after the name, which may have blanks
	)

	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Usage{}, fmt.Errorf("read what the process %d used: %w", pid, err)
	}

	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))

	var ticks int64

	for _, field := range fields[userField : userField+2] {
		number, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return Usage{}, fmt.Errorf("read what the process %d used: %w", pid, err)
		}

		ticks += number
	}

	pages, err := strconv.ParseInt(fields[21], 10, 64)
	if err != nil {
		return Usage{}, fmt.Errorf("read what the process %d used: %w", pid, err)
	}

	return Usage{
		Memory: pages * int64(os.Getpagesize()), CPU: time.Duration(ticks) * time.Second / hertz,
	}, nil
}
