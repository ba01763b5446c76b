package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Logs are the files NAME.log of some directories.
type Logs []string

// LogsIn returns the logs that match patterns of [filepath.Match] without their ending, such as "/tmp/run/*".
func LogsIn(patterns ...string) Logs {
	var logs Logs
	for _, pattern := range patterns {
		found, _ := filepath.Glob(pattern + ".log")
		logs = append(logs, found...)
	}
	return logs
}

// Tails returns the last 4 KiB of each log, below a line with its path.
func (l Logs) Tails() string {
	var tails strings.Builder
	for _, log := range l {
		tails.WriteString(tail(filepath.Base(log), log) + "\n")
	}
	return tails.String()
}

// CopyTo copies all logs into a directory. The name of a copy is the log's path without the first of the
// roots that it begins with, and with _ in place of /.
func (l Logs) CopyTo(dir string, roots ...string) error {
	var failed []error
	for _, log := range l {
		text, err := os.ReadFile(log)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, copyName(log, roots)), text, logMode)
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

func copyName(log string, roots []string) string {
	for _, root := range roots {
		if rest, ok := strings.CutPrefix(log, root+"/"); ok {
			return strings.ReplaceAll(rest, "/", "_")
		}
	}
	return filepath.Base(log)
}

// tail returns the last 4 KiB of a log, below a line with the name.
func tail(name, log string) string {
	text, err := os.ReadFile(log)
	if err != nil {
		return fmt.Sprintf("the log of %s cannot be read: %v", name, err)
	}
	return fmt.Sprintf("end of the log of %s, %s:\n%s", name, log, text[max(0, len(text)-logTailSize):])
}
