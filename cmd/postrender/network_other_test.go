//go:build !linux

package main

func withoutNetwork(command func()) func() { return command }

func dial() {}
