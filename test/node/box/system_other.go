//go:build !linux

package main

import (
	"errors"
	"io"
)

var errNotHere = errors.New("containers of the tests are for Linux")

func stat([]string, io.Writer) (any, error)   { return nil, errNotHere }
func whoami([]string, io.Writer) (any, error) { return nil, errNotHere }
func sleep([]string, io.Writer) (any, error)  { return nil, errNotHere }

func initialize([]string) error    { return errNotHere }
func pause([]string) error         { return errNotHere }
func shell([]string) error         { return errNotHere }
func makeDirectory([]string) error { return errNotHere }
func remove([]string) error        { return errNotHere }
