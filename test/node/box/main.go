// Command box is the program in the containers of the storage tests, and the first process of their
// node. It prints one JSON object a line and exits with 1 when a check fails.
//
//	box write DIR NAME BYTES      writes random bytes and their checksum beside them, both on disk when it returns
//	box verify DIR                checks every file that write wrote
//	box train DIR BYTES           finds the newest checkpoint whose checksum is right and writes the next
//	box append FILE [PAUSE]       checks the records of a file, then adds one after another until a signal ends it
//	box stat PATH...              reports owner, group and mode
//	box whoami                    reports its user, its groups and what the kernel forbids it
//	box sleep [DURATION]          waits, forever without a duration
//	box attack NAME ADDR DURATION sends requests to a webhook that no API server sends
//	box pause                     waits for orphans until a signal ends it; a program named pause does so, too
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
)

// command is one of the words above, with the least and the greatest number of its arguments. What run returns
// is printed, also beside an error.
type command struct {
	least, most int
	run         func(args []string, out io.Writer) (any, error)
}

var commands = map[string]command{
	"write":  {3, 3, write},
	"verify": {1, 1, verify},
	"train":  {2, 2, train},
	"append": {1, 2, appendRecords},
	"stat":   {1, math.MaxInt, stat},
	"whoami": {0, 0, whoami},
	"sleep":  {0, 1, sleep},
	"attack": {3, 3, attack},
	"pause":  {0, 0, pause},
}

func main() {
	var log bytes.Buffer
	err := run(os.Args, io.MultiWriter(os.Stdout, &log))
	if err != nil {
		fmt.Fprintln(io.MultiWriter(os.Stderr, &log), "box:", err)
	}
	// The log of a container that ends before containerd has opened its output is empty, but its message is not.
	if f, openErr := os.OpenFile("/dev/termination-log", os.O_WRONLY, 0); openErr == nil {
		_, _ = f.Write(log.Bytes())
	}
	if err != nil {
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if filepath.Base(args[0]) == "pause" {
		args = []string{args[0], "pause"}
	}
	if len(args) < 2 {
		return errors.New("name a command")
	}
	name, rest := args[1], args[2:]
	chosen, ok := commands[name]
	if !ok || len(rest) < chosen.least || len(rest) > chosen.most {
		return fmt.Errorf("%q is no command with %d arguments: see the comment of package main", name, len(rest))
	}
	result, err := chosen.run(rest, out)
	return errors.Join(report(out, result), err)
}

// report prints one line.
func report(out io.Writer, result any) error {
	if result == nil {
		return nil
	}
	return json.NewEncoder(out).Encode(result)
}
