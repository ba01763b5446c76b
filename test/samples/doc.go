// Package samples lets a real API server judge what the configurations in config/samples make.
package samples
