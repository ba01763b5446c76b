//go:build !unix

package app

func ignoreBrokenPipe() {}
