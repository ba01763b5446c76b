// Command localpath is the shell of the provisioner's helper pods, with the programs that their scripts call. It
// is the whole image of such a pod, and stands for busybox. Its module pins the provisioner.
//
//	sh FILE [ARGUMENT]...
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

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
		return errors.New("usage: sh FILE [ARGUMENT]")
	}

	file, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer file.Close()

	script, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(file, args[0])
	if err != nil {
		return err
	}

	runner, err := interp.New(
		interp.StdIO(nil, os.Stdout, os.Stderr), interp.Params(append([]string{"--"}, args[1:]...)...),
		interp.ExecHandlers(coreutils.ExecHandler),
	)
	if err != nil {
		return err
	}

	return runner.Run(context.Background(), script)
}
