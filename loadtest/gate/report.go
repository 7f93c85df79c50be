package gate

import "rampart/loadtest/verdict"

// Exit codes of a command that judges.
const (
	ExitPass         = 0
	ExitRegressed    = 1
	ExitUnjudged     = 2
	ExitInconclusive = 3
)

// reportVersion changes when a field of Report changes its meaning or goes away, not when one is
// added.
const reportVersion = 1

// Unjudged is the verdict where there is none: the input was no good.
const Unjudged verdict.Verdict = "Unjudged"

// Report is what [Judge] found out: the table and the Markdown show it, and -json prints it as it
// is. A change is a fraction of the baseline, candidate/baseline - 1, whichever direction is
// better.
type Report struct {
	Version int             `json:"version"`
	Verdict verdict.Verdict `json:"verdict"` // pass, regressed, inconclusive, Unjudged
	Exit    int             `json:"exit"`
	Meaning string          `json:"meaning"` // the verdict in words
	Advice  string          `json:"advice,omitempty"`

	Alpha     float64 `json:"alpha"`
	AlphaEach float64 `json:"alpha_each"`      // of each bound, where a duel has several looks
	Looks     []int   `json:"looks,omitempty"` // after how many blocks the duel could end with a verdict
	Baseline  File    `json:"baseline"`
	Candidate File    `json:"candidate"`
	Pairing   string  `json:"pairing"` // which samples belong together, and how that is known

	Rows     []Row       `json:"rows"`
	Failures *FailureRow `json:"failures,omitempty"` // of requests, where both files count them
	// of single requests of several, as far as some of them failed
	RequestFailures []RequestFailureRow `json:"failures_by_request,omitempty"`
	Statuses        *StatusRow          `json:"statuses,omitempty"` // of answers, where both files count them
	Limits          []LimitRow          `json:"limits,omitempty"`   // what the candidate of a duel has to keep by itself
	Problems        []string            `json:"problems"`           // why there is no verdict, or none but regressed
	Gaps            []string            `json:"gaps"`               // what is missing for a pass, beside rows
	NotGated        []NotGated          `json:"not_gated"`          // units in the files that are in no row
	Notes           []string            `json:"notes"`
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
	Config    string `json:"config,omitempty"`  // what tells it from others of its name
	Request   string `json:"request,omitempty"` // the one that it is about, of several; empty: all
	Unit      string `json:"unit"`
	Better    string `json:"better"`      // higher, lower
	From      string `json:"better_from"` // file: it declares the direction; name: that of the unit

	// a count that is the same in all samples of a side: compared without a test
	Exact            bool     `json:"exact,omitempty"`
	Paired           bool     `json:"paired"`
	BaselineSamples  int      `json:"baseline_samples"` // where paired: as many pairs
	CandidateSamples int      `json:"candidate_samples"`
	BaselineMedian   *float64 `json:"baseline_median,omitempty"` // in Unit
	CandidateMedian  *float64 `json:"candidate_median,omitempty"`
	Change           *float64 `json:"change,omitempty"` // the estimate
	// the interval, each end wrong with probability alpha_each at most
	ChangeLowest  *float64 `json:"change_lowest,omitempty"`
	ChangeHighest *float64 `json:"change_highest,omitempty"` //
	Allowed       float64  `json:"allowed"`                  // the margin as a change: negative where higher is better
	P             *float64 `json:"p,omitempty"`              // one-sided, of being as much worse by chance
	PNeeded       *float64 `json:"p_needed,omitempty"`       // how small p had to be for regressed, after Holm

	Verdict  verdict.Verdict `json:"verdict"`
	Improved bool            `json:"improved,omitempty"` // shown to be better: all of its interval is
	Required bool            `json:"required,omitempty"` // to be shown to be better, for a pass
	Reason   string          `json:"reason,omitempty"`

	Benchstat *Benchstat `json:"benchstat,omitempty"`

	Comparison verdict.Comparison `json:"-"` // what changes were computed from; zero where nothing was
}

// FailureRow compares how often requests failed in a duel.
type FailureRow struct {
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

// RequestFailureRow compares how often one of several requests failed.
type RequestFailureRow struct {
	Request string `json:"request"`
	FailureRow
}

// LimitRow is an objective that the candidate of a duel has to keep, whatever the baseline does.
// Values are seconds, and of failed requests a share.
type LimitRow struct {
	Objective string   `json:"objective"` // such as p99<50ms
	Limit     float64  `json:"limit"`
	Blocks    int      `json:"blocks"`
	Baseline  float64  `json:"baseline_median"` // of all blocks
	Candidate float64  `json:"candidate_median"`
	Lowest    *float64 `json:"lowest,omitempty"` // the interval of the candidate's
	Highest   *float64 `json:"highest,omitempty"`

	Verdict verdict.Verdict `json:"verdict"` // pass: shown to be below the limit
	Reason  string          `json:"reason,omitempty"`

	Texts [3]string `json:"-"` // values of the baseline and of the candidate, and the interval, as people read them
}

// StatusRow says how many answers of a duel had which status. It has no verdict of its own: what is
// no success is among the failures, and what differs otherwise among the gaps.
type StatusRow struct {
	Blocks    int               `json:"blocks"`
	Baseline  map[string]uint64 `json:"baseline"`
	Candidate map[string]uint64 `json:"candidate"`
}

// Benchstat is what benchstat makes of the samples of a row.
type Benchstat struct {
	Delta string  `json:"delta"` // as it prints it: ~ where it sees no difference
	P     float64 `json:"p"`     // two-sided; 0 where the unit is declared exact
	Says  Says    `json:"says"`
}

// Name is how a row is called in a sentence.
func (r Row) Name() string {
	if r.Request != "" {
		return r.Request + " " + r.Unit
	}
	if r.Config != "" {
		return r.Benchmark + " (" + r.Config + ") " + r.Unit
	}
	return r.Benchmark + " " + r.Unit
}
