// Package proof has what programs share that measure how often a gate is wrong: a command that can
// be interrupted and goes on, a neighbour that disturbs, rates with their intervals, and a record
// that lets a long proof be made in parts.
package proof

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"gonum.org/v1/gonum/stat/distuv"
)

// Interval is the 95 % interval of Clopper and Pearson for a rate that was found k times in n (The
// use of confidence or fiducial limits illustrated in the case of the binomial, Biometrika 26,
// 1934).
func Interval(k, n int) (low, high float64) {
	const tail = 0.025
	high = 1
	if k > 0 {
		low = distuv.Beta{Alpha: float64(k), Beta: float64(n - k + 1)}.Quantile(tail)
	}
	if k < n {
		high = distuv.Beta{Alpha: float64(k + 1), Beta: float64(n - k)}.Quantile(1 - tail)
	}
	return low, high
}

// Rate is k of n as people read it, with its interval.
func Rate(k, n int) string {
	low, high := Interval(k, n)
	return fmt.Sprintf("%d/%d (%.1f to %.1f %%)", k, n, 100*low, 100*high)
}

// AtLeast is the probability that something happens k times or more in n, where it does with
// probability p each time: that of the exact binomial test.
func AtLeast(k, n int, p float64) float64 {
	if k <= 0 {
		return 1
	}
	return distuv.Beta{Alpha: float64(k), Beta: float64(n - k + 1)}.CDF(p)
}

// Record is what was found so far: in memory, and in a file if there is one. Its first line is what
// all outcomes have in common, each other one an outcome.
type Record[B, O any] struct {
	Beginning *B // nil: nothing was begun
	Outcomes  []O
	file      *os.File // nil: none
}

// Open reads the record at path, or begins one where there is none. An empty path: it is not kept.
// What was written halfway when the machine went down is overwritten.
func Open[B, O any](path string) (*Record[B, O], error) {
	r := &Record[B, O]{}
	if path == "" {
		return r, nil
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	r.file = f
	if err := r.read(); err != nil {
		f.Close()
		return nil, fmt.Errorf("record %s: %w; want one that this program wrote", path, err)
	}
	return r, nil
}

func (r *Record[B, O]) read() error {
	d := json.NewDecoder(r.file)
	d.DisallowUnknownFields()
	var end int64
	for {
		var err error
		if r.Beginning == nil {
			var b B
			if err = d.Decode(&b); err == nil {
				r.Beginning = &b
			}
		} else {
			var o O
			if err = d.Decode(&o); err == nil {
				r.Outcomes = append(r.Outcomes, o)
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return err
		}
		end = d.InputOffset()
	}
	if _, err := r.file.Seek(end, io.SeekStart); err != nil {
		return err
	}
	if err := r.file.Truncate(end); err != nil || end == 0 {
		return err
	}
	_, err := r.file.WriteString("\n")
	return err
}

// Begin keeps what all outcomes have in common.
func (r *Record[B, O]) Begin(b B) error {
	r.Beginning = &b
	return r.write(b)
}

// Add keeps an outcome.
func (r *Record[B, O]) Add(o O) error {
	r.Outcomes = append(r.Outcomes, o)
	return r.write(o)
}

func (r *Record[B, O]) write(line any) error {
	if r.file == nil {
		return nil
	}
	return json.NewEncoder(r.file).Encode(line)
}

// Close closes the file.
func (r *Record[B, O]) Close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}
