package main

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/perf/benchmath"
)

// row compares one tool at one number of VUs with the reference.
type row struct {
	vus  int
	tool string

	// Ratios, each of two runs of the same round, without rounds in which one of them failed.
	throughput, cpu, memory spread
	resident                spread // megabytes, of the runs without failures

	rounds       int
	failed       uint64 // requests
	failedRounds int
	brokenRounds int // could not be measured
}

// spread is how a value varied over rounds.
type spread struct {
	n                int
	median, min, max float64 // where n is not 0
}

func newSpread(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	s := benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds)
	const confidence = 0.95 // of an interval that is not used here
	median := benchmath.AssumeNothing.Summary(s, confidence).Center
	return spread{n: len(values), median: median, min: slices.Min(values), max: slices.Max(values)}
}

// compare returns a row for each number of VUs and each tool, in the order of allTools. A round in
// which a tool had failures, or could not be measured, tells nothing about its speed, and counts
// only as that.
func compare(samples []sample, reference string) []row {
	var vus []int
	at := make(map[[2]int]map[string]sample) // by round and VUs
	rounds := 0
	for _, s := range samples {
		key := [2]int{s.round, s.vus}
		if at[key] == nil {
			at[key] = make(map[string]sample)
		}
		at[key][s.tool] = s
		rounds = max(rounds, s.round)
		if !slices.Contains(vus, s.vus) {
			vus = append(vus, s.vus)
		}
	}
	var rows []row
	for _, n := range vus {
		for _, name := range toolNames() {
			r := row{vus: n, tool: name}
			var throughput, cpu, memory, resident []float64
			for round := 1; round <= rounds; round++ {
				s, ran := at[[2]int{round, n}][name]
				if !ran {
					continue
				}
				r.count(s)
				if !s.clean() {
					continue
				}
				resident = append(resident, megabytes(s.resident))
				if ref := at[[2]int{round, n}][reference]; ref.clean() {
					throughput = append(throughput, s.perSecond/ref.perSecond)
					cpu = append(cpu, s.cpuPerRequest()/ref.cpuPerRequest())
					memory = append(memory, float64(s.resident)/float64(ref.resident))
				}
			}
			if r.rounds == 0 {
				continue
			}
			r.throughput, r.cpu = newSpread(throughput), newSpread(cpu)
			r.memory, r.resident = newSpread(memory), newSpread(resident)
			rows = append(rows, r)
		}
	}
	return rows
}

func (r *row) count(s sample) {
	r.rounds++
	switch {
	case s.err != nil:
		r.brokenRounds++
	case s.failed > 0:
		r.failed += s.failed
		r.failedRounds++
	}
}

// required reports where rampart does not keep up with wrk, with which the rows compare.
func required(rows []row) error {
	var errs []error
	for _, r := range rows {
		switch {
		case r.tool != nameRampart:
		case r.cpu.n == 0:
			errs = append(errs, fmt.Errorf("required, but not known: nothing to compare at %d VUs", r.vus))
		default:
			if r.cpu.median > 1 {
				errs = append(errs, fmt.Errorf("required: at %d VUs rampart takes %.3f times wrk's CPU per request, "+
					"at most 1 is allowed", r.vus, r.cpu.median))
			}
			if r.throughput.median < 1 {
				errs = append(errs, fmt.Errorf("required: at %d VUs rampart makes %.3f times wrk's requests, "+
					"at least 1 is wanted", r.vus, r.throughput.median))
			}
		}
	}
	return errors.Join(errs...)
}
