package main

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write the expected files of the scripts")

// dialEnv has the test program contact a network in place of running tests.
const dialEnv = "POSTRENDER_TEST_DIAL"

// TestMain lets the scripts run the command itself.
func TestMain(m *testing.M) {
	if os.Getenv(dialEnv) != "" {
		withoutNetwork(dial)()
		return
	}
	testscript.Main(m, map[string]func(){"postrender": withoutNetwork(main)})
}

// TestScripts shows what the command does, one behavior a file.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			for _, name := range []string{"HELM_BIN", "HELM_PLUGIN_DIR", "NO_COLOR", "GOGC"} {
				env.Setenv(name, "")
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"closed-stdout": closedStdout,
			"write":         writeEscaped,
		},
	})
}

// closedStdout runs "closed-stdout INPUT STDERR COMMAND...": the command's standard output is a
// pipe without a reader.
func closedStdout(ts *testscript.TestScript, neg bool, args []string) {
	in, err := os.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	defer func() { _ = in.Close() }()
	reader, writer, err := os.Pipe()
	ts.Check(err)
	ts.Check(reader.Close())
	defer func() { _ = writer.Close() }()
	path := ""
	for dir := range strings.SplitSeq(ts.Getenv("PATH"), string(os.PathListSeparator)) {
		if _, err := os.Stat(dir + "/" + args[2]); err == nil {
			path = dir + "/" + args[2]
			break
		}
	}
	var stderr strings.Builder
	command := exec.Command(path, args[3:]...)
	command.Stdin, command.Stdout, command.Stderr = in, writer, &stderr
	err = command.Run()
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(stderr.String()), 0o644))
	var exit *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &exit):
		ts.Check(err)
	case exit != nil && exit.ExitCode() < 0:
		ts.Fatalf("killed by a signal: %v", exit)
	case (exit != nil) != neg:
		ts.Fatalf("exit %v, standard error: %s", exit, stderr.String())
	}
}

// escapes are the bytes that a script cannot hold.
var escapes = strings.NewReplacer(`\0`, "\x00", `\xff`, "\xff", `\xfe`, "\xfe", `\t`, "\t", `\r`, "\r", `\n`, "\n")

// writeEscaped runs "write FILE TEXT".
func writeEscaped(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: write FILE TEXT")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(escapes.Replace(args[1])), 0o644))
}
