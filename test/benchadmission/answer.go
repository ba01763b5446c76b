package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http/httputil"
	"strconv"
)

// head is what the client reads of the head of an answer over HTTP/1.1.
type head struct {
	status int
	// length of the body; -1 when it comes in chunks.
	length   int64
	isClosed bool
}

// readAnswer reads one answer into body, which it empties first. net/http can do that too, but
// takes a quarter of the client's CPU for it. After an error the connection is unusable.
func readAnswer(reader *bufio.Reader, body *bytes.Buffer) (status int, err error) {
	h, err := readHead(reader)
	if err != nil {
		return 0, fmt.Errorf("read an answer: %w", err)
	}
	body.Reset()
	if h.length >= 0 {
		_, err = io.CopyN(body, reader, h.length)
	} else {
		err = readChunks(reader, body)
	}
	if err != nil {
		return 0, fmt.Errorf("read an answer: %w", err)
	}
	if h.isClosed {
		return 0, fmt.Errorf("the server closes the connection after status %d: %.200s", h.status, body.Bytes())
	}
	return h.status, nil
}

func readHead(reader *bufio.Reader) (head, error) {
	h := head{length: -1}
	line, err := readLine(reader)
	if err != nil {
		return h, err
	}
	version, rest, _ := bytes.Cut(line, []byte(" "))
	code, _, _ := bytes.Cut(rest, []byte(" "))
	if h.status, err = strconv.Atoi(string(code)); err != nil || string(version) != "HTTP/1.1" {
		return h, fmt.Errorf("it begins with %q", line)
	}
	for {
		line, err := readLine(reader)
		if err != nil || len(line) == 0 {
			return h, err
		}
		if err := h.field(line); err != nil {
			return h, err
		}
	}
}

// field records what a line of the head means for the body.
func (h *head) field(line []byte) (err error) {
	name, value, found := bytes.Cut(line, []byte(":"))
	if !found {
		return fmt.Errorf("its head has the line %q", line)
	}
	value = bytes.TrimSpace(value)
	switch {
	case bytes.EqualFold(name, []byte("Content-Length")):
		if h.length, err = strconv.ParseInt(string(value), 10, 64); err != nil || h.length < 0 {
			return fmt.Errorf("its head has the line %q", line)
		}
	case bytes.EqualFold(name, []byte("Content-Encoding")):
		return fmt.Errorf("its body is in %s", value)
	case bytes.EqualFold(name, []byte("Connection")):
		h.isClosed = bytes.EqualFold(value, []byte("close"))
	}
	return nil
}

// readChunks reads a body and the empty line behind it: net/http's servers send no trailer unasked.
func readChunks(reader *bufio.Reader, body *bytes.Buffer) error {
	if _, err := body.ReadFrom(httputil.NewChunkedReader(reader)); err != nil {
		return err
	}
	line, err := readLine(reader)
	if err == nil && len(line) > 0 {
		err = errors.New("it has a trailer")
	}
	return err
}

// readLine returns a line without its end. The result is valid until the next read.
func readLine(reader *bufio.Reader) ([]byte, error) {
	line, err := reader.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	return bytes.TrimRight(line, "\r\n"), nil
}
