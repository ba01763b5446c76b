package parts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// library is a C library that a part is linked with.
type library struct {
	// name is its name in pkg-config, debian the package that has it.
	name, debian string
}

// environment returns what the go command needs to link with the library. Where the machine has
// none, Debian's package is unpacked in a directory below dir: nothing is installed. A part without
// a library needs nothing.
func (l *library) environment(ctx context.Context, dir string) ([]string, error) {
	if l == nil {
		return nil, nil
	}
	if exec.CommandContext(ctx, "pkg-config", "--exists", l.name).Run() == nil {
		return []string{"CGO_ENABLED=1"}, nil
	}
	root, err := l.unpack(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("find the library %s: %w; install gcc, pkg-config and %s", l.name, err, l.debian)
	}
	found, err := filepath.Glob(filepath.Join(root, "usr", "lib", "*", "pkgconfig"))
	if err != nil || len(found) == 0 {
		return nil, errors.Join(fmt.Errorf("the package %s has no file for pkg-config", l.debian), err)
	}
	return []string{"CGO_ENABLED=1", "PKG_CONFIG_PATH=" + found[0], "PKG_CONFIG_SYSROOT_DIR=" + root}, nil
}

// unpack returns a directory below dir with the files of the package. It does not change the
// machine's own lists of packages.
func (l *library) unpack(ctx context.Context, dir string) (string, error) {
	root := filepath.Join(dir, l.name)
	lists := filepath.Join(root, "lists")
	if err := os.MkdirAll(filepath.Join(lists, "partial"), dirMode); err != nil {
		return "", fmt.Errorf("make a directory for the package %s: %w", l.debian, err)
	}
	apt := []string{"-o", "Dir::State::Lists=" + lists, "-o", "APT::Sandbox::User=root", "-qq"}
	commands := [][]string{
		append([]string{"apt-get", "update"}, apt...),
		append([]string{"apt-get", "download", l.debian}, apt...),
		{"sh", "-c", `dpkg-deb -x "$1"_*.deb .`, "sh", l.debian},
	}
	for _, c := range commands {
		var out bytes.Buffer
		command := exec.CommandContext(ctx, c[0], c[1:]...)
		command.Dir, command.Stdout, command.Stderr = root, &out, &out
		if err := command.Run(); err != nil {
			return "", fmt.Errorf("%s %s: %w\n%s", c[0], c[1], err, tail(out.String()))
		}
	}
	return root, os.RemoveAll(lists)
}
