// Command box is the program in the containers of the storage tests, and the first process of their
// node. It prints one JSON object a line and exits with 1 when a check fails.
//
//	box write DIR NAME BYTES      writes random bytes and their checksum beside them, both on disk when it returns
//	box verify DIR                checks every file that write wrote
//	box train DIR BYTES           finds the newest checkpoint whose checksum is right and writes the next
//	box append FILE [PAUSE]       checks the records of a file, then adds one after another until a signal ends it
//	box stat PATH...              reports owner, group and mode
//	box fill DIR                  writes until nothing fits, and removes what it wrote
//	box whoami                    reports its user, its groups and what the kernel forbids it
//	box sleep [DURATION]          waits, forever without a duration
//	box attack NAME ADDR DURATION sends requests to a webhook that no API server sends
//
// By other names it is the minimum of a machine: pause and init, which wait for orphans, and sh,
// mkdir and rm.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

var errUsage = errors.New("see the comment of this command for its arguments")

// command is one of the words above. Its result is printed, also beside an error.
type command func(args []string, out io.Writer) (any, error)

var (
	commands = map[string]command{
		"write": write, "verify": verify, "train": train, "append": appendRecords,
		"stat": stat, "fill": fill, "whoami": whoami, "sleep": sleep,
		"attack": attack,
	}
	// tools are commands by the name of the program. They print nothing of their own.
	tools = map[string]func(args []string) error{
		"init": initialize, "pause": pause, "sh": shell, "mkdir": makeDirectory, "rm": remove,
	}
)

func main() {
	if err := run(os.Args, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "box:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	if tool := tools[filepath.Base(args[0])]; tool != nil {
		return tool(args[1:])
	}

	if len(args) < 2 {
		return errUsage
	}

	do := commands[args[1]]
	if do == nil {
		return fmt.Errorf("%q is no command: %w", args[1], errUsage)
	}

	result, err := do(args[2:], stdout)

	return errors.Join(report(stdout, result), err)
}

// report prints one line.
func report(out io.Writer, result any) error {
	if result == nil {
		return nil
	}

	return json.NewEncoder(out).Encode(result)
}

// flags separates the arguments that begin with a dash.
func flags(args []string) (letters, rest []string) {
	for _, arg := range args {
		if strings.HasPrefix(arg, "-") {
			letters = append(letters, strings.Split(arg[1:], "")...)
		} else {
			rest = append(rest, arg)
		}
	}

	slices.Sort(letters)

	return letters, rest
}
