package main

import "rampart/loadtest/verdict"

// reportVersion changes when a field of Report changes its meaning or goes away, not when one is added.
const reportVersion = 1

// unjudged is the verdict where there is none: the input was no good.
const unjudged verdict.Verdict = "unjudged"

// Report is what perfgate found out: the table and the Markdown show it, and -json prints it as it is. A change is a
// fraction of the baseline, candidate/baseline - 1, whichever direction is better.
type Report struct {
	Version int             `json:"version"`
	Verdict verdict.Verdict `json:"verdict"` // pass, regressed, inconclusive, unjudged
	Exit    int             `json:"exit"`
	Meaning string          `json:"meaning"` // the verdict in words
	Advice  string          `json:"advice,omitempty"`

	Alpha     float64 `json:"alpha"`
	Baseline  File    `json:"baseline"`
	Candidate File    `json:"candidate"`
	Pairing   string  `json:"pairing"` // which samples belong together, and how that is known

	Rows     []Row      `json:"rows"`
	Failures *Failures  `json:"failures,omitempty"` // of requests, where both files count them
	Problems []string   `json:"problems"`           // why there is no verdict, or why there should be none but regressed
	Gaps     []string   `json:"gaps"`               // what is missing for a pass, beside rows
	NotGated []NotGated `json:"not_gated"`          // units in the files that are in no row
	Notes    []string   `json:"notes"`
}

// File is one of the two inputs.
type File struct {
	Path  string `json:"path"`
	Lines int    `json:"lines"` // benchmark lines that could be read
}

// NotGated is a unit that is in the files but not in the verdict.
type NotGated struct {
	Unit       string `json:"unit"`
	Why        string `json:"why"`
	Benchmarks int    `json:"benchmarks"` // in so many of the baseline's
}

// Row is a benchmark and a unit that is gated. What could not be computed is not there.
type Row struct {
	Benchmark string `json:"benchmark"`
	Config    string `json:"config,omitempty"` // what tells it from others of its name
	Unit      string `json:"unit"`
	Better    string `json:"better"`      // higher, lower
	From      string `json:"better_from"` // file: it declares the direction; name: that of the unit

	Paired           bool     `json:"paired"`
	BaselineSamples  int      `json:"baseline_samples"` // where paired: as many pairs
	CandidateSamples int      `json:"candidate_samples"`
	BaselineMedian   *float64 `json:"baseline_median,omitempty"` // in Unit
	CandidateMedian  *float64 `json:"candidate_median,omitempty"`
	Change           *float64 `json:"change,omitempty"`         // the estimate
	ChangeLowest     *float64 `json:"change_lowest,omitempty"`  // the interval, each end wrong with probability alpha at most
	ChangeHighest    *float64 `json:"change_highest,omitempty"` //
	Allowed          float64  `json:"allowed"`                  // the margin as a change: negative where higher is better
	P                *float64 `json:"p,omitempty"`              // one-sided, of being as much worse by chance
	PNeeded          *float64 `json:"p_needed,omitempty"`       // how small p had to be for regressed, after Holm

	Verdict   verdict.Verdict `json:"verdict"`
	Reason    string          `json:"reason,omitempty"`
	Benchstat *Benchstat      `json:"benchstat,omitempty"`
}

// Failures compares how often requests failed in a duel.
type Failures struct {
	Blocks            int     `json:"blocks"`
	BaselineRequests  uint64  `json:"baseline_requests"` // all, those that failed included
	BaselineFailed    uint64  `json:"baseline_failed"`
	CandidateRequests uint64  `json:"candidate_requests"`
	CandidateFailed   uint64  `json:"candidate_failed"`
	P                 float64 `json:"p"`        // one-sided, of failing as much more often by chance
	PNeeded           float64 `json:"p_needed"` // how small p had to be for regressed

	Verdict verdict.Verdict `json:"verdict"` // pass: none failed
	Reason  string          `json:"reason,omitempty"`
}

// Benchstat is what benchstat makes of the samples of a row.
type Benchstat struct {
	Delta string  `json:"delta"` // as it prints it: ~ where it sees no difference
	P     float64 `json:"p"`     // two-sided; 0 where the unit is declared exact
	Says  says    `json:"says"`
}

// name is how a row is called in a sentence.
func (r Row) name() string {
	if r.Config != "" {
		return r.Benchmark + " (" + r.Config + ") " + r.Unit
	}
	return r.Benchmark + " " + r.Unit
}
