package loadtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rampart/loadtest/gate"
	"rampart/loadtest/host"
	"rampart/loadtest/inject"
	"rampart/loadtest/result"
	"rampart/loadtest/slo"
	"rampart/loadtest/verdict"
)

// What a Duel does where it is not told otherwise.
const (
	DefaultDuelSide    = 500 * time.Millisecond
	DefaultDuelTimeout = 10 * time.Second // each block in which a request hangs waits for it once
)

// DefaultLooks returns after how many blocks a duel is judged. Nine are the fewest of which one of
// five units can be shown to be worse.
func DefaultLooks() []int { return []int{9, 12, 16, 24} }

// Duel compares two servers. It runs blocks: each starts both servers afresh, in random order, and
// then puts slices of some milliseconds of load on one and the other in turns, in an order drawn
// anew for each pair. So whatever the machine does meanwhile does it to both. After some blocks it
// looks at the verdict ([verdict.Rule]) and ends as soon as there is one.
//
// The method follows Bulej et al., "Duet Benchmarking: Improving Measurement Accuracy in the Cloud"
// (ICPE 2020), but takes turns where they run both at the same time: on two processors the two
// would take them from each other.
//
// Only the contenders have to be set.
type Duel struct {
	Baseline, Candidate Contender

	Request inject.HTTPConfig  // what both are asked; the host of its URL is that of the contender
	VUs     int                // 0: two for each processor that the servers have
	Timeout time.Duration      // a request that takes longer is a failure; 0: DefaultDuelTimeout
	Warmup  time.Duration      // how long each side is loaded before that in a block; 0: until neither falls any more, see [WarmupLimit]
	Side    time.Duration      // how long each side is loaded in a block; 0: DefaultDuelSide. Slow servers get longer
	Slice   time.Duration      // length of a slice; 0: found in the first block
	Alpha   float64            // of each of the two wrong verdicts; 0: 0.05
	Looks   []int              // after how many blocks to judge; nil: those of [DefaultLooks]
	Units   []string           // to judge, of those that the result has; nil: all but p99-ns; slow/op, of many requests, has more power
	Margins map[string]float64 // by what fraction a unit may become worse, where that is not the usual
	Require []string           // units that have to be shown to be better
	SLO     slo.SLO            // what the candidate has to keep, whatever the baseline does
	Seed    uint64             // of all that is drawn; 0: drawn itself

	// AnyAnswer says that the answers of both sides need not be alike. Else those of another status,
	// type, encoding or length are no pass, however few they are.
	AnyAnswer bool
	// StrictAnswers says that their bodies have to be the same.
	StrictAnswers bool

	// OnBlock, if not nil, is called after each block with all that is known by then.
	OnBlock func(DuelResult)
	// Progress, if not nil, is told about each block.
	Progress Progress

	on       host.Affinity
	pinned   *[2]string    // addresses of servers that run already: a name leads to the same one in all blocks
	limit    time.Duration // of a warm-up that has no length; 0: WarmupLimit
	expected time.Duration // how long the next block takes

	numbers *[2]atomic.Uint64 // of the numbered requests of each side
}

// sideNames are those of the baseline and the candidate.
var sideNames = result.SideNames

// DuelResult is what a duel measured, and its verdict after the blocks that there are.
type DuelResult struct {
	result.Duel
	Report gate.Report
}

func (d Duel) withDefaults() Duel {
	if d.VUs == 0 {
		d.VUs = 2 * d.on.ServerCPUs()
	}
	if d.Timeout == 0 {
		d.Timeout = DefaultDuelTimeout
	}
	if d.Side == 0 {
		d.Side = DefaultDuelSide
	}
	if d.limit == 0 {
		d.limit = WarmupLimit
	}
	d.expected = 2 * (d.Side + cmp.Or(d.Warmup, leastWarmup))
	if d.Alpha == 0 {
		d.Alpha = 0.05
	}
	if d.Looks == nil {
		d.Looks = DefaultLooks()
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

// Run runs the duel. Meanwhile it keeps this whole process on the processors of the injector, see
// [host.Affinity], with all that it does besides. The error says that it could not be run to its
// end: a server did not start or died, with its last words, or ctx is done. Then the result holds
// the blocks that were finished.
func (d Duel) Run(ctx context.Context) (DuelResult, error) {
	if err := d.elsewhere(); err != nil {
		return DuelResult{}, err
	}
	on, err := host.Split()
	if err != nil {
		return DuelResult{}, err
	}
	if d.Baseline.Command == "" || d.Candidate.Command == "" {
		on = host.Affinity{} // where they run is not for us to say
	}
	d.on = on
	d.pinned, d.numbers = new([2]string), new([2]atomic.Uint64)
	d = d.withDefaults()
	if d.Request.URL == nil {
		d.Request.URL = &url.URL{Scheme: "http", Path: "/"}
	}
	d.Request.Compare = d.compares()
	unpin, err := d.on.Pin()
	if err != nil {
		return DuelResult{}, err
	}
	defer unpin()
	if _, err := verdict.NewLooks(d.Looks...); err != nil {
		return DuelResult{}, err
	}
	result := DuelResult{Duel: result.Duel{
		Version: Version(), Started: time.Now(), Machine: thisMachine(),
		Baseline: d.Baseline.String(), Candidate: d.Candidate.String(),
		Target: asked(d.Request), Expect: d.Request.Expect.String(), Seed: d.Seed, VUs: d.VUs, Slice: d.Slice,
		Plan: result.Plan{
			Looks: d.Looks, Alpha: d.Alpha, Margins: d.Margins, Require: d.Require,
			SLO: strings.Join(strings.Fields(d.SLO.String()), ""), AnyAnswer: d.AnyAnswer, Strict: d.StrictAnswers,
		},
	}}
	result.Report = gate.JudgeDuel(result.Duel)
	for last := d.Looks[len(d.Looks)-1]; len(result.Blocks) < last; {
		begun := time.Now()
		block, err := d.block(ctx, &result)
		d.expected = time.Since(begun)
		result.Elapsed = time.Since(result.Started)
		if err != nil {
			return result, fmt.Errorf("block %d: %w", len(result.Blocks)+1, err)
		}
		result.Blocks = append(result.Blocks, block)
		if len(result.Blocks) == 1 {
			result.Plan.Choose(d.Units, block)
		}
		result.Report = gate.JudgeDuel(result.Duel)
		if d.OnBlock != nil {
			d.OnBlock(result)
		}
		decided := result.Report.Verdict == verdict.Pass || result.Report.Verdict == verdict.Regressed
		if slices.Contains(d.Looks, len(result.Blocks)) && (decided || result.Cold()) {
			break
		}
	}
	return result, nil
}

// elsewhere says what would send the load of both sides to one place, which would compare a server
// with itself and pass.
func (d Duel) elsewhere() error {
	switch {
	case d.Request.Socket != "":
		return fmt.Errorf("request to the unix socket %s: the load of both sides would go there, and to neither contender; "+
			"leave Socket empty, and name the socket of a contender by its Address, unix:PATH", d.Request.Socket)
	case d.Request.Address != "":
		return fmt.Errorf("request to the address %s: the load of both sides would go there, and to neither contender; "+
			"leave Address empty", d.Request.Address)
	case len(d.Request.Requests) > 0 && d.Baseline.URI+d.Candidate.URI != "":
		return errors.New("several requests, and a contender with a URI of its own: want one of the two, as both say what is asked")
	}
	return nil
}

// compares is what is compared of answers.
func (d Duel) compares() inject.Compare {
	switch {
	case d.AnyAnswer:
		return inject.CompareNothing
	case d.StrictAnswers:
		return inject.CompareBodies
	}
	return inject.CompareKinds
}

// errOneServer says that a duel has no two sides.
var errOneServer = errors.New("baseline and candidate are one and the same server, of which nothing can be compared: " +
	"want two that listen at different ports or sockets, or that are asked for different paths")

// block runs one block.
func (d Duel) block(ctx context.Context, result *DuelResult) (b result.Block, err error) {
	b.Number = len(result.Blocks) + 1
	// Each block draws from the beginning, and its warm-up draws apart: how often they draw depends on
	// how fast the servers are.
	random := rand.New(rand.NewPCG(d.Seed, uint64(b.Number)))
	warming := rand.New(rand.NewPCG(d.Seed, ^uint64(b.Number)))
	b.CandidateFirst = random.IntN(2) == 1
	if d.Progress != nil {
		d.Progress.Begin(d.VUs, d.expected)
		defer d.Progress.End()
	}
	var contests [2]contest
	defer func() { err = errors.Join(err, d.stop(contests)) }()
	for i := range contests {
		side := i
		if b.CandidateFirst {
			side = 1 - i
		}
		contender, request := [2]Contender{d.Baseline, d.Candidate}[side], d.Request
		request.Address = d.pinned[side]
		request.Seed, request.Sequence = d.Seed^uint64(b.Number)<<32, &d.numbers[side]
		if contests[side], err = contender.start(ctx, d.on, request, d.Timeout); err != nil {
			return b, fmt.Errorf("the %s: %w", sideNames[side], err)
		}
		if contender.Command == "" && !strings.HasPrefix(contender.Address, "unix:") {
			d.pinned[side] = contests[side].target.Address()
		}
		if others := contests[side].target.Others(); len(others) > 0 && len(result.Blocks) == 0 {
			shown := [2]*string{&result.Baseline, &result.Candidate}[side]
			*shown += fmt.Sprintf(" (at %s; no load goes to the other addresses of the name: %s)", contests[side].target.Address(),
				strings.Join(others, ", "))
		}
	}
	if at := contests[0].target.Address(); d.Baseline.URI == d.Candidate.URI && host.SameServer(at, contests[1].target.Address()) {
		return b, fmt.Errorf("%w; they are at %s and %s", errOneServer, at, contests[1].target.Address())
	}
	var sessions [2]*inject.Session
	for side, c := range contests {
		if len(result.Blocks) == 0 {
			result.Answers[side] = c.target.Example()
		}
		if sessions[side], err = inject.Open(ctx, c.target, d.VUs, d.Timeout); err != nil {
			return b, fmt.Errorf("the %s: %w", sideNames[side], err)
		}
		defer sessions[side].Close()
		if err := sessions[side].Waste([2]Contender{d.Baseline, d.Candidate}[side].Waste, d.Seed+uint64(b.Number)); err != nil {
			return b, fmt.Errorf("the %s: %w", sideNames[side], err)
		}
	}

	slice := cmp.Or(result.Slice, shortestSlice)
	meters := metersOf(contests)
	warm, p50, err := d.warmUp(sessions, warmingUp{
		random: warming, slice: slice, meters: [2]CPUMeter{meters[0].meter, meters[1].meter}, blocks: result.Blocks,
		compiles: func() bool { return compiles(contests) },
	})
	if err != nil {
		return b, err
	}
	if result.Slice == 0 {
		slice = sliceLength(p50)
		result.Slice = slice
	}

	memory := holdingsOf(contests)
	lookAtMemory := func() {
		for side := range memory {
			memory[side].look()
		}
	}
	lookAtMemory()
	injector, machine := usage{meter: host.OwnCPU}, usage{meter: host.BusyTime}
	injector.edge()
	for side := range meters {
		meters[side].edge()
	}
	machine.edge()
	halves, err := d.inHalves(sessions, random, slice, &meters, lookAtMemory)
	if err != nil {
		return b, err
	}
	injector.edge()
	for side := range meters {
		meters[side].edge()
	}
	machine.edge()
	lookAtMemory()
	b.Others = othersBeside(machine, injector, meters, contests)
	for side, s := range sessions {
		b.Sides[side].Measurement = s.Take()
		b.Sides[side].Measurement.Condense()
		b.Sides[side].ServerCPU, b.Sides[side].NoServerCPU = meters[side].spent, meters[side].unknown()
		b.Sides[side].Warmth, b.Sides[side].FirstHalf = warm[side], halves[side]
		b.Sides[side].Memory, b.Sides[side].NoMemory = memory[side].seen, memory[side].unknown()
		if m := b.Sides[side].Measurement; m.Failures.Total() > 0 {
			b.Sides[side].Output = contests[side].output()
			if m.Completed == 0 {
				return b, fmt.Errorf("the %s answered none of %d requests: %v; its last words:\n%s", sideNames[side], m.Failures.Total(),
					m.Failures.ByName(), b.Sides[side].Output)
			}
		}
	}
	return b, nil
}

// metersOf returns meters for both servers. Where the numbers of the two would not mean the same,
// they say so.
func metersOf(contests [2]contest) (meters [2]usage) {
	var reason error
	places := [2]string{contests[0].target.Address(), contests[1].target.Address()}
	switch {
	case contests[0].told != contests[1].told:
		reason = errors.New("one side tells it on /metrics, the other one does not")
	case host.SameServer(places[0], places[1]) || host.Share(places[0], places[1]):
		reason = errors.New("one process serves both sides: what it uses for one cannot be told from what it uses for the other")
	}
	for side, c := range contests {
		meters[side].meter = c.cpu
		if reason != nil {
			meters[side].meter = unknownCPU(reason)
		}
	}
	return meters
}

// othersBeside is the share of the machine's processor time that was neither the injector's nor
// that of the servers; nil: not known.
func othersBeside(machine, injector usage, meters [2]usage, contests [2]contest) *float64 {
	servers := 0.0
	for side, c := range contests {
		switch {
		case host.Elsewhere(c.target.Address()):
		case meters[side].spent == nil || c.told:
			return nil
		default:
			servers += meters[side].spent.Cores()
		}
	}
	rest := others(machine.spent, injector.spent, servers)
	if rest == nil {
		return nil
	}
	share := rest.Cores() / float64(host.MachineCPUs())
	return &share
}

// stop ends both servers at once: each may take its time to answer what it has. The error says that
// one had ended by itself.
func (d Duel) stop(contests [2]contest) error {
	var errs [2]error
	var ending sync.WaitGroup
	for side, c := range contests {
		ending.Go(func() {
			if err := c.stop(); err != nil {
				errs[side] = fmt.Errorf("the %s %s: %w", sideNames[side], [2]Contender{d.Baseline, d.Candidate}[side], err)
			}
		})
	}
	ending.Wait()
	return errors.Join(errs[:]...)
}

// inHalves is the timed part of a block. It returns what both sides did in the first half of it;
// nil: it ended early. look is called now and then between slices.
func (d Duel) inHalves(sessions [2]*inject.Session, random *rand.Rand, slice time.Duration, meters *[2]usage, look func()) (
	halves [2]*result.Part, err error,
) {
	pairs := pairsFor(d.Side, slice)
	after := func(done int) {
		if done < pairs && memoryLookAfter(done, pairs) {
			look()
		}
	}
	sums, whole, err := d.takeTurns(sessions, random, slice, pairs/2, after)
	if err != nil || !whole {
		return halves, err
	}
	for side := range meters {
		meters[side].edge()
		halves[side] = &result.Part{Requests: sums[side].Requests, Busy: sums[side].Spent}
		if spent := meters[side].spent; spent != nil {
			halves[side].CPU = spent.Used
		}
	}
	_, whole, err = d.takeTurns(sessions, random, slice, pairs-pairs/2, func(done int) { after(pairs/2 + done) })
	if !whole {
		halves = [2]*result.Part{}
	}
	return halves, err
}

// takeTurns puts load on one side and the other, in pairs whose order is drawn, and returns what
// both did. It ends early, and is not whole, with a slice in which everything failed, or a request
// hung until its timeout: of such slices a block would take hours, and one with failures has no
// other use than to count them. What is to be done after each pair gets its number.
func (d Duel) takeTurns(sessions [2]*inject.Session, random *rand.Rand, slice time.Duration, n int, after ...func(done int)) (
	sums [2]inject.Slice, whole bool, err error,
) {
	for pair := range n {
		first := random.IntN(2)
		for _, side := range []int{first, 1 - first} {
			begun := time.Now()
			s, err := sessions[side].Slice(slice)
			if err != nil {
				return sums, false, err
			}
			sums[side].Add(s)
			if s.Failures > 0 && (s.Requests == 0 || time.Since(begun) >= d.Timeout) {
				return sums, false, nil
			}
		}
		for _, do := range after {
			do(pair + 1)
		}
	}
	return sums, true, nil
}
