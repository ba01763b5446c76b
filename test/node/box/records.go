package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

const (
	defaultPause = time.Second
	payload      = 32
)

// recorded is what append reports, once for the records that it found and then for each new one.
type recorded struct {
	Found int `json:"found"`
	// Torn reports that the last record was incomplete, as a killed writer leaves it. It is truncated.
	Torn     bool   `json:"torn,omitempty"`
	Sequence int    `json:"sequence,omitempty"`
	Error    string `json:"error,omitempty"`
}

// appendRecords adds a record after each pause. One is "NUMBER PAYLOAD SHA256", and it is reported
// only when it is on disk: so every reported record must be found again.
func appendRecords(args []string, out io.Writer) (any, error) {
	rest, err := durationAt(args, 1, defaultPause)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(args[0], os.O_CREATE|os.O_RDWR, fileMode)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	result, err := readRecords(f)
	if err != nil {
		result.Error = err.Error()
		return result, err
	}
	if err := report(out, result); err != nil {
		return nil, err
	}
	ctx, stop := untilSignal()
	defer stop()
	result = recorded{Found: result.Found, Sequence: result.Found}
	for ctx.Err() == nil {
		result.Sequence++
		_, err := f.WriteString(record(result.Sequence))
		if err == nil {
			err = f.Sync()
		}
		if err == nil {
			err = report(out, result)
		}
		if err != nil {
			return nil, err
		}
		wait(ctx, rest)
	}
	return nil, nil
}

func record(sequence int) string {
	random := make([]byte, payload)
	_, _ = rand.Read(random) // it never fails
	text := fmt.Sprintf("%d %x", sequence, random)
	return fmt.Sprintf("%s %x\n", text, sha256.Sum256([]byte(text)))
}

// readRecords checks all records and truncates the file after the last complete one.
func readRecords(f *os.File) (recorded, error) {
	var result recorded
	text, err := io.ReadAll(f)
	if err != nil {
		return result, err
	}
	whole := bytes.LastIndexByte(text, '\n') + 1
	result.Torn = whole < len(text)
	for line := range strings.Lines(string(text[:whole])) {
		if err := checkRecord(strings.TrimSuffix(line, "\n"), result.Found+1); err != nil {
			return result, err
		}
		result.Found++
	}
	_, err = f.Seek(int64(whole), io.SeekStart)
	return result, errors.Join(err, f.Truncate(int64(whole)))
}

func checkRecord(line string, sequence int) error {
	last := strings.LastIndexByte(line, ' ')
	switch {
	case last < 0:
		return fmt.Errorf("record %d is %q", sequence, line)
	case fmt.Sprintf("%x", sha256.Sum256([]byte(line[:last]))) != line[last+1:]:
		return fmt.Errorf("the checksum of record %d is wrong: %q", sequence, line)
	case !strings.HasPrefix(line, fmt.Sprintf("%d ", sequence)):
		return fmt.Errorf("record %d is not where it should be: %q", sequence, line)
	default:
		return nil
	}
}
