// Package samples lets a real API server validate the objects of the configurations in
// config/samples.
package samples
