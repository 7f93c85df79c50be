package result

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"rampart/loadtest/inject"
)

// KindDuel is the kind of the document of a duel.
const KindDuel = "duel"

// DuelDocument is what the document of a duel says of what was measured. Its version is
// [JSONVersion], too.
type DuelDocument struct {
	Version   int               `json:"version"`
	Kind      string            `json:"kind"`
	Rampart   string            `json:"rampart"`
	Started   time.Time         `json:"started"`
	Elapsed   time.Duration     `json:"elapsed_ns"`
	Target    string            `json:"target"`
	Baseline  string            `json:"baseline"`
	Candidate string            `json:"candidate"`
	Machine   Machine           `json:"machine"`
	Seed      uint64            `json:"seed"`
	VUs       int               `json:"vus"`
	Slice     time.Duration     `json:"slice_ns"`
	Expect    string            `json:"expect,omitempty"`
	Plan      *documentPlan     `json:"plan"`
	Answers   [2]string         `json:"answers"`
	Blocks    []documentOfBlock `json:"blocks"`
}

type (
	documentPlan struct {
		Looks   []int              `json:"looks"`
		Alpha   float64            `json:"alpha"`
		Units   []string           `json:"units"`
		Omitted []Omitted          `json:"omitted,omitempty"`
		Margins map[string]float64 `json:"margins,omitempty"`
		Require []string           `json:"require_better,omitempty"`

		Requests []PlannedRequest `json:"requests,omitempty"`

		SLO string `json:"slo,omitempty"`

		AnyAnswer bool `json:"any_answer,omitempty"`
		Strict    bool `json:"strict_answers,omitempty"`
	}
	documentOfBlock struct {
		Number    int          `json:"block"`
		First     string       `json:"started_first"`
		Others    *float64     `json:"others_share,omitempty"`
		Baseline  documentSide `json:"baseline"`
		Candidate documentSide `json:"candidate"`
	}
	documentSide struct {
		Requests   uint64            `json:"requests"`
		Timed      uint64            `json:"timed_requests"`
		TimedBusy  time.Duration     `json:"timed_busy_ns"`
		Connecting time.Duration     `json:"connect_busy_ns,omitempty"` // of TimedBusy: what is no latency
		Bodies     int64             `json:"body_bytes"`
		Leads      uint64            `json:"first_requests,omitempty"`
		Leading    time.Duration     `json:"first_busy_ns,omitempty"`
		Wasted     uint64            `json:"wasted_requests,omitempty"`
		Failed     uint64            `json:"failed"`
		Failures   map[string]uint64 `json:"failures"`
		Statuses   map[string]uint64 `json:"statuses,omitempty"`
		Answers    inject.Answers    `json:"answers,omitzero"`
		Throughput float64           `json:"req_per_s"`
		PerRequest *float64          `json:"server_cpu_ns_per_op,omitempty"`
		ServerCPU  *documentCPU      `json:"server_cpu,omitempty"`
		NoServer   string            `json:"server_cpu_unknown,omitempty"`
		Memory     *Memory           `json:"server_memory,omitempty"`
		NoMemory   string            `json:"server_memory_unknown,omitempty"`
		Latency    documentLatency   `json:"latency"`
		Busy       float64           `json:"injector_busy"`
		Doubt      string            `json:"doubt,omitempty"`
		Warmup     time.Duration     `json:"warmup_ns,omitempty"`
		Steady     time.Duration     `json:"steady_after_ns,omitempty"`
		Cold       string            `json:"cold,omitempty"`
		FirstHalf  *documentPart     `json:"first_half,omitempty"`
		Output     string            `json:"last_words,omitempty"`
		ByRequest  []documentAsked   `json:"by_request,omitempty"`
	}
	documentPart struct {
		Requests uint64        `json:"timed_requests"`
		Busy     time.Duration `json:"timed_busy_ns"`
		CPU      time.Duration `json:"server_cpu_ns,omitempty"`
	}
	documentCPU struct {
		Used    time.Duration `json:"used_ns"`
		Elapsed time.Duration `json:"elapsed_ns"`
	}
)

// NewDuelDocument makes the document of a duel.
func NewDuelDocument(d Duel) (DuelDocument, error) {
	plan := documentPlan(d.Plan)
	doc := DuelDocument{
		Version: JSONVersion, Kind: KindDuel, Rampart: d.Version, Started: d.Started, Elapsed: d.Elapsed, Target: d.Target,
		Baseline: d.Baseline, Candidate: d.Candidate, Machine: d.Machine, Seed: d.Seed, VUs: d.VUs, Slice: d.Slice,
		Expect: d.Expect, Plan: &plan, Answers: d.Answers, Blocks: []documentOfBlock{},
	}
	for _, b := range d.Blocks {
		block := documentOfBlock{Number: b.Number, First: SideNames[0], Others: b.Others}
		if b.CandidateFirst {
			block.First = SideNames[1]
		}
		for side, to := range []*documentSide{&block.Baseline, &block.Candidate} {
			var err error
			if *to, err = newDocumentSide(b.Sides[side]); err != nil {
				return doc, fmt.Errorf("block %d: %w", b.Number, err)
			}
		}
		doc.Blocks = append(doc.Blocks, block)
	}
	return doc, nil
}

func newDocumentSide(s Side) (documentSide, error) {
	d := documentSide{
		Requests: s.Completed, Timed: s.Requests, TimedBusy: s.busy(), Connecting: s.busy() - s.LatencySum,
		Bodies: s.Bodies, Failed: s.Failures.Total(),
		Leads: s.Leads, Leading: s.LeadSum, Wasted: s.Wasted,
		Failures: s.Failures.ByName(), Statuses: s.Answers.Statuses(), Answers: s.Answers, Throughput: s.Throughput(), Busy: s.Strain.Busy, Doubt: s.Doubt(), Output: s.Output,
		NoServer: s.NoServerCPU, Memory: s.Memory, NoMemory: s.NoMemory,
		Warmup: s.Warmth.Load, Steady: s.Warmth.Steady, Cold: s.Warmth.Cold, FirstHalf: (*documentPart)(s.FirstHalf),
		ByRequest: askedOfSide(s.Asked),
	}
	if s.ServerCPU != nil {
		cpu := documentCPU(*s.ServerCPU)
		d.ServerCPU = &cpu
		if s.Completed > 0 {
			ns := float64(s.ServerCPU.Used) / float64(s.Completed)
			d.PerRequest = &ns
		}
	}
	var err error
	d.Latency, err = newDocumentLatency(s.Measurement)
	return d, err
}

// ReadDuelJSON reads duel.json: all that a verdict rests on, exactly. What the document says of a
// verdict is passed over. The error says that it is no duel, or of a version that this program does
// not know.
func ReadDuelJSON(r io.Reader) (Duel, error) {
	var doc DuelDocument
	if err := decodeOne(r, "duel.json", &doc); err != nil {
		return Duel{}, err
	}
	switch {
	case doc.Version != JSONVersion:
		return Duel{}, fmt.Errorf("duel.json of version %d: want %d", doc.Version, JSONVersion)
	case doc.Kind != KindDuel:
		return Duel{}, fmt.Errorf("a document of kind %q is no duel: want duel.json, of kind %q", doc.Kind, KindDuel)
	case doc.Plan == nil:
		return Duel{}, errors.New("duel.json of an older version, without a plan: judge its two benchmark files instead")
	}
	d := Duel{
		Version: doc.Rampart, Started: doc.Started, Elapsed: doc.Elapsed, Baseline: doc.Baseline, Candidate: doc.Candidate,
		Target: doc.Target, Machine: doc.Machine, Seed: doc.Seed, VUs: doc.VUs, Slice: doc.Slice, Plan: Plan(*doc.Plan), Answers: doc.Answers,
		Expect: doc.Expect,
	}
	for _, b := range doc.Blocks {
		block := Block{Number: b.Number, CandidateFirst: b.First == SideNames[1], Others: b.Others}
		for side, from := range []documentSide{b.Baseline, b.Candidate} {
			var err error
			if block.Sides[side], err = from.side(d.VUs); err != nil {
				return Duel{}, fmt.Errorf("duel.json: block %d, %s: %w", b.Number, SideNames[side], err)
			}
		}
		d.Blocks = append(d.Blocks, block)
	}
	return d, nil
}

func (d documentSide) side(vus int) (s Side, err error) {
	s.Measurement = inject.Measurement{
		VUs: vus, Completed: d.Requests, Requests: d.Timed, LatencySum: d.TimedBusy - d.Connecting,
		ConnectSum: d.Connecting, Bodies: d.Bodies,
		Leads: d.Leads, LeadSum: d.Leading, Wasted: d.Wasted, Answers: d.Answers,
		Strain: inject.Strain{Busy: d.Busy},
	}
	s.Output, s.NoServerCPU, s.Memory, s.NoMemory = d.Output, d.NoServer, d.Memory, d.NoMemory
	s.Warmth, s.FirstHalf = Warmth{d.Warmup, d.Steady, d.Cold}, (*Part)(d.FirstHalf)
	if d.ServerCPU != nil {
		cpu := CPU(*d.ServerCPU)
		s.ServerCPU = &cpu
	}
	if s.Asked, err = askedOf(d.ByRequest); err != nil {
		return s, err
	}
	if s.Failures, err = inject.FailuresByName(d.Failures); err != nil || d.Latency.Histogram == "" {
		return s, err
	}
	if s.Latency, err = hdrhistogram.Decode([]byte(d.Latency.Histogram)); err != nil {
		return s, fmt.Errorf("histogram: %w", err)
	}
	if n := uint64(s.Latency.TotalCount()); n != d.Timed {
		return s, fmt.Errorf("%d latencies of %d requests in the histogram", n, d.Timed)
	}
	return s, nil
}

// decodeOne decodes a document that is all that there is.
func decodeOne(r io.Reader, name string, to any) error {
	dec := json.NewDecoder(r)
	if err := dec.Decode(to); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("%s: something comes after the result: want one result", name)
	}
	return nil
}
