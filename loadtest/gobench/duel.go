package gobench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"time"

	"rampart/loadtest/gate"
	"rampart/loadtest/host"
	"rampart/loadtest/result"
	"rampart/loadtest/verdict"
)

// What a Duel does where it is not told otherwise.
const (
	DefaultFor     = 5 * time.Minute
	DefaultTimeout = time.Minute
)

// DefaultLooks returns after how many blocks a benchmark is judged.
func DefaultLooks() []int { return []int{9, 12, 16, 24, 36, 54} }

// Duel compares the Go benchmarks of two sides. A block of a benchmark starts a fresh process of
// each side, in random order, linked with another arrangement of functions than in the block
// before, and lets both take turns in slices of milliseconds, in an order drawn anew for each pair,
// on the same processors. After some blocks it looks at the verdict ([verdict.Rule]); what is clear
// ends, and the others get its time.
//
// Processes take turns without knowing it: as long as the last result of one lies unread in its
// standard output, it waits. Where the operating system cannot do that, the processes of a block
// run one after the other, and the intervals are wider for it.
//
// Only Suites has to be set.
type Duel struct {
	Suites              []*Suite
	Baseline, Candidate string // what the sides are, for people
	Version             string // of the program that runs this, for the result; empty: unknown

	Bench   string             // pattern of benchmarks, as of go test -bench; empty: all
	Procs   []int              // as of go test -cpu; nil: all processors
	For     time.Duration      // for all of it, with linking; 0: DefaultFor
	Timeout time.Duration      // of a measurement; 0: DefaultTimeout
	Layouts int                // arrangements of functions; 1: the linker's own; 0: as many as there is time for
	Looks   []int              // after how many blocks to judge a benchmark; nil: those of [DefaultLooks]
	Alpha   float64            // of each of the two wrong verdicts; 0: 0.05
	Units   []string           // to judge; nil: the usual ones
	Margins map[string]float64 // by what fraction a unit may become worse, where that is not the usual
	Require []string           // units that have to be shown to be better
	Seed    uint64             // of all that is drawn; 0: drawn itself

	Missing, Remarks []string // what else is known to be missing for a pass, or worth knowing; see [Build]

	// OnStatus, if not nil, is told what is being done.
	OnStatus func(Status)
	// OnLook, if not nil, is told when a benchmark has had a look.
	OnLook func(Look)

	cpus []int         // to choose from
	side time.Duration // for how long each side is measured in a block; 0: usualSide
}

// Status is what a duel is doing.
type Status struct {
	What     string        // in words
	Done, Of int           // benchmarks that need no more time, of all
	Left     time.Duration // about; 0: nobody knows yet
}

// Look is what is known of a benchmark after some blocks.
type Look struct {
	Status
	Benchmark result.Benchmark
	Report    gate.Report // as if there were no other benchmark
	Result    *Result     // so far; its verdict is not made yet
}

// Result is what a duel measured, and its verdict.
type Result struct {
	result.BenchDuel
	Report gate.Report
}

// run is a duel that goes on.
type run struct {
	Duel
	Result
	rule     verdict.Rule
	deadline time.Time
	contests []contest
	listed   []found // what the baseline's benchmarks did when they were listed, by contest
	tried    []probe // what the slower side did then
	states   []state
	at       []int // place in Benchmarks; negative: not yet
}

func (d Duel) withDefaults() Duel {
	if d.For == 0 {
		d.For = DefaultFor
	}
	if d.Timeout == 0 {
		d.Timeout = DefaultTimeout
	}
	if d.side == 0 {
		d.side = usualSide
	}
	if d.Looks == nil {
		d.Looks = DefaultLooks()
	}
	if d.Alpha == 0 {
		d.Alpha = gate.DefaultAlpha
	}
	if d.Bench == "" {
		d.Bench = "."
	}
	if d.Procs == nil {
		d.Procs = []int{runtime.GOMAXPROCS(0)}
	}
	for d.Seed == 0 {
		d.Seed = rand.Uint64N(1 << 32)
	}
	return d
}

// Run runs the duel. The error says that it could not be run to its end: a side does not work, or
// ctx is done. Then the result holds what was measured.
func (d Duel) Run(ctx context.Context) (Result, error) {
	d = d.withDefaults()
	looks, err := verdict.NewLooks(d.Looks...)
	if err != nil {
		return Result{}, err
	}
	if d.cpus, err = host.Usable(); err != nil {
		return Result{}, err
	}
	name, model := machine()
	r := &run{Duel: d, rule: verdict.Rule{Alpha: d.Alpha, Looks: looks}, deadline: time.Now().Add(d.For)}
	r.BenchDuel = result.BenchDuel{
		Version: result.JSONVersion, Kind: result.KindBenchDuel, Rampart: cmp.Or(d.Version, "unknown"), Started: time.Now(),
		Baseline: d.Baseline, Candidate: d.Candidate, Seed: d.Seed,
		Machine: result.Machine{Host: name, OS: runtime.GOOS, Arch: runtime.GOARCH, CPU: model, CPUs: runtime.GOMAXPROCS(0)},
		Plan:    result.BenchPlan{Looks: d.Looks, Alpha: d.Alpha, Units: d.Units, Margins: d.Margins, Require: d.Require},
		Better:  map[string]string{}, Benchmarks: []result.Benchmark{},
		Missing: slices.Clone(d.Missing), Notes: slices.Clone(d.Remarks),
	}
	if !holds {
		r.note("on %s a process cannot be held between two measurements: the processes of a block ran one after the other, "+
			"and intervals are wider for it", runtime.GOOS)
	}
	err = r.prepare(ctx)
	if err == nil {
		err = r.measure(ctx)
	}
	r.conclude(err != nil)
	return r.Result, err
}

func (r *run) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// missing names what should be judged and was not measured.
func (r *run) missing(format string, args ...any) {
	r.BenchDuel.Missing = append(r.BenchDuel.Missing, fmt.Sprintf(format, args...))
}

// left is how much time is left.
func (r *run) left() time.Duration { return time.Until(r.deadline) }

func (r *run) status(what string) Status {
	done := 0
	for _, s := range r.states {
		if s.over {
			done++
		}
	}
	s := Status{What: what, Done: done, Of: len(r.states), Left: remaining(r.states, r.Looks, r.left())}
	if r.OnStatus != nil {
		r.OnStatus(s)
	}
	return s
}

// prepare links what is needed first and finds out which benchmarks there are.
func (r *run) prepare(ctx context.Context) error {
	for i, s := range r.Suites {
		r.status(fmt.Sprintf("%s: build, and list benchmarks (%d of %d packages)", name(s), i+1, len(r.Suites)))
		if err := r.arrange(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", name(s), err)
		}
		var sides [2]catalog
		for side := range sides {
			b, err := s.Sides[side].binary(ctx, s.layouts(1)[side])
			if err == nil {
				sides[side], err = b.list(ctx, r.Bench, r.Procs, r.Timeout)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", name(s), sideError{side, err})
			}
		}
		r.enter(s, sides)
	}
	if err := r.check(); err != nil {
		return err
	}
	if len(r.contests) == 0 && len(r.Failed) == 0 && len(r.BenchDuel.Missing) == 0 {
		return fmt.Errorf("no benchmark that both sides have matches %q (-bench)%s", r.Bench,
			strings.Join(append([]string{""}, r.Notes...), "; "))
	}
	return nil
}

// check says which units and margins are asked for that no benchmark has, before anything else is
// measured.
func (r *run) check() error {
	d := r.BenchDuel
	for i, c := range r.contests {
		d.Benchmarks = append(d.Benchmarks, result.Benchmark{
			Package: c.suite.Package, Name: printedName(c.name, c.procs), Iterations: 1,
			Blocks: []result.BenchBlock{{Number: 1, Sides: [2][]result.Metric{r.listed[i].Metrics}}},
		})
	}
	return gate.CheckBenchDuel(d)
}

func name(s *Suite) string {
	if s.Package == "" {
		return "the test binaries"
	}
	return s.Package
}

// arrange chooses how many arrangements of functions there are, and makes the first. Linking may
// take a third of the time.
func (r *run) arrange(ctx context.Context, s *Suite) error {
	s.arrangements = max(r.Layouts, 1)
	if r.Layouts == 1 {
		return nil
	}
	begun := time.Now()
	for _, side := range s.Sides {
		if _, err := side.binary(ctx, 1); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if _, plain := side.binary(ctx, 0); plain != nil {
				return plain
			}
			s.arrangements = 1
			r.note("%s: the linker makes no other arrangements of functions (%s), so luck with alignment is in no interval",
				name(s), firstLine(err))
			return nil
		}
	}
	if r.Layouts == 0 {
		share := r.For / time.Duration(3*len(r.Suites))
		s.arrangements = int(max(2, min(1+share/max(time.Since(begun), time.Millisecond), mostLayouts)))
	}
	return nil
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
	return line
}

// enter takes a package's benchmarks that both sides have, and says which only one has.
func (r *run) enter(s *Suite, sides [2]catalog) {
	if s.Package == "" {
		s.Package = sides[1].pkg
	}
	in := func(name string) string {
		if s.Package == "" {
			return name
		}
		return s.Package + " " + name
	}
	for side := range sides {
		for unit, better := range sides[side].better {
			r.Better[unit] = better
		}
	}
	for _, b := range sides[0].found {
		i := slices.IndexFunc(sides[1].found, func(c found) bool { return c.printed() == b.printed() })
		if i >= 0 {
			r.contests = append(r.contests, contest{suite: s, name: b.name, procs: b.procs})
			r.listed = append(r.listed, b)
			tried := probe{
				iterations: 1, each: max(b.nanoseconds(), sides[1].found[i].nanoseconds()),
				wall: max(b.wall, sides[1].found[i].wall),
			}
			r.tried = append(r.tried, tried)
			r.states = append(r.states, state{each: guess(tried)})
			r.at = append(r.at, -1)
			continue
		}
		how, failed := sides[1].failed[b.name]
		why, skipped := sides[1].skipped[b.name]
		switch {
		case failed:
			r.Failed = append(r.Failed, fmt.Sprintf("%s failed in the candidate: %s", in(b.printed()), shorten(how)))
		case skipped:
			r.missing("%s skips itself in the candidate: %s", in(b.printed()), shorten(why))
		default:
			r.missing("%s is only in the baseline", in(b.printed()))
		}
	}
	for _, c := range sides[1].found {
		if slices.ContainsFunc(sides[0].found, func(b found) bool { return c.printed() == b.printed() }) {
			continue
		}
		how, failed := sides[0].failed[c.name]
		why, skipped := sides[0].skipped[c.name]
		switch {
		case failed:
			r.note("%s failed in the baseline: nothing to compare it with: %s", in(c.printed()), shorten(how))
		case skipped:
			r.note("%s skips itself in the baseline: nothing to compare it with: %s", in(c.printed()), shorten(why))
		default:
			r.note("%s is only in the candidate: nothing to compare it with", in(c.printed()))
		}
	}
	for name, how := range sides[1].failed {
		if _, both := sides[0].failed[name]; both {
			r.Failed = append(r.Failed, fmt.Sprintf("%s failed on both sides: %s", in(name), shorten(how)))
		} else if !slices.ContainsFunc(sides[0].found, func(b found) bool { return b.name == name }) {
			r.Failed = append(r.Failed, fmt.Sprintf("%s failed in the candidate: %s", in(name), shorten(how)))
		}
	}
	for name, why := range sides[1].skipped {
		if _, both := sides[0].skipped[name]; both {
			r.note("%s skips itself on both sides: %s", in(name), shorten(why))
		}
	}
	slices.Sort(r.Failed)
}

// nanoseconds is what the iteration took; all of it, where the benchmark hides that.
func (f found) nanoseconds() float64 {
	if ns, ok := f.Find("ns/op"); ok {
		return ns
	}
	return float64(f.wall)
}

// guess is how long a block may take of which nothing else is known.
func guess(p probe) time.Duration { return 3*usualSide + 2*p.wall }

// shorten makes one line of what a process said.
func shorten(s string) string {
	const enough = 300
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > enough {
		s = strings.ToValidUTF8(s[:enough], "") + "…"
	}
	return s
}

// measure runs blocks until all is clear or the time is over.
func (r *run) measure(ctx context.Context) error {
	for {
		i := next(r.states, r.Looks, r.left())
		if i < 0 {
			return nil
		}
		if err := r.toNextLook(ctx, i); err != nil {
			return err
		}
		if r.at[i] < 0 {
			continue // it failed before it had a block
		}
		b := r.Benchmarks[r.at[i]]
		one := r.BenchDuel
		one.Benchmarks, one.Failed, one.Missing, one.Notes = []result.Benchmark{b}, nil, nil, nil
		report := gate.JudgeBenchDuel(one)
		r.decide(i, report)
		if r.OnLook != nil {
			r.OnLook(Look{Status: r.status(b.Name), Benchmark: b, Report: report, Result: &r.Result})
		}
	}
}

// toNextLook runs the blocks of a benchmark until its next look.
func (r *run) toNextLook(ctx context.Context, i int) error {
	c, s := &r.contests[i], &r.states[i]
	failed := func(err error) error {
		var of sideError
		if ctx.Err() != nil || !errors.As(err, &of) {
			return err
		}
		s.over = true
		r.Failed = append(r.Failed, fmt.Sprintf("%s: block %d: %s", c, s.blocks+1, shorten(err.Error())))
		return nil
	}
	r.status(printedName(c.name, c.procs))
	if c.iterations == 0 {
		var err error
		if c.setting, err = r.calibrate(ctx, *c, r.tried[i]); err != nil {
			return failed(err)
		}
	}
	begun, before := time.Now(), s.blocks
	for look := nextLook(r.Looks, s.blocks); s.blocks < look; {
		b, err := r.block(ctx, *c, s.blocks+1)
		if err != nil {
			return failed(err)
		}
		if r.at[i] < 0 {
			r.at[i] = len(r.Benchmarks)
			r.Benchmarks = append(r.Benchmarks, result.Benchmark{
				Package: c.suite.Package, Name: printedName(c.name, c.procs),
				Iterations: c.iterations, Pairs: c.pairs, Serial: c.serial,
			})
		}
		to := &r.Benchmarks[r.at[i]]
		to.Blocks = append(to.Blocks, b)
		s.blocks++
		s.each = time.Since(begun) / time.Duration(s.blocks-before)
		if r.left() < time.Duration(look-s.blocks)*s.each/2 { // far slower than it seemed: no look is in sight
			s.over = true
			return nil
		}
	}
	return nil
}

// decide ends a benchmark that is clear.
func (r *run) decide(i int, report gate.Report) {
	s := &r.states[i]
	tested, open := 0, 0
	s.need = 0
	for _, row := range report.Rows {
		if !row.Exact {
			tested++
		}
	}
	// Among so many rows in all, if the others have as many.
	needed := r.rule.Needed(max(tested, 1) * len(r.contests))
	for _, row := range report.Rows {
		regressed := row.Verdict == verdict.Regressed && (row.Exact || row.P != nil && *row.P <= needed)
		if row.Verdict == verdict.Pass || regressed || row.Verdict == gate.Unjudged {
			continue
		}
		open++
		better := verdict.Lower
		if row.Better == "higher" {
			better = verdict.Higher
		}
		margin := better.Margin(math.Abs(row.Allowed))
		if n, ok := (verdict.Row{Comparison: row.Comparison, Margin: margin}).Enough(); ok {
			s.need = max(s.need, n)
		}
	}
	s.over = s.over || open == 0
}

// conclude makes the verdict, and says what was not measured.
func (r *run) conclude(interrupted bool) {
	var more time.Duration
	for i, c := range r.contests {
		s := r.states[i]
		what := c.String()
		next := nextLook(r.Looks, s.blocks)
		switch {
		case s.over && s.blocks == 0: // it failed
		case s.blocks == 0:
			cost := s.cost(r.Looks)
			more += cost
			if interrupted {
				r.missing("%s was not measured: interrupted", what)
			} else {
				r.missing("%s was not measured: the time was over (-for %v); it takes about %v", what, r.For,
					cost.Round(time.Second))
			}
		case !s.over && next > 0:
			need := next
			if s.need > need {
				need = s.need
			}
			more += time.Duration(need-s.blocks) * s.each
		}
	}
	if more > 0 && !interrupted {
		r.note("time: what is open would take about %v more; this was -for %v", max(more.Round(time.Second), time.Second),
			r.For)
	}
	r.sortBenchmarks()
	r.Elapsed = time.Since(r.Started)
	r.Report = gate.JudgeBenchDuel(r.BenchDuel)
}

// sortBenchmarks puts them into the order in which both sides have them, package by package.
func (r *run) sortBenchmarks() {
	var sorted []result.Benchmark
	for _, at := range r.at {
		if at >= 0 {
			sorted = append(sorted, r.Benchmarks[at])
		}
	}
	for i, at := 0, 0; i < len(r.at); i++ {
		if r.at[i] >= 0 {
			r.at[i], at = at, at+1
		}
	}
	if sorted != nil {
		r.Benchmarks = sorted
	}
}

// Exactly is the pattern of one benchmark, by its name without the number of processors.
func Exactly(name string) string { return exactly(name) }

// List lists the benchmarks of the baseline, by their names without the number of processors.
func (d Duel) List(ctx context.Context) (names []string, err error) {
	d = d.withDefaults()
	for _, s := range d.Suites {
		b, err := s.Sides[0].binary(ctx, 0)
		if err != nil {
			return nil, err
		}
		c, err := b.list(ctx, d.Bench, d.Procs[:1], d.Timeout)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name(s), err)
		}
		for _, f := range c.found {
			names = append(names, f.name)
		}
	}
	return names, nil
}
