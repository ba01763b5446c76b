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
	"strconv"
	"strings"
)

const (
	sumSuffix = ".sha256"
	fileMode  = 0o644
	// checkpoint is the name of a file that train writes.
	checkpoint = "epoch-%d.bin"
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

// trained is what train reports: the epoch from which it resumed, or 0, and the one that it wrote.
type trained struct {
	From int  `json:"from"`
	To   int  `json:"to"`
	File file `json:"file"`
	// Broken are checkpoints whose checksum is wrong or missing.
	Broken []string `json:"broken,omitempty"`
}

func write(args []string, _ io.Writer) (any, error) {
	return writeRandom(filepath.Join(args[0], args[1]), args[2])
}

// writeRandom writes a file and its checksum. Both are on disk with their names when it returns.
func writeRandom(path, bytes string) (file, error) {
	size, err := strconv.ParseInt(bytes, 10, 64)
	if err != nil {
		return file{}, fmt.Errorf("how many bytes: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return file{}, err
	}
	hash := sha256.New()
	if err := put(path, io.TeeReader(io.LimitReader(rand.Reader, size), hash)); err != nil {
		return file{}, err
	}
	sum := hex.EncodeToString(hash.Sum(nil))
	if err := put(path+sumSuffix, strings.NewReader(sum+"\n")); err != nil {
		return file{}, err
	}
	directory, err := os.Open(filepath.Dir(path))
	if err != nil {
		return file{}, err
	}
	return file{Path: path, Bytes: size, SHA256: sum}, errors.Join(directory.Sync(), directory.Close())
}

func put(path string, content io.Reader) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, fileMode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Sync(), f.Close())
}

func verify(args []string, _ io.Writer) (any, error) {
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

// check reads a file again. The error is in what it returns.
func check(path string) file {
	result, err := sum(path)
	if err == nil {
		var text []byte
		text, err = os.ReadFile(path + sumSuffix)
		if wanted := strings.TrimSpace(string(text)); err == nil && wanted != result.SHA256 {
			err = errors.New("the checksum is " + wanted)
		}
	}
	if err != nil {
		result.Error = err.Error()
	}
	return result
}

func sum(path string) (file, error) {
	result := file{Path: path}
	f, err := os.Open(path)
	if err != nil {
		return result, err
	}
	defer f.Close()
	hash := sha256.New()
	result.Bytes, err = io.Copy(hash, f)
	result.SHA256 = hex.EncodeToString(hash.Sum(nil))
	return result, err
}

// train resumes from the checkpoint with the greatest number whose checksum is right.
func train(args []string, _ io.Writer) (any, error) {
	var result trained
	entries, err := os.ReadDir(args[0])
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		var epoch int
		if _, err := fmt.Sscanf(entry.Name(), checkpoint, &epoch); err == nil {
			result.From = max(result.From, epoch)
		}
	}
	for ; result.From > 0; result.From-- {
		path := filepath.Join(args[0], fmt.Sprintf(checkpoint, result.From))
		if check(path).Error == "" {
			break
		}
		if _, err := os.Stat(path); err == nil {
			result.Broken = append(result.Broken, path)
		}
	}
	result.To = result.From + 1
	result.File, err = writeRandom(filepath.Join(args[0], fmt.Sprintf(checkpoint, result.To)), args[1])
	return result, err
}
