package app

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// underHelm reports whether Helm, not a person, reads what the program prints. The flag --helm
// states it. A plugin such as helm-diff sets HELM_BIN. Plain Helm 3 sets nothing: the parent
// process shows it, on Linux. Version is that of --helm, 0 when the flag is not set. It can
// return false under Helm, as on Windows: then the output for people fails as YAML, see notYAML.
func underHelm(version int) bool {
	return version != 0 || os.Getenv("HELM_BIN") != "" || os.Getenv("HELM_PLUGIN_DIR") != "" || parentIsHelm()
}

// parentIsHelm reports whether the parent process is called helm, helm3 or the like. It works on
// Linux. Without /proc it returns false.
func parentIsHelm() bool {
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", os.Getppid()))
	return err == nil && strings.HasPrefix(filepath.Base(exe), "helm")
}

// reportPastHelm writes messages, a line each, where the person at the keyboard sees them. Helm 4
// drops the standard error of a post-renderer, whether that fails or not
// (internal/plugin/runtime_subprocess.go); its own is still open, and where the system does not show
// that, there may be a terminal. It is a best effort and returns no error: the exit code reports a
// failure in any case. It writes to the first of the two places that accepts the messages. No
// messages write nothing.
func reportPastHelm(messages string) {
	if messages == "" {
		return
	}
	var text strings.Builder
	for line := range strings.Lines(messages) {
		text.WriteString("pipeline-storage: " + line)
	}
	for _, name := range []string{fmt.Sprintf("/proc/%d/fd/2", os.Getppid()), "/dev/tty"} {
		if isFile(os.Stderr, name) {
			return // it is the standard error of this program, too
		}
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			continue
		}
		_, err = f.WriteString(clearOf(f) + text.String())
		if closeErr := f.Close(); err == nil && closeErr == nil {
			return
		}
	}
}

// clearOf returns blanks in front of a message to a regular file, and nothing for every other
// file. A file that is opened again has an offset of its own, so that Helm writes its next line
// over the beginning. Terminals and pipes have no offset.
func clearOf(f *os.File) string {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return ""
	}
	return strings.Repeat(" ", helmsOwnLines) + "\n"
}

// helmsOwnLines is more than Helm writes behind the messages of a post-renderer. Those lines then overwrite
// blanks instead of the message.
const helmsOwnLines = 4096
