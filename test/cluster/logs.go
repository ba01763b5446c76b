package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const logTail = 4096

// reportLogs prints the end of each log of a failed run and saves them, also those of pods that no longer exist.
func reportLogs(dir string) {
	logs := logFiles(dir)
	for _, log := range logs {
		text, err := os.ReadFile(log)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		fmt.Fprintf(os.Stderr, "end of the log %s:\n%s\n", logName(log), text[max(0, len(text)-logTail):])
	}
	suite.SaveLogs(os.Stderr, os.TempDir(), func(saved string) error { return copyLogs(logs, saved) })
}

// logFiles are the logs of the parts, those of pods, and those of a control plane that was not stopped, because the
// tests panicked or were killed.
func logFiles(dir string) []string {
	nodes, _ := filepath.Glob(filepath.Join(dir, logsDir, "*.log"))
	pods, _ := filepath.Glob(filepath.Join(dir, logsDir, "pods", "*", "*", "*.log"))
	planes, _ := filepath.Glob(filepath.Join(dir, tempDir, "*", "*.log"))
	return slices.Concat(nodes, pods, planes)
}

func copyLogs(logs []string, dir string) error {
	var failed []error
	for _, log := range logs {
		text, err := os.ReadFile(log)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, logName(log)), text, fileMode)
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// logName is the name of a log in a directory with all of them: that of a pod is POD_CONTAINER_NUMBER.log.
func logName(file string) string {
	_, pod, found := strings.Cut(file, "/"+logsDir+"/pods/")
	if !found {
		return filepath.Base(file)
	}
	return strings.ReplaceAll(pod, "/", "_")
}
