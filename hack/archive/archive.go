// Package archive writes tar archives, compressed by gzip, whose bytes depend on the names, the contents and the
// executable bits of their files alone: not on the time, the user or the umask of who builds them.
package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Epoch is the time of every file. No archive format that is in use can hold an earlier one.
var Epoch = time.Date(1980, time.January, 1, 0, 0, 0, 0, time.UTC)

const (
	executableMode = 0o755
	plainMode      = 0o644
	executableBits = 0o111
)

// File is a file of an archive.
type File struct {
	// Name is its path, with slashes.
	Name string
	// Executable is whether it is a program.
	Executable bool
	Text       []byte
}

// Bytes returns an archive of the files, in their order.
func Bytes(files []File) ([]byte, error) {
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	packed := tar.NewWriter(zipped)
	for _, f := range files {
		if err := write(packed, tar.TypeReg, f); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(packed.Close(), zipped.Close()); err != nil {
		return nil, fmt.Errorf("end the archive: %w", err)
	}
	return out.Bytes(), nil
}

// Repack reads an archive that another program wrote, and writes one with the same files and directories in the same
// order. Both paths may be the same. A link in the archive is an error.
func Repack(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	repacked, err := repack(text)
	if err != nil {
		return fmt.Errorf("repack %s: %w", from, err)
	}
	return os.WriteFile(to, repacked, plainMode)
}

func repack(text []byte) ([]byte, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	from, to := tar.NewReader(unzipped), tar.NewWriter(zipped)
	for {
		header, err := from.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(from)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", header.Name, err)
		}
		f := File{Name: header.Name, Executable: header.Mode&executableBits != 0, Text: content}
		if err := write(to, header.Typeflag, f); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(to.Close(), zipped.Close()); err != nil {
		return nil, fmt.Errorf("end the archive: %w", err)
	}
	return out.Bytes(), nil
}

// write adds a file or a directory, which root owns.
func write(to *tar.Writer, kind byte, f File) error {
	header := &tar.Header{
		Typeflag: kind, Name: f.Name, Size: int64(len(f.Text)), Mode: plainMode, ModTime: Epoch, Format: tar.FormatPAX,
	}
	if f.Executable || kind == tar.TypeDir {
		header.Mode = executableMode
	}
	if kind != tar.TypeReg && kind != tar.TypeDir {
		return fmt.Errorf("%s is neither a file nor a directory", f.Name)
	}
	if err := to.WriteHeader(header); err != nil {
		return fmt.Errorf("pack %s: %w", f.Name, err)
	}
	if _, err := to.Write(f.Text); err != nil {
		return fmt.Errorf("pack %s: %w", f.Name, err)
	}
	return nil
}
