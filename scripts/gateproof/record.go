package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// record is what was found so far: in memory, and in a file if there is one, so that a proof can be
// made in parts. Its first line is the beginning, each other one an outcome.
type record struct {
	beginning
	outcomes []outcome
	file     *os.File // nil: none
}

// beginning is what the outcomes of a proof have in common.
type beginning struct {
	Plan  plan
	Costs costs // of a tenth more iterations
	Five  costs // what the candidate that should lose 5 % does lose

	Comparisons int `json:",omitempty"` // that are planned; 0: a record of an older version does not say it
}

// openRecord reads the record at path, or begins one where there is none. An empty path: it is not
// kept.
func openRecord(path string, p plan) (*record, error) {
	r := &record{beginning: beginning{Plan: p}}
	if path == "" {
		return r, nil
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, fmt.Errorf("-log: %w", err)
	}
	r.file = f
	if err := r.read(p); err != nil {
		f.Close()
		return nil, fmt.Errorf("-log %s: %w", path, err)
	}
	return r, nil
}

// read reads what the file has. What was written halfway when the machine went down is overwritten.
func (r *record) read(p plan) error {
	d := json.NewDecoder(r.file)
	var end int64
	for first := true; ; first = false {
		var err error
		if first {
			err = d.Decode(&r.beginning)
		} else {
			var o outcome
			if err = d.Decode(&o); err == nil {
				r.outcomes = append(r.outcomes, o)
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%w; want a file that gateproof wrote", err)
		}
		end = d.InputOffset()
	}
	had := r.Plan
	if p.Seed != 0 && p.Seed != had.Seed || p.N != had.N || p.Usual != had.Usual || p.Blocks != had.Blocks {
		return fmt.Errorf("it has -n %d -usual %d -blocks %d -seed %d; want the same, or another file", had.N, had.Usual,
			had.Blocks, had.Seed)
	}
	_, err := r.file.Seek(end, io.SeekStart)
	if err == nil {
		err = r.file.Truncate(end)
	}
	if err == nil && end > 0 {
		_, err = r.file.WriteString("\n")
	}
	return err
}

// begun reports whether the costs are known.
func (r *record) begun() bool { return r.Costs != costs{} }

// check reports whether the outcomes are the first ones of the plan, so that those that are missing
// can be added.
func (r *record) check() error {
	trials := r.Plan.trials()
	for i, o := range r.outcomes {
		if i >= len(trials) || o.trial != trials[i] {
			return fmt.Errorf("-log: comparison %d (%s) is not the one that is planned: another version of gateproof made "+
				"it; want another file", i+1, o.trial)
		}
	}
	return nil
}

// begin keeps the beginning.
func (r *record) begin(b beginning) error {
	r.beginning = b
	return r.write(b)
}

// add keeps an outcome.
func (r *record) add(o outcome) error {
	r.outcomes = append(r.outcomes, o)
	return r.write(o)
}

func (r *record) write(line any) error {
	if r.file == nil {
		return nil
	}
	return json.NewEncoder(r.file).Encode(line)
}

func (r *record) Close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}
