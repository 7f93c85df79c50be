package loadtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"time"

	"rampart/loadtest/inject"
	"rampart/loadtest/report"
	"rampart/loadtest/verdict"
)

// What a Duel does where it is not told otherwise.
const (
	DefaultDuelSide    = 500 * time.Millisecond
	DefaultDuelTimeout = 10 * time.Second       // each block in which a request hangs waits for it once
	duelWarmup         = 200 * time.Millisecond // fresh processes, page faults, connections
)

// DefaultLooks are after how many blocks a duel is judged.
var DefaultLooks = []int{8, 12, 16, 24}

// Duel compares two servers. It runs blocks: each starts both servers afresh, in random order, and then puts slices of some
// milliseconds of load on one and the other in turns, in an order drawn anew for each pair. So whatever the machine does
// meanwhile does it to both. After some blocks it looks at the verdict ([verdict.Rule]) and ends as soon as there is one.
//
// The method follows Bulej et al., "Duet Benchmarking: Improving Measurement Accuracy in the Cloud" (ICPE 2020), but takes
// turns where they run both at the same time: on two processors the two would take them from each other.
//
// Only the contenders have to be set.
type Duel struct {
	Baseline, Candidate Contender

	Request inject.HTTPConfig  // what both are asked; the host of its URL is that of the contender
	VUs     int                // 0: two for each processor that the servers have
	Timeout time.Duration      // a request that takes longer is a failure; 0: DefaultDuelTimeout
	Side    time.Duration      // how long each side is loaded in a block; 0: DefaultDuelSide. Slow servers get longer
	Slice   time.Duration      // length of a slice; 0: found in the first block
	Alpha   float64            // of each of the two wrong verdicts; 0: 0.05
	Looks   []int              // after how many blocks to judge; nil: DefaultLooks
	Units   []string           // to judge, of those that the result has; nil: all, but p99-ns only of many requests
	Margins map[string]float64 // by what fraction a unit may become worse, where that is not the usual
	Seed    uint64             // of all that is drawn; 0: drawn itself

	// OnBlock, if not nil, is called after each block with all that is known by then.
	OnBlock func(DuelResult)
	// Progress, if not nil, is told about each block.
	Progress Progress

	on       affinity
	warmup   time.Duration // of each side in each block; 0: duelWarmup
	expected time.Duration // how long the next block takes
}

// DuelResult is what a duel found.
type DuelResult = report.Duel

func (d Duel) withDefaults() Duel {
	if d.VUs == 0 {
		d.VUs = 2 * d.on.serverCPUs()
	}
	if d.Timeout == 0 {
		d.Timeout = DefaultDuelTimeout
	}
	if d.Side == 0 {
		d.Side = DefaultDuelSide
	}
	if d.warmup == 0 {
		d.warmup = duelWarmup
	}
	d.expected = 2 * (d.Side + d.warmup)
	if d.Alpha == 0 {
		d.Alpha = 0.05
	}
	if d.Looks == nil {
		d.Looks = DefaultLooks
	}
	d.Seed = DrawSeed(d.Seed)
	return d
}

// DrawSeed returns seed, or one that is drawn where it is 0.
func DrawSeed(seed uint64) uint64 {
	for seed == 0 {
		seed = rand.Uint64N(1 << 32) // short enough to be typed again
	}
	return seed
}

// Run runs the duel. The error says that it could not be run to its end: a server did not start or died, with its last
// words, or ctx is done. Then the result holds the blocks that were finished.
func (d Duel) Run(ctx context.Context) (DuelResult, error) {
	on, err := split()
	if err != nil {
		return DuelResult{}, err
	}
	if d.Baseline.Command == "" || d.Candidate.Command == "" {
		on = affinity{} // where they run is not for us to say
	}
	d.on = on
	d = d.withDefaults()
	if d.Request.URL == nil {
		d.Request.URL = &url.URL{Scheme: "http", Path: "/"}
	}
	unpin, err := d.on.pin()
	if err != nil {
		return DuelResult{}, err
	}
	defer unpin()
	looks, err := verdict.NewLooks(d.Looks...)
	if err != nil {
		return DuelResult{}, err
	}
	result := DuelResult{
		Version: version(), Started: time.Now(), Machine: thisMachine(),
		Baseline: d.Baseline.String(), Candidate: d.Candidate.String(),
		Target: d.Request.URL.RequestURI(), Seed: d.Seed, VUs: d.VUs, Slice: d.Slice, Verdict: verdict.Inconclusive,
	}
	rule := verdict.Rule{Alpha: d.Alpha, Looks: looks}
	for last := d.Looks[len(d.Looks)-1]; len(result.Blocks) < last; {
		begun := time.Now()
		block, err := d.block(ctx, &result)
		d.expected = time.Since(begun)
		result.Elapsed = time.Since(result.Started)
		if err != nil {
			return result, fmt.Errorf("block %d: %w", len(result.Blocks)+1, err)
		}
		result.Blocks = append(result.Blocks, block)
		if d.Units == nil {
			d.Units = usualUnits(block)
		}
		result.Judge(rule, d.Units, d.Margins)
		if d.OnBlock != nil {
			d.OnBlock(result)
		}
		if slices.Contains(d.Looks, len(result.Blocks)) && result.Verdict != verdict.Inconclusive {
			break
		}
	}
	return result, nil
}

// fewestForP99 is how many requests make a 99th percentile worth judging. Of so many independent ones whose times spread
// exponentially, its standard deviation is 3 %; of 1500, 5.6 %.
const fewestForP99 = 5000

// usualUnits are the units to judge where nobody says it, by the requests of the first block. All blocks make about as many,
// and what a sample says of how many there are says nothing of which side is slower.
func usualUnits(first report.Block) []string {
	units := report.DuelUnits()
	if min(first.Sides[0].Requests, first.Sides[1].Requests) < fewestForP99 {
		units = slices.DeleteFunc(units, func(u string) bool { return u == "p99-ns" })
	}
	return units
}

// block runs one block.
func (d Duel) block(ctx context.Context, result *DuelResult) (b report.Block, err error) {
	b.Number = len(result.Blocks) + 1
	// Each block draws from the beginning, and its warm-up draws apart: how often they draw depends on how fast the servers are.
	random := rand.New(rand.NewPCG(d.Seed, uint64(b.Number)))
	warming := rand.New(rand.NewPCG(d.Seed, ^uint64(b.Number)))
	b.CandidateFirst = random.IntN(2) == 1
	if d.Progress != nil {
		d.Progress.Begin(d.VUs, d.expected)
		defer d.Progress.End()
	}
	var contests [2]contest
	for i := range contests {
		side := i
		if b.CandidateFirst {
			side = 1 - i
		}
		contender := [2]Contender{d.Baseline, d.Candidate}[side]
		if contests[side], err = contender.start(ctx, d.on, d.Request, d.Timeout); err != nil {
			return b, fmt.Errorf("the %s: %w", report.SideNames[side], err)
		}
		defer func() {
			if stopped := contests[side].stop(); stopped != nil {
				err = errors.Join(err, fmt.Errorf("the %s %s: %w", report.SideNames[side], contender, stopped))
			}
		}()
	}
	var sessions [2]*inject.Session
	for side, c := range contests {
		if sessions[side], err = inject.Open(ctx, c.target, d.VUs, d.Timeout); err != nil {
			return b, err
		}
		defer sessions[side].Close()
	}

	slice := result.Slice
	if slice == 0 {
		slice = shortestSlice
	}
	if err := d.warmUp(sessions, warming, slice); err != nil {
		return b, err
	}
	var slower time.Duration
	for _, s := range sessions {
		slower = max(slower, s.Take().Quantile(0.5))
	}
	if result.Slice == 0 {
		slice = sliceLength(slower)
		result.Slice = slice
	}

	var meters [2]usage
	for side, c := range contests {
		meters[side].meter = c.cpu
		meters[side].edge()
	}
	pairs, err := d.takeTurns(sessions, random, slice, pairsFor(d.Side, slice))
	if err != nil {
		return b, err
	}
	for side := range meters {
		meters[side].edge()
	}
	for side, s := range sessions {
		b.Sides[side].Measurement = s.Take()
		b.Sides[side].ServerCPU = meters[side].spent
		if m := b.Sides[side].Measurement; m.Failures.Total() > 0 {
			b.Sides[side].Output = contests[side].output()
			if m.Completed == 0 {
				return b, fmt.Errorf("the %s answered none of %d requests: %v; its last words:\n%s", report.SideNames[side], m.Failures.Total(),
					m.Failures.ByName(), b.Sides[side].Output)
			}
		}
	}
	for _, p := range keep(pairs) {
		for side := range p {
			b.Sides[side].Kept.Add(p[side])
		}
	}
	return b, nil
}

// fewestToWarm is how many pairs of slices a warm-up has at least. The first one also has to tell the median latency.
const fewestToWarm = 3

// warmUp takes turns until that has taken the time of the warm-up for each side, however long a slice really is.
func (d Duel) warmUp(sessions [2]*inject.Session, random *rand.Rand, slice time.Duration) error {
	begun := time.Now()
	for n := 0; n < fewestToWarm || time.Since(begun) < 2*d.warmup; n++ {
		if _, err := d.takeTurns(sessions, random, slice, 1); err != nil {
			return err
		}
		if time.Since(begun) >= d.Timeout {
			break
		}
	}
	return nil
}

// takeTurns puts load on one side and the other, in pairs whose order is drawn. It ends early with a slice in which everything
// failed, or a request hung until its timeout: of such slices a block would take hours, and one with failures has no other use than
// to count them.
func (d Duel) takeTurns(sessions [2]*inject.Session, random *rand.Rand, slice time.Duration, n int) ([]pair, error) {
	pairs := make([]pair, n)
	for i := range pairs {
		first := random.IntN(2)
		for _, side := range []int{first, 1 - first} {
			begun := time.Now()
			var err error
			if pairs[i][side], err = sessions[side].Slice(slice); err != nil {
				return nil, err
			}
			if s := pairs[i][side]; s.Failures > 0 && (s.Requests == 0 || time.Since(begun) >= d.Timeout) {
				return pairs[:i+1], nil
			}
		}
	}
	return pairs, nil
}
