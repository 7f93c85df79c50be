package result

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"rampart/loadtest/inject"
)

// SideNames are the names of the sides of a duel, by their place in a [Block].
var SideNames = [2]string{"baseline", "candidate"}

// Duel is what a duel measured, and what was planned before.
type Duel struct {
	Version             string // of rampart
	Started             time.Time
	Elapsed             time.Duration
	Baseline, Candidate string  // how they were started, or where they run
	Target              string  // what they were asked
	Expect              string  // what an answer had to be, see [inject.ParseExpect]; empty: a status of 2xx
	Machine             Machine // that injected
	Seed                uint64
	VUs                 int
	Slice               time.Duration
	Plan                Plan
	Blocks              []Block   // finished ones, in the order in which they ran
	Answers             [2]string // one answer of each side, shortened, as people read it
}

// Plan is how a duel is to be judged. It does not depend on which side is better: it is made before
// the second block.
type Plan struct {
	Looks   []int              // after how many blocks the duel may end with a verdict
	Alpha   float64            // highest chance of each of the two wrong verdicts
	Units   []string           // that are judged; nil: none is chosen yet
	Omitted []Omitted          // units that are not, and why
	Margins map[string]float64 // by what fraction a unit may become worse, where that is not the usual
	Require []string           // units that have to be shown to be better

	// Requests are those that both sides are asked, where they are several. Nil: they are one.
	Requests []PlannedRequest

	SLO string // what the candidate has to keep, as [slo.Parse] reads it, without blanks; empty: nothing

	AnyAnswer bool // the answers of both sides need not be alike
	Strict    bool // their bodies have to be the same
}

// Omitted is a unit that a duel does not judge.
type Omitted struct {
	Unit string     `json:"unit"`
	Why  WhyOmitted `json:"why"`
}

// WhyOmitted says why a unit is not judged.
type WhyOmitted string

// The reasons.
const (
	NotAsked WhyOmitted = "not-asked" // the user named others
	Few      WhyOmitted = "few"       // the first block has too few requests for it
	Weaker   WhyOmitted = "weaker"    // another unit says the same with more power
	Unknown  WhyOmitted = "unknown"   // the first block could not know it of both sides
)

// Block is one fresh start of both sides with all its slices of load.
type Block struct {
	Number         int // from 1
	CandidateFirst bool
	Sides          [2]Side // baseline and candidate
	// Others is the share of the machine's processor time that processes used which are neither a
	// server nor the injector; nil: could not be known.
	Others *float64
}

// Side is what one side did in a block.
type Side struct {
	inject.Measurement         // of all slices; Requests and what is said of them are of their timed parts
	ServerCPU          *CPU    // over the whole block; nil: not known
	NoServerCPU        string  // why ServerCPU is not known
	Memory             *Memory // of the server; nil: not known
	NoMemory           string  // why Memory is not known
	Warmth             Warmth  // before it was measured
	FirstHalf          *Part   // of the slices; nil: not known
	Output             string  // the last that the server said in a block in which requests of it failed; empty: it is not ours
}

// Memory is how many bytes a server held: the proportional set sizes of its processes.
type Memory struct {
	Start int64 `json:"start_bytes"` // after the warm-up
	Peak  int64 `json:"peak_bytes"`  // the most of some looks between slices
	End   int64 `json:"end_bytes"`   // after the last slice
}

// Growth is how many bytes more a server held with each request, on average; NaN: not known.
func (s Side) Growth() float64 {
	if s.Memory == nil || s.Completed == 0 {
		return math.NaN()
	}
	return float64(s.Memory.End-s.Memory.Start) / float64(s.Completed)
}

// Throughput is the requests per second of all slices, by Little's law; see
// [inject.Slice.Throughput]. None is left out: a slice that took long may have met a slow server.
func (s Side) Throughput() float64 {
	return inject.Slice{Requests: s.Requests, Spent: s.busy()}.Throughput(s.VUs)
}

// busy is the time that the VUs spent in timed requests, in connecting for them, and in what counts
// for nothing.
func (s Side) busy() time.Duration { return s.LatencySum + s.ConnectSum + s.WastedSum }

// Whole reports whether both sides of a block served every request.
func (b Block) Whole() bool {
	for _, s := range b.Sides {
		if s.Failures.Total() > 0 || s.Requests == 0 {
			return false
		}
	}
	return true
}

// whyNoServerCPU says why the processor time of the server is not known; empty: it is.
func (s Side) whyNoServerCPU() string {
	if s.ServerCPU != nil && s.ServerCPU.Used == 0 {
		return "the server says that it used none"
	}
	return s.NoServerCPU
}

// Notes are what a verdict repeats of one side, though it does not change it.
func (d Duel) Notes(side int) (notes []string) {
	var unknown []Block
	for _, b := range d.Blocks {
		if b.Sides[side].whyNoServerCPU() != "" {
			unknown = append(unknown, b)
		}
	}
	if len(unknown) > 0 {
		first := unknown[0]
		notes = append(notes, fmt.Sprintf("server CPU of the %s is not known in %d of %d blocks; in block %d: %s", SideNames[side],
			len(unknown), len(d.Blocks), first.Number, strings.Join(strings.Fields(first.Sides[side].whyNoServerCPU()), " ")))
	}
	if n, first := d.noMemory(side); n > 0 {
		notes = append(notes, fmt.Sprintf("memory of the %s is not known in %d of %d blocks; in block %d: %s", SideNames[side], n,
			len(d.Blocks), first.Number, strings.Join(strings.Fields(first.Sides[side].NoMemory), " ")))
	}
	if took, ok := d.slowAfterRest(); side == 1 && ok {
		notes = append(notes, fmt.Sprintf("the first request after a rest of some milliseconds took %v of the candidate on average, and %v of "+
			"the baseline: the load is steady in what is judged, and no verdict is about these", rounded(took[1]), rounded(took[0])))
	}
	notes = append(notes, d.warmNotes(side)...)
	lengths := func(b Block) bool { return b.Sides[side].Answers.Lengths.Others > 0 }
	if i := slices.IndexFunc(d.Blocks, lengths); i >= 0 && !d.Plan.AnyAnswer {
		notes = append(notes, fmt.Sprintf("answers of the %s are of more than %d lengths, in block %d: rare ones are compared by the "+
			"average of all", SideNames[side], len(d.Blocks[i].Sides[side].Answers.Lengths.Seen), d.Blocks[i].Number))
	}
	if n, most := d.shared(); n > 0 {
		notes = append(notes, fmt.Sprintf("other processes used the machine in %d of %d blocks, up to %.0f %% of its processor time: "+
			"intervals are wider for it", n, len(d.Blocks), 100*most))
	}
	return notes
}

// noMemory returns in how many blocks the memory of a side is not known, and the first of them.
func (d Duel) noMemory(side int) (n int, first Block) {
	for _, b := range d.Blocks {
		if b.Sides[side].NoMemory == "" {
			continue
		}
		if n++; n == 1 {
			first = b
		}
	}
	return n, first
}

// Gaps are what forbids a pass and is in no number: first answers of two kinds, where no others are
// known. Both files of a duel have them.
func (d Duel) Gaps() []string {
	x, y := kindOf(d.Answers[0]), kindOf(d.Answers[1])
	if x == y || x == "" || y == "" || d.Plan.AnyAnswer {
		return nil
	}
	return []string{fmt.Sprintf("answers of one kind: those of the baseline are %q, and those of the candidate %q; a wrong answer "+
		"may be a fast one, so look at both, and say -answers none if they are meant to differ", x, y)}
}

// kindOf is status, type and encoding of an answer. The protocol may differ: that is how, and not
// what.
func kindOf(answer string) string {
	head, _, _ := strings.Cut(answer, ` "`)
	_, kind, _ := strings.Cut(head, " ")
	return kind
}

// A candidate is noted to be slow after a rest where, in half of at least so many blocks, its first
// requests take more than so many times as long as the baseline's, beside what its others do.
const (
	restBlocks = 4
	restFactor = 2
)

// slowAfterRest returns how long the first request of a VU in a slice takes of both sides, on
// average. ok: that of the candidate is slow, and its others are not.
func (d Duel) slowAfterRest() (took [2]time.Duration, ok bool) {
	var sum [2]time.Duration
	var n [2]uint64
	var ratios []float64
	for _, b := range d.Blocks {
		var ratio [2]float64
		for side, s := range b.Sides {
			sum[side] += s.LeadSum
			n[side] += s.Leads
			if s.Leads > 0 && s.Requests > 0 && s.LatencySum > 0 {
				ratio[side] = s.LeadSum.Seconds() / float64(s.Leads) / s.Mean().Seconds()
			}
		}
		if ratio[0] > 0 && ratio[1] > 0 {
			ratios = append(ratios, ratio[1]/ratio[0])
		}
	}
	if len(ratios) < restBlocks {
		return took, false
	}
	for side := range took {
		took[side] = sum[side] / time.Duration(n[side])
	}
	slices.Sort(ratios)
	return took, ratios[len(ratios)/2] > restFactor && ratios[(len(ratios)-1)/2] > restFactor
}

// rounded is a time as people read it.
func rounded(d time.Duration) time.Duration {
	unit := time.Microsecond
	for d >= 1000*unit {
		unit *= 10
	}
	return d.Round(unit)
}

// noteShare is the share of the processors from which on it is noted that others used them.
const noteShare = 0.1

// shared says in how many blocks other processes used more of the machine than is usual, and the
// highest share.
func (d Duel) shared() (n int, most float64) {
	for _, b := range d.Blocks {
		if b.Others != nil && *b.Others > noteShare {
			n, most = n+1, max(most, *b.Others)
		}
	}
	return n, most
}

// Doubt says why a side is not to be trusted; empty: nothing is known against it.
func (s Side) Doubt() string {
	if s.Strain.Busy > inject.TooBusy {
		return fmt.Sprintf("the injector was busy for %.0f %% of the slices: it may have measured itself", 100*s.Strain.Busy)
	}
	return ""
}

// Name is that of the benchmark in the files of the duel, as package testing would make it: with
// the processors at its end.
func (d Duel) Name() string {
	name := fmt.Sprintf("Duel/vus=%d", d.VUs)
	if d.Machine.CPUs > 1 {
		name = fmt.Sprintf("%s-%d", name, d.Machine.CPUs)
	}
	return name
}
