package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"gonum.org/v1/gonum/stat"

	"rampart/loadtest"
)

const (
	slicesBlocks = 8
	longestSlice = 600 * time.Millisecond // ten pairs of longer ones take minutes
	moreWork     = 1.05                   // of one side
)

// slices runs duels with slices of several lengths, relative to that of the rule, for services of
// several durations: of equals, with more work on one side, and with the sides swapped. A rule that
// favours a side, or one with the longer requests, shows: in the estimate of equals, or in that of
// the swapped sides not being the other one's opposite.
func (l lab) slices(ctx context.Context, stdout, stderr io.Writer) error {
	fmt.Fprintln(stdout, "| iterations | server CPU per request | slice | equals | SD of a block | 5 % more iterations "+
		"| server CPU | sides swapped | half the sum of both |")
	fmt.Fprintln(stdout, "|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
	for _, n := range []float64{1000, 60_000, 600_000, 15_000_000, 35_000_000} {
		var rule time.Duration
		for _, times := range []float64{1, 1.0 / 3, 4, 16} { // the rule comes first and says how long it is
			slice := time.Duration(times * float64(rule))
			if slice > longestSlice || times < 1 && slice < time.Millisecond/2 {
				continue
			}
			row, used, err := l.slicesRow(ctx, n, slice)
			if err != nil {
				return err
			}
			if rule == 0 {
				rule = used
			}
			fmt.Fprintln(stdout, row)
			fmt.Fprintf(stderr, "%.0f iterations, slices of %v done\n", n, used)
		}
	}
	return nil
}

// slicesRow runs the duels of a row of the table. A slice of 0 is that of the rule; used is what it
// was.
func (l lab) slicesRow(ctx context.Context, n float64, slice time.Duration) (row string, used time.Duration,
	err error) {
	run := func(baseline, candidate float64) (loadtest.DuelResult, error) {
		d := l.duel(same, n*baseline, candidate/baseline)
		d.Looks, d.Slice = []int{slicesBlocks}, slice
		return d.Run(ctx)
	}
	var results [3]loadtest.DuelResult
	for i, factors := range [3][2]float64{{1, 1}, {1, moreWork}, {moreWork, 1}} {
		if results[i], err = run(factors[0], factors[1]); err != nil {
			return "", 0, err
		}
	}
	var differences []float64
	var cpu time.Duration
	var requests uint64
	for _, b := range results[0].Blocks {
		base, candidate := b.Sides[0], b.Sides[1]
		if base.ServerCPU == nil {
			return "", 0, errors.New("the processor time of the server is not known here; want Linux")
		}
		differences = append(differences, math.Log(base.Throughput()/candidate.Throughput()))
		cpu += base.ServerCPU.Used
		requests += base.Completed
	}
	equals, worse, better := results[0].Report.Rows[0].Comparison, results[1].Report.Rows[0].Comparison,
		results[2].Report.Rows[0].Comparison
	return fmt.Sprintf("| %.0f | %v | %v | %+.2f %% (%+.2f to %+.2f) | %.2f %% | %+.2f %% (%+.2f to %+.2f) | %+.2f %% | "+
		"%+.2f %% | %+.2f %% |", n,
		(cpu / time.Duration(requests)).Round(time.Microsecond), results[0].Slice.Round(10*time.Microsecond),
		-100*equals.Estimate, -100*equals.Upper, -100*equals.Lower, 100*stat.StdDev(differences, nil),
		-100*worse.Estimate, -100*worse.Upper, -100*worse.Lower, 100*results[1].Report.Rows[1].Comparison.Estimate,
		-100*better.Estimate, -50*(worse.Estimate+better.Estimate)), results[0].Slice, nil
}
