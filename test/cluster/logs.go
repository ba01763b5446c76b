package cluster

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/pipeline-storage/pipeline-storage/test/process"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// reportLogs prints the end of each log of a failed run and saves them, also those of pods that no longer exist, as
// POD_CONTAINER_NUMBER.log, and those of a control plane that was not stopped, because the tests panicked or were
// killed.
func reportLogs(dir string) {
	pods := filepath.Join(dir, logsDir, "pods")
	logs := process.LogsIn(
		filepath.Join(dir, logsDir, "*"), filepath.Join(pods, "*", "*", "*"), filepath.Join(dir, tempDir, "*", "*"),
	)
	fmt.Fprintln(os.Stderr, logs.Tails())
	suite.SaveLogs(os.Stderr, logs, pods)
}
