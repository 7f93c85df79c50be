package loadtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"rampart/loadtest/capacity"
	"rampart/loadtest/host"
	"rampart/loadtest/inject"
	"rampart/loadtest/result"
)

// The rule of the windows of a confident ramp. A window is as short as it can be, so that a round
// is over before the machine has another mood, and still long enough that what is not timed is the
// smaller part: the first request of each VU, the last one while others are not through, and
// connecting. How short it is makes no difference to what it measures: each VU is timed from the
// end of a request to that of a later one, see [inject.Slice.Throughput].
const (
	longestShort       = 50 * time.Millisecond // a window that latency does not make longer
	windowsPerLevel    = 40                    // where DURATION is so short that the above would be too few
	latenciesPerWindow = 4
	fewestWindows      = 4 // of a level, unless two requests of each VU take longer
	connectsPerWindow  = 2 // times as long as connecting and disconnecting
)

// windowLength is how long a window should be, of levels that get so much time each, at a mean
// latency, where connecting and disconnecting take a time.
func windowLength(level, latency, connecting time.Duration) time.Duration {
	long := max(latenciesPerWindow*latency, connectsPerWindow*connecting)
	short := min(longestShort, level/windowsPerLevel)
	return max(min(long, level/fewestWindows), short, time.Millisecond)
}

// reportEvery is how often a confident ramp tells what it has so far, at most. Who is told may
// write files, which takes CPU time.
const reportEvery = 2 * time.Second

// sampling is at how many samples of a level two each are made one.
const sampling = 16

// part is what windows of one level measured.
type part struct {
	sum    inject.Measurement // Window and Warmup are the timed and the other time
	client *time.Duration     // processor time; nil: not known of each window
	server time.Duration      // processor time in the windows in which it was metered
	served uint64             // requests of these windows; 0: it is not known
}

// windows is what all windows of one level measured.
type windows struct {
	part
	unknown string        // why the processor time of the server is not known
	around  time.Duration // connecting and disconnecting, in the last window
	rounds  []result.Round
	samples []part
	each    int // windows in a sample
}

// confident runs the ramp by the confident rule.
func (r Ramp) confident(ctx context.Context) (Result, error) {
	if err := (inject.Load{VUs: 1, Warmup: r.Warmup, Window: r.Window, Timeout: r.Timeout}).Validate(); err != nil {
		return Result{}, err
	}
	run := &confidentRun{
		Ramp:   r,
		levels: make(map[int]*windows),
		result: Result{
			Kind: result.KindRamp, Version: Version(), Started: time.Now(), Machine: thisMachine(), Seed: DrawSeed(r.Seed),
		},
	}
	run.machine = usage{meter: r.busy}
	run.injector = usage{meter: r.Engine.CPU}
	run.thief = usage{meter: r.stolen}
	run.server = usage{meter: r.ServerCPU}
	run.edges()
	err := run.measure(ctx)
	run.edges()
	run.conclude()
	if r.Progress != nil {
		r.Progress.End()
	}
	if r.OnLevel != nil {
		whole := run.result
		for i := range whole.Levels {
			whole.Levels = run.result.Levels[:i+1]
			r.OnLevel(whole)
		}
	}
	return run.result, err
}

// confidentRun is a confident ramp that runs.
type confidentRun struct {
	Ramp
	search *capacity.Search
	levels map[int]*windows
	result Result

	machine, injector, thief, server usage // of the whole ramp

	metering time.Duration // spent in metering the server
}

func (r *confidentRun) edges() {
	for _, u := range []*usage{&r.machine, &r.injector, &r.thief, &r.server} {
		u.edge()
	}
}

// measure puts window after window on the target. The error is that of [Ramp.Run].
func (r *confidentRun) measure(ctx context.Context) error {
	plan := capacity.Plan{
		MaxVUs: r.MaxVUs, Seconds: r.duration().Seconds(), Seed: r.result.Seed,
		Bounded: r.SLO.BoundsFailures(),
	}
	if left, ok := timeLeft(ctx); ok {
		plan.Limit = max(left.Seconds(), 0)
	}
	for _, o := range r.SLO {
		_, _, limit := o.Share(inject.Measurement{})
		plan.Goals, plan.Counted = append(plan.Goals, limit), append(plan.Counted, o.Counts())
	}
	began := time.Now()
	if err := r.warmUp(ctx); err != nil {
		return r.stopped(ctx, min(warmingVUs, r.MaxVUs), err)
	}
	plan.Spent = time.Since(began).Seconds()
	r.search = capacity.NewSearch(plan)
	told, last := time.Now(), time.Now()
	for vus := r.search.Next(); vus > 0; vus = r.search.Next() {
		w, err := r.window(ctx, vus)
		if err != nil {
			return r.stopped(ctx, vus, err)
		}
		now := time.Now()
		w.Seconds = now.Sub(last).Seconds() // with what is done between windows
		last = now
		r.search.Add(w)
		if time.Since(told) >= reportEvery {
			r.conclude()
			r.tell()
			told = time.Now()
		}
	}
	reason, detail := r.search.Stop()
	r.result.Stop = Stop{Reason: reason, Detail: r.explain(reason, detail)}
	return nil
}

// tell tells who wants to know what there is so far.
func (r *confidentRun) tell() {
	if r.OnRound != nil {
		total, passed := r.search.Seconds()
		told := r.result
		told.Left = time.Duration(max(total-passed, 0) * float64(time.Second))
		r.OnRound(told)
	}
}

// stopped notes that the ramp ended before its time. Where ctx ended it that is no error.
func (r *confidentRun) stopped(ctx context.Context, vus int, err error) error {
	r.result.Stop = stopOf(ctx, vus, err)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// explain says for people from what a stop reason follows, where the search does not know enough to
// say it.
func (r *confidentRun) explain(reason capacity.StopReason, detail string) string {
	if reason != capacity.SLO {
		return detail
	}
	for _, vus := range sortedLevels(r.levels) {
		if broken := r.SLO.Err(r.levels[vus].sum); broken != nil {
			return fmt.Sprintf("at %d vus: %v", vus, broken)
		}
	}
	return detail
}

// warmingVUs are the VUs of the warm-up: enough to reach all processors of a small machine.
const warmingVUs = 4

// warmUp puts load on the target that counts for nothing: a server that has just started, or
// compiles what it runs often, is slow at first. Failures end it, because they come again where
// they count.
func (r *confidentRun) warmUp(ctx context.Context) error {
	vus := min(warmingVUs, r.MaxVUs)
	session, err := inject.Open(ctx, r.Target, vus, r.Timeout)
	if err != nil {
		return err
	}
	defer session.Close()
	for began := time.Now(); time.Since(began) < r.Warmup; {
		s, err := session.Slice(windowLength(r.Window, 0, 0))
		if err != nil {
			return err
		}
		if s.Failures > 0 {
			break
		}
	}
	return nil
}

// length is how long the next window of a level should be.
func (r *confidentRun) length(vus int) time.Duration {
	latency, connecting := time.Duration(0), time.Duration(0)
	nearest := 0
	for n := range r.levels {
		if n <= vus && n > nearest {
			nearest = n
		}
	}
	if nearest > 0 {
		w := r.levels[nearest]
		more := float64(vus) / float64(nearest) // at most: a server that is saturated lets them all wait
		latency = time.Duration(more * float64(w.sum.Mean()))
		connecting = time.Duration(more * float64(w.around))
	}
	return windowLength(r.Window, latency, connecting)
}

// window measures a window of a level. The VUs connect for it and disconnect after it: connections
// that rest would occupy threads of the server, and which worker has which would be drawn only
// once.
func (r *confidentRun) window(ctx context.Context, vus int) (capacity.Window, error) {
	began := time.Now()
	w := r.levels[vus]
	client, server := usage{meter: r.Engine.CPU}, usage{}
	if w == nil || r.metering.Seconds() < meteringShare*time.Since(r.result.Started).Seconds() {
		if server.meter = r.ServerCPU; server.meter != nil {
			server.meter = r.meterServer
		}
	}
	m, err := r.inject(ctx, vus, r.length(vus), &client, &server)
	if err != nil {
		return capacity.Window{}, err
	}
	took := time.Since(began)
	if w == nil {
		w = &windows{each: 1}
		r.levels[vus] = w
	}
	w.add(m, client, server)
	if server.meter == nil {
		w.around = took - m.Warmup - m.Window
	}
	w.rounds = append(w.rounds, result.Round{
		Round: r.search.Round(), At: m.Started.Sub(r.result.Started), Length: m.Window, Requests: m.Requests,
		Throughput: m.Throughput(), P95: m.Quantile(0.95),
	})
	found := capacity.Window{VUs: vus, Throughput: m.Throughput(), Failures: m.Failures.Total()}
	for _, o := range r.SLO {
		part, whole, _ := o.Share(m)
		found.Goals = append(found.Goals, capacity.Share{Part: part, Whole: whole})
	}
	return found, nil
}

// meteringShare is the share of the time that metering the server may take. Who serves is looked
// for among all processes of the machine each time, which takes longer than many a window.
const meteringShare = 0.04

// meterServer meters the server, and how long that takes.
func (r *confidentRun) meterServer() (time.Duration, error) {
	began := time.Now()
	defer func() { r.metering += time.Since(began) }()
	return r.ServerCPU()
}

// inject makes the load of a window. In what it returns, Window is how long each VU was timed on
// average, and Warmup the rest.
func (r *confidentRun) inject(
	ctx context.Context, vus int, length time.Duration, client, server *usage,
) (inject.Measurement, error) {
	session, err := inject.Open(ctx, r.Target, vus, r.Timeout)
	if err != nil {
		return inject.Measurement{}, err
	}
	defer session.Close()
	server.edge()
	client.edge()
	started := time.Now()
	slice, err := session.Slice(length)
	if err != nil {
		return inject.Measurement{}, err
	}
	client.edge()
	server.edge()
	m := session.Take()
	m.Started = started
	active, x := m.Window, slice.Throughput(vus)
	if m.Failures.Total() > 0 && active > 0 {
		// What failed took time that is not in the time of requests.
		x = min(x, float64(m.Completed)/active.Seconds())
	}
	if x > 0 {
		m.Window = time.Duration(float64(m.Requests) / x * float64(time.Second))
	}
	m.Warmup = max(active-m.Window, 0)
	return m, nil
}

// add takes a window into its level.
func (w *windows) add(m inject.Measurement, client, server usage) {
	this := part{sum: inject.Measurement{VUs: m.VUs, Started: m.Started}}
	merge(&this.sum, m)
	if client.spent != nil {
		this.client = &client.spent.Used
	}
	if server.spent != nil {
		this.server, this.served = server.spent.Used, m.Completed
	}
	if w.unknown == "" {
		w.unknown = server.unknown()
	}
	w.part.add(this)
	this.sum.Asked = nil // nobody asks for them by sample, and they are large
	if n := len(w.samples); n > 0 && len(w.rounds)%w.each != 0 {
		w.samples[n-1].add(this)
		return
	}
	if len(w.samples) == sampling {
		for i := range sampling / 2 {
			w.samples[i] = w.samples[2*i]
			w.samples[i].add(w.samples[2*i+1])
		}
		w.samples = slices.Delete(w.samples, sampling/2, sampling)
		w.each *= 2
	}
	w.samples = append(w.samples, this)
}

// add adds windows to others of the same level.
func (p *part) add(q part) {
	first := p.sum.VUs == 0
	if first {
		p.sum.VUs, p.sum.Started = q.sum.VUs, q.sum.Started
	}
	merge(&p.sum, q.sum)
	p.client = plus(p.client, q.client, first)
	p.server += q.server
	p.served += q.served
}

// plus is the sum of a and b; nil: one of them is not known.
func plus(a, b *time.Duration, first bool) *time.Duration {
	switch {
	case b == nil || a == nil && !first:
		return nil
	case first:
		a = new(time.Duration)
	}
	sum := *a + *b
	return &sum
}

// merge adds a window to a sum of windows of the same level.
func merge(sum *inject.Measurement, m inject.Measurement) {
	a, b := sum.Window.Seconds(), m.Window.Seconds()
	if a+b > 0 {
		sum.Strain.Busy = (a*sum.Strain.Busy + b*m.Strain.Busy) / (a + b)
		sum.Strain.Delay = time.Duration((a*float64(sum.Strain.Delay) + b*float64(m.Strain.Delay)) / (a + b))
	}
	sum.Warmup += m.Warmup
	sum.Window += m.Window
	sum.Requests += m.Requests
	sum.Completed += m.Completed
	sum.LatencySum += m.LatencySum
	sum.ConnectSum += m.ConnectSum
	sum.Bodies += m.Bodies
	sum.Answers.Add(m.Answers)
	sum.Asked = inject.AddAsked(sum.Asked, m.Asked)
	for class, n := range m.Failures {
		sum.Failures[class] += n
	}
	if sum.Latency == nil {
		l := m.Latency
		sum.Latency = hdrhistogram.New(l.LowestTrackableValue(), l.HighestTrackableValue(), int(l.SignificantFigures()))
	}
	sum.Latency.Merge(m.Latency)
}

// conclude makes the result of what there is.
func (r *confidentRun) conclude() {
	res := &r.result
	res.Elapsed = time.Since(res.Started)
	res.Levels, res.Estimate, res.Doubts, res.Scalability = nil, nil, nil, nil
	var accepted []int
	if r.search != nil {
		if e, ok := r.search.Estimate(); ok {
			res.Estimate = &e
			accepted = e.Accepted
		}
	}
	if r.search != nil && res.Stop.Reason != "" { // it takes some milliseconds
		model := r.search.Scalability()
		res.Scalability = &model
	}
	known := limits{cpus: host.UsableCPUs(), machine: host.MachineCPUs()}
	for _, vus := range sortedLevels(r.levels) {
		w := r.levels[vus]
		level := w.level()
		level.Accepted = slices.Contains(accepted, vus)
		level.Lower, level.Upper = r.search.Interval(vus)
		if level.Strain.Busy > busyEnough {
			known.ceiling = r.ceiling()
		}
		level.Doubts = doubts(level, known)
		res.Levels = append(res.Levels, level)
	}
	res.Doubts = r.doubts(known)
}

func sortedLevels(levels map[int]*windows) []int {
	var all []int
	for vus := range levels {
		all = append(all, vus)
	}
	slices.Sort(all)
	return all
}

// level makes a level of its windows.
func (w *windows) level() Level {
	l := w.part.level()
	l.NoServerCPU, l.Rounds = w.unknown, w.rounds
	for _, s := range w.samples {
		l.Samples = append(l.Samples, s.level())
	}
	return l
}

func (p part) level() Level {
	l := Level{Measurement: p.sum}
	x := l.Throughput()
	// Those requests needed it, too, that are not timed: it is for as long as all of them would
	// take.
	took := func(requests uint64) time.Duration {
		return time.Duration(float64(requests) / x * float64(time.Second))
	}
	if p.client != nil && x > 0 {
		l.ClientCPU = &result.CPU{Used: *p.client, Elapsed: took(l.Completed)}
	}
	if p.served > 0 && x > 0 {
		l.ServerCPU = &result.CPU{Used: p.server, Elapsed: took(p.served)}
	}
	return l
}

// unsteadyShare is the share of the capacity that half its interval may be without a doubt. Of
// simulated ramps whose windows scatter by 10 % at most, 99 in 100 have less, also where the
// machine drifts or jumps by 20 % meanwhile; where it wanders by 10 %, 99 in 100 have less than 27
// % (testdata/capacity/simulation.md).
const unsteadyShare = 0.25

// doubts are those of the whole ramp.
func (r *confidentRun) doubts(known limits) result.Doubts {
	whole := Level{Stolen: r.thief.spent}
	switch {
	case r.apart:
		whole.Others = others(r.machine.spent, r.injector.spent, 0)
	case r.server.spent != nil && !r.told:
		whole.Others = others(r.machine.spent, r.injector.spent, r.server.spent.Cores())
	}
	all := doubts(whole, limits{cpus: known.cpus, machine: known.machine})
	e := r.result.Estimate
	if e == nil || r.result.Stop.Reason == "" || r.result.Stop.Reason == capacity.Canceled {
		return all
	}
	switch half := (e.Upper - e.Lower) / 2 / e.Throughput; {
	case e.Upper == 0:
		all = append(all, result.Doubt{Kind: DoubtUnsteady, Text: fmt.Sprintf(
			"there was time for %d windows at %d vus, which tell nothing of their scatter: use a longer DURATION",
			e.Rounds, e.VUs)})
	case r.untold() > 0:
		all = append(all, result.Doubt{Kind: DoubtUnsteady, Text: fmt.Sprintf(
			"%d vus seem to give more, and there was time for too few windows to be sure: use a longer DURATION", r.untold())})
	case half > unsteadyShare:
		all = append(all, result.Doubt{Kind: DoubtUnsteady, Text: fmt.Sprintf(
			"the rounds scatter or drift so much that another ramp may find %.0f %% more or less: use a longer DURATION, "+
				"or measure when nothing else runs", 100*half)})
	}
	return all
}

// untold is a level that seems to give more than the capacity, and was measured too few times to
// count; 0: there is none.
func (r *confidentRun) untold() int {
	for _, l := range r.result.Levels {
		few := len(l.Rounds) < fewestOfALevel && l.Failures.Total() == 0
		if few && l.Throughput() > r.result.Estimate.Throughput && r.SLO.Err(l.Measurement) == nil {
			return l.VUs
		}
	}
	return 0
}

// fewestOfALevel is how many windows a level has that counts, unless none has as many.
const fewestOfALevel = 2

// errOnlyBuiltin says that a confident ramp cannot be measured by another engine.
var errOnlyBuiltin = errors.New("confident ramp with another engine: want the built-in one, which can measure in " +
	"short windows, or the classic rule")
