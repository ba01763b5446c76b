// Command pictures draws the pictures of README.md from real runs of Helm and postrender.
//
//	go run ./hack/pictures HELM POSTRENDER docs/pictures
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/pipeline-storage/pipeline-storage/hack/terminal"
)

// rows of the recording: as many as fit on the first screen of README.md.
const rows = 24

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: pictures HELM POSTRENDER DIRECTORY")
		os.Exit(2)
	}
	if err := draw(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// draw runs the commands and writes the pictures.
func draw(helm, postrender, dir string) error {
	work, err := os.MkdirTemp("", "pictures-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	for name, program := range map[string]string{"helm": helm, "postrender": postrender} {
		absolute, err := filepath.Abs(program)
		if err == nil {
			err = os.Symlink(absolute, filepath.Join(work, name))
		}
		if err != nil {
			return err
		}
	}
	examples, err := filepath.Abs("examples")
	if err == nil {
		err = os.Symlink(examples, filepath.Join(work, "examples"))
	}
	if err != nil {
		return err
	}
	const look = "postrender -f nightly.yaml -n pipelines --release nightly "
	var steps []terminal.Step
	for _, command := range []string{
		"helm template nightly examples/etl-cronjob > nightly.yaml",
		look + "--set colocate=true --diff",
		look + "--explain",
	} {
		output, err := run(work, command)
		if err != nil {
			return err
		}
		steps = append(steps, terminal.Step{Command: command, Output: output})
	}
	pictures := map[string][]byte{
		"postrender.svg": terminal.Recording("What postrender adds to the pods of a chart", rows, steps...),
		"explain.svg":    terminal.Picture("postrender --explain", steps[2]),
	}
	for name, picture := range pictures {
		if err := os.WriteFile(filepath.Join(dir, name), picture, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// run runs a command of the picture in a shell, and returns what a terminal would show. A color is
// requested, because the output goes into a pipe.
func run(dir, command string) (string, error) {
	colored := strings.ReplaceAll(command, " --diff", " --diff --color=always")
	cmd := exec.Command("sh", "-c", colored)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "HELM_PLUGINS="+dir)
	output, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", command, err, output)
	}
	return string(output), nil
}
