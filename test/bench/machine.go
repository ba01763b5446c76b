package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

const unknown = "unknown"

// machine is what the figures depend on.
type machine struct{ goVersion, kernel, cpu string }

// describe names the machine without naming its owner.
func describe() machine {
	return machine{goVersion: runtime.Version(), kernel: firstLine("/proc/sys/kernel/osrelease"), cpu: cpu()}
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

// load is the load average of the last one, five and fifteen minutes.
func load() string {
	fields := strings.Fields(firstLine("/proc/loadavg"))
	if len(fields) < 3 {
		return unknown
	}
	return strings.Join(fields[:3], " ")
}

// firstLine of a file, or "unknown" where there is none.
func firstLine(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return unknown
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}
