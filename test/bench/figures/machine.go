// Package figures holds what the benchmarks share: the spread of a figure over the rounds, and what
// the figures depend on.
package figures

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

const unknown = "unknown"

// Machine is what the figures depend on.
type Machine struct{ GoVersion, Kernel, CPU string }

// Describe names the machine without naming its owner.
func Describe() Machine {
	return Machine{GoVersion: runtime.Version(), Kernel: firstLine("/proc/sys/kernel/osrelease"), CPU: cpu()}
}

// String is one line for a report.
func (m Machine) String() string {
	return fmt.Sprintf("%s, Linux %s, %s", m.GoVersion, m.Kernel, m.CPU)
}

// cpu is the number of CPUs and their model.
func cpu() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return unknown
	}
	return fmt.Sprintf("%d x %s", runtime.NumCPU(), model(string(text)))
}

// model finds the model's name in the text of /proc/cpuinfo.
func model(cpuinfo string) string {
	for line := range strings.Lines(cpuinfo) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return unknown
}

// Load is the load average of the last one, five and fifteen minutes, or "unknown".
func Load() string {
	fields := strings.Fields(firstLine("/proc/loadavg"))
	if len(fields) < 3 {
		return unknown
	}
	return strings.Join(fields[:3], " ")
}

// firstLine of a file, or "unknown" where the file does not exist.
func firstLine(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return unknown
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}
