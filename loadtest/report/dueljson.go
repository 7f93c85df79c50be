package report

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"time"

	"rampart/loadtest/verdict"
)

// The document of a duel. Its version is [JSONVersion], too.
type (
	duelDocument struct {
		Version        int             `json:"version"`
		Kind           string          `json:"kind"`
		Rampart        string          `json:"rampart"`
		Started        time.Time       `json:"started"`
		Elapsed        time.Duration   `json:"elapsed_ns"`
		Target         string          `json:"target"`
		Baseline       string          `json:"baseline"`
		Candidate      string          `json:"candidate"`
		Machine        Machine         `json:"machine"`
		Seed           uint64          `json:"seed"`
		VUs            int             `json:"vus"`
		Slice          time.Duration   `json:"slice_ns"`
		Verdict        verdict.Verdict `json:"verdict"`
		Rows           []duelRow       `json:"rows"`
		FailureVerdict verdict.Verdict `json:"failures_verdict"`
		Blocks         []duelBlock     `json:"blocks"`
	}
	duelRow struct {
		Unit    string          `json:"unit"`
		Better  string          `json:"better"`
		Change  float64         `json:"change"`
		Lowest  *float64        `json:"change_lowest,omitempty"`
		Highest *float64        `json:"change_highest,omitempty"`
		Allowed float64         `json:"allowed"`
		P       float64         `json:"p"`
		Needed  float64         `json:"p_needed"`
		Verdict verdict.Verdict `json:"verdict"`
	}
	duelBlock struct {
		Number int      `json:"block"`
		First  string   `json:"started_first"`
		Base   duelSide `json:"baseline"`
		Cand   duelSide `json:"candidate"`
	}
	duelSide struct {
		Requests   uint64            `json:"requests"`
		Kept       uint64            `json:"kept_requests"`
		Failed     uint64            `json:"failed"`
		Failures   map[string]uint64 `json:"failures"`
		Throughput float64           `json:"req_per_s"`
		ServerCPU  *float64          `json:"server_cpu_ns_per_op,omitempty"`
		Latency    documentLatency   `json:"latency"`
		Busy       float64           `json:"injector_busy"`
		Doubt      string            `json:"doubt,omitempty"`
		Output     string            `json:"last_words,omitempty"`
	}
)

// DuelJSON writes the duel as one versioned document, with every block and its histograms; README.md describes it.
func DuelJSON(w io.Writer, d Duel) error {
	doc := duelDocument{
		Version: JSONVersion, Kind: "duel", Rampart: d.Version, Started: d.Started, Elapsed: d.Elapsed, Target: d.Target,
		Baseline: d.Baseline, Candidate: d.Candidate, Machine: d.Machine, Seed: d.Seed, VUs: d.VUs, Slice: d.Slice,
		Verdict: d.Verdict, FailureVerdict: d.Failures.Verdict, Rows: []duelRow{}, Blocks: []duelBlock{},
	}
	for _, r := range d.Rows {
		doc.Rows = append(doc.Rows, newDuelRow(r))
	}
	for _, b := range d.Blocks {
		block := duelBlock{Number: b.Number, First: SideNames[0]}
		if b.CandidateFirst {
			block.First = SideNames[1]
		}
		for side, to := range []*duelSide{&block.Base, &block.Cand} {
			var err error
			if *to, err = newDuelSide(b.Sides[side]); err != nil {
				return fmt.Errorf("block %d: %w", b.Number, err)
			}
		}
		doc.Blocks = append(doc.Blocks, block)
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(doc)
}

func newDuelRow(r DuelRow) duelRow {
	row := duelRow{
		Unit: r.Unit, Better: "lower", Change: r.Better.Change(r.Estimate), Allowed: r.Better.Change(r.Margin),
		P: r.P, Needed: r.Needed, Verdict: r.Judgement.Verdict,
	}
	low, high := r.Row.Lower, r.Upper
	if r.Better == verdict.Higher { // where worse is less
		row.Better = "higher"
		low, high = high, low
	}
	row.Lowest, row.Highest = bound(r.Better, low), bound(r.Better, high)
	return row
}

// bound is a bound as a change, nil where there are too few blocks for one.
func bound(better verdict.Better, d float64) *float64 {
	if math.IsInf(d, 0) {
		return nil
	}
	x := better.Change(d)
	return &x
}

func newDuelSide(s Side) (duelSide, error) {
	d := duelSide{
		Requests: s.Completed, Kept: s.Kept.Requests, Failed: s.Failures.Total(), Failures: s.Failures.ByName(),
		Throughput: s.Kept.Throughput(s.VUs), Busy: s.Strain.Busy, Doubt: s.doubt(), Output: s.Output,
	}
	if s.ServerCPU != nil && s.Completed > 0 {
		ns := float64(s.ServerCPU.Used) / float64(s.Completed)
		d.ServerCPU = &ns
	}
	var err error
	d.Latency, err = newDocumentLatency(s.Measurement)
	return d, err
}
