// Command localpath is the shell of the provisioner's helper pods, with the programs that their scripts call. It
// is the whole image of such a pod, and stands for busybox. Its module pins the provisioner.
//
//	sh FILE [ARGUMENT]...
//	sh -c COMMANDS
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"mvdan.cc/sh/moreinterp/coreutils"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

func main() {
	err := run(os.Args[1:])
	if err == nil {
		return
	}

	fmt.Fprintln(os.Stderr, "sh:", err)
	os.Exit(1)
}

// run runs a script with its arguments.
func run(args []string) error {
	if len(args) == 0 {
		return errors.New("usage: sh FILE [ARGUMENT], or sh -c COMMANDS")
	}

	if args[0] == "-c" && len(args) == 2 {
		return interpret(strings.NewReader(args[1]), "-c", nil)
	}

	file, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer file.Close()

	return interpret(file, args[0], args[1:])
}

// interpret runs a script that has a name and arguments.
func interpret(text io.Reader, name string, args []string) error {
	script, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(text, name)
	if err != nil {
		return err
	}

	runner, err := interp.New(
		interp.StdIO(nil, os.Stdout, os.Stderr), interp.Params(append([]string{"--"}, args...)...),
		interp.ExecHandlers(coreutils.ExecHandler),
	)
	if err != nil {
		return err
	}

	return runner.Run(context.Background(), script)
}
