// Package work has only benchmarks: those of which the proof makes slower versions.
package work
