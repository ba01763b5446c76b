package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const (
	sumSuffix = ".sha256"
	fileMode  = 0o644
	// fillName is a file that fill writes.
	fillName = "fill"
	block    = 1 << 20
)

// file is what the commands report about a file.
type file struct {
	Path   string `json:"path"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256,omitempty"`
	Error  string `json:"error,omitempty"`
}

// verified is what verify reports. Bad counts the files that are not what was written.
type verified struct {
	Files []file `json:"files"`
	Bad   int    `json:"bad"`
}

// trained is what train reports: the epoch from which it resumed, 0 if there was none, and the one
// that it wrote.
type trained struct {
	From int  `json:"from"`
	To   int  `json:"to"`
	File file `json:"file"`
	// Broken are checkpoints whose checksum is wrong or missing.
	Broken []string `json:"broken,omitempty"`
}

// filled is what fill reports.
type filled struct {
	Bytes int64  `json:"bytes"`
	Full  bool   `json:"full"`
	Error string `json:"error,omitempty"`
}

func write(args []string, _ io.Writer) (any, error) {
	if len(args) != 3 {
		return nil, errUsage
	}

	size, err := strconv.ParseInt(args[2], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("how many bytes: %w", err)
	}

	return writeRandom(filepath.Join(args[0], args[1]), size)
}

// writeRandom writes a file and its checksum. Both are on disk, and their names too, when it
// returns.
func writeRandom(path string, size int64) (file, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return file{}, err
	}

	sum := sha256.New()
	content := io.TeeReader(io.LimitReader(rand.Reader, size), sum)

	if err := put(path, content); err != nil {
		return file{}, err
	}

	text := hex.EncodeToString(sum.Sum(nil))
	if err := put(path+sumSuffix, strings.NewReader(text+"\n")); err != nil {
		return file{}, err
	}

	return file{Path: path, Bytes: size, SHA256: text}, syncFile(filepath.Dir(path))
}

func put(path string, content io.Reader) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, fileMode)
	if err != nil {
		return err
	}

	_, err = io.Copy(f, content)

	return errors.Join(err, f.Sync(), f.Close())
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}

	return errors.Join(f.Sync(), f.Close())
}

func verify(args []string, _ io.Writer) (any, error) {
	if len(args) != 1 {
		return nil, errUsage
	}

	sums, err := filepath.Glob(filepath.Join(args[0], "*"+sumSuffix))
	if err != nil {
		return nil, err
	}

	result := verified{Files: []file{}}

	for _, sum := range sums {
		checked := check(strings.TrimSuffix(sum, sumSuffix))
		result.Files = append(result.Files, checked)

		if checked.Error != "" {
			result.Bad++
		}
	}

	switch {
	case result.Bad > 0:
		return result, fmt.Errorf("%d of %d files are not what was written", result.Bad, len(sums))
	case len(sums) == 0:
		return result, fmt.Errorf("%s holds nothing that was written", args[0])
	default:
		return result, nil
	}
}

// check reads a file again.
func check(path string) file {
	result := file{Path: path}

	wanted, err := os.ReadFile(path + sumSuffix)
	if err != nil {
		result.Error = err.Error()

		return result
	}

	f, err := os.Open(path)
	if err != nil {
		result.Error = err.Error()

		return result
	}
	defer f.Close()

	sum := sha256.New()
	if result.Bytes, err = io.Copy(sum, f); err != nil {
		result.Error = err.Error()
	}

	result.SHA256 = hex.EncodeToString(sum.Sum(nil))
	if result.SHA256 != strings.TrimSpace(string(wanted)) {
		result.Error = "the checksum is " + strings.TrimSpace(string(wanted))
	}

	return result
}

var checkpoint = regexp.MustCompile(`^epoch-(\d+)\.bin$`)

func train(args []string, _ io.Writer) (any, error) {
	if len(args) != 2 {
		return nil, errUsage
	}

	size, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("how many bytes: %w", err)
	}

	entries, err := os.ReadDir(args[0])
	if err != nil {
		return nil, err
	}

	var result trained

	epochs := map[int]string{}
	for _, entry := range entries {
		if found := checkpoint.FindStringSubmatch(entry.Name()); found != nil {
			number, _ := strconv.Atoi(found[1])
			epochs[number] = filepath.Join(args[0], entry.Name())
		}
	}

	numbers := make([]int, 0, len(epochs))
	for number := range epochs {
		numbers = append(numbers, number)
	}

	slices.Sort(numbers)

	for _, number := range slices.Backward(numbers) {
		if check(epochs[number]).Error == "" {
			result.From = number

			break
		}

		result.Broken = append(result.Broken, epochs[number])
	}

	result.To = result.From + 1
	result.File, err = writeRandom(filepath.Join(args[0], fmt.Sprintf("epoch-%d.bin", result.To)), size)

	return result, err
}

// fill writes until the disk is full, and removes the file.
func fill(args []string, _ io.Writer) (any, error) {
	if len(args) != 1 {
		return nil, errUsage
	}

	path := filepath.Join(args[0], fillName)

	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, fileMode)
	if err != nil {
		return nil, err
	}
	defer os.Remove(path)
	defer f.Close()

	var result filled

	for chunk := make([]byte, block); ; {
		n, err := f.Write(chunk)
		result.Bytes += int64(n)

		if err == nil {
			err = f.Sync()
		}

		if err == nil {
			continue
		}

		result.Error = err.Error()
		result.Full = errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)

		if !result.Full {
			return result, err
		}

		return result, nil
	}
}
