// Package inject puts closed-loop load on a target and measures one window of it.
//
// The model is the one of Schroeder, Wierman and Harchol-Balter, "Open Versus Closed: A Cautionary
// Tale" (NSDI 2006): each virtual user (VU) sends its next request when the answer to the last one
// is there, with no think time. So the number of requests under way never exceeds the number of
// VUs, a slow server slows its own load down, and what a request would have waited in a queue
// outside the VUs is not seen.
//
// [Run] is the entry point. It connects all VUs, fires a starting gun, lets a warm-up flow into the
// window without a pause, counts what completes inside the window, and lets every VU finish the
// request that it has under way. Nothing is retried: a request that fails is a failure with a
// [Class]. What the server has certainly not processed, because it had ended the connection before
// or has said so over HTTP/2, is made once more; a connection that ends while no request is made on
// it is no failure, and is made again.
//
// [HTTP] is the target that most callers want; [Func] makes a target of any function.
package inject

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A Target makes virtual users.
type Target interface {
	// NewVU returns a virtual user that has no connection yet. Its requests, and its attempts to
	// connect, fail when they take longer than timeout.
	NewVU(timeout time.Duration) VU
}

// A VU is one virtual user: what [Run] needs of a client that makes one request after the other.
// One goroutine calls its methods, except for Interrupt.
type VU interface {
	// Connected reports whether Do can be called without Connect.
	Connected() bool
	// Connect makes the VU ready for Do. Its time counts as connecting, never as latency.
	Connect(ctx context.Context) Class
	// Do makes one request and reads its whole answer. now is the time on the clock of Run, which
	// starts with the gun; a VU uses it to keep its deadline without reading a clock of its own.
	Do(now time.Duration) Class
	// Interrupt makes a Do that is under way return soon, and every later Do at once. Any goroutine
	// may call it.
	Interrupt()
	// Close lets go of the connection and returns when the other side has, too, or a short time has
	// passed.
	Close()
}

// Load is the load of one level. All fields but Start and OnEdge are needed.
type Load struct {
	VUs     int           // virtual users, at least 1
	Warmup  time.Duration // untimed lead-in; 0: none
	Window  time.Duration // timed part
	Timeout time.Duration // a request that takes longer is a failure of class Timeout

	// Start is the instant of the starting gun, which several injectors can agree on: all VUs are
	// connected by then, or the load is not injected. Zero: as soon as they are connected.
	Start time.Time

	// OnEdge, if not nil, is called when the window opens and again when it closes, from a
	// goroutine of Run. If the run is canceled in the window, it closes then; if it is canceled
	// before, OnEdge is not called.
	OnEdge func()
}

// Validate says what is wrong with a load that cannot be injected.
func (l Load) Validate() error {
	switch {
	case l.VUs < 1:
		return fmt.Errorf("load with %d VUs: at least 1 is needed", l.VUs)
	case l.Warmup < 0:
		return fmt.Errorf("load with a warm-up of %v: it cannot be negative", l.Warmup)
	case l.Window <= 0:
		return fmt.Errorf("load with a window of %v: it must be longer than 0", l.Window)
	case l.Timeout <= 0:
		return fmt.Errorf("load with a request timeout of %v: it must be longer than 0", l.Timeout)
	}
	return nil
}

// connecting bounds how many VUs connect at the same time: enough to be quick, few enough to fit
// the accept queue of a server with a small backlog, which would drop what is too much and cost
// each such VU a second.
const connecting = 64

// Run injects one level and returns what it measured. A failed request is part of the measurement;
// the error says that the measurement could not be made or was cut short by ctx. In the latter case
// it wraps the cause of ctx, and the measurement holds what came before (its Window is 0 when the
// window had not opened).
func Run(ctx context.Context, target Target, load Load) (Measurement, error) {
	if err := load.Validate(); err != nil {
		return Measurement{}, err
	}
	if err := load.untilConnecting(ctx); err != nil {
		return Measurement{}, err
	}
	ctx, abort := context.WithCancelCause(ctx)
	defer abort(nil)
	r := &run{
		load:  load,
		open:  load.Warmup,
		close: load.Warmup + load.Window,
		until: load.Warmup + load.Window,
		gun:   make(chan struct{}),
		abort: abort,
		total: newTotal(load.Timeout, rowsOf(target)),
	}
	drivers, err := newDrivers(ctx, r, target)
	if err != nil {
		return Measurement{}, err
	}
	interrupted := make(chan struct{})
	uninterrupt := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		r.stopped.Store(true)
		for _, d := range drivers {
			d.interrupt()
		}
	})

	var connected, finished sync.WaitGroup
	for _, d := range drivers {
		connected.Add(1)
		finished.Go(func() {
			d.connect(ctx)
			connected.Done()
			d.await(ctx, r.gun)
			d.play(ctx)
			d.leave()
		})
	}
	connected.Wait()
	if err := load.awaitStart(ctx); err != nil {
		abort(err)
	}
	if ctx.Err() != nil {
		r.stopped.Store(true) // now, and not only when the interrupt gets there
	}
	r.epoch = time.Now()
	close(r.gun)
	for _, d := range drivers {
		d.wake()
	}

	watched := make(chan struct{})
	go func() {
		defer close(watched)
		r.watchEdges(ctx, drivers)
	}()
	finished.Wait()
	<-watched
	if !uninterrupt() {
		<-interrupted
	}

	m := r.total.measurement(load, r.hide)
	m.Started, m.Window, m.Strain = r.epoch, r.window, r.strain
	if ctx.Err() != nil {
		return m, fmt.Errorf("injection with %d VUs cut short: %w", load.VUs, context.Cause(ctx))
	}
	return m, nil
}

// A driver makes the requests of one VU, or of many.
type driver interface {
	// connect tries once to connect each VU.
	connect(ctx context.Context)
	// await returns when gun is closed and wake has been called, and keeps the VUs connected until
	// then.
	await(ctx context.Context, gun <-chan struct{})
	// wake ends an await. Any goroutine may call it.
	wake()
	// play makes requests until no more should begin, and returns when every VU has finished its
	// last one.
	play(ctx context.Context)
	// leave ends both sides of every connection. Then what the driver counted is in the total of
	// the run.
	leave()
	// counted is what the driver counts. It may be read while the driver does not play.
	counted() *tally
	// thread is the thread that does the work; 0: no certain one.
	thread() int
	// interrupt makes connect, play and leave return soon. Any goroutine may call it.
	interrupt()
}

// newDrivers returns the drivers of all VUs: event loops where the target can be driven by them,
// else one for each VU.
func newDrivers(ctx context.Context, r *run, target Target) ([]driver, error) {
	if target == nil {
		return nil, errors.New("no target to put load on: want one, such as that of NewHTTP or Func")
	}
	if h, is := target.(*HTTP); is {
		r.hide = h.hide
		if err := h.Fits(r.load.VUs); err != nil {
			return nil, err
		}
		h.settle(ctx, r.load.Timeout)
		askers, err := h.ready(ctx, r.load.VUs, r.load.Timeout)
		if err != nil {
			return nil, err
		}
		r.round = h.runs.Add(1)
		if loops, err := newLoops(ctx, r, h, askers); loops != nil || err != nil {
			return loops, err
		}
		return newSingles(r, func(i int) VU {
			if askers == nil {
				return newHTTPVU(&asker{target: h, number: i + 1}, r.load.Timeout)
			}
			return newHTTPVU(askers[i], r.load.Timeout)
		}), nil
	}
	return newSingles(r, func(int) VU { return target.NewVU(r.load.Timeout) }), nil
}

// newSingles returns a driver for each VU.
func newSingles(r *run, newVU func(i int) VU) []driver {
	drivers := make([]driver, r.load.VUs)
	slots := make(chan struct{}, connecting)
	for i := range drivers {
		drivers[i] = &single{run: r, vu: newVU(i), slots: slots, tally: newTally(r.total)}
	}
	return drivers
}

// run is what the goroutines of one Run share.
type run struct {
	load        Load
	open, close time.Duration // edges of the window on the clock of the run
	until       time.Duration // no request begins any more; of a slice: its VUs begin to be through
	begun       time.Duration // of a slice: when it began
	sliced      bool          // load comes in slices: phases of them decide what counts, and not the window
	unfinished  atomic.Int64  // VUs that are not through with the slice
	rest        atomic.Int64  // when those who are through with the slice stop waiting for the others
	round       uint64        // by which VUs draw what they ask: of a slice, or of the whole run
	gun         chan struct{}
	epoch       time.Time     // when the gun fired; set before gun is closed
	window      time.Duration // real length of the window; watchEdges sets it
	strain      Strain        // in the window; watchEdges sets it
	stopped     atomic.Bool   // ctx is done; cheaper to ask before each request than ctx
	abort       context.CancelCauseFunc
	total       *total
	hide        func(string) string // what nobody should read of what a server says; nil: nothing is hidden
}

// stop ends the run with an error. What happens from now on is no failure of the server.
func (r *run) stop(err error) {
	r.stopped.Store(true)
	r.abort(err)
}

func (r *run) now() time.Duration { return time.Since(r.epoch) }

// watchEdges calls OnEdge at the edges of the window. The VUs do not wait for it: they compare
// times of their own, so that a timer that fires late moves no request across an edge.
func (r *run) watchEdges(ctx context.Context, drivers []driver) {
	if !sleep(ctx, r.open-r.now()) {
		return
	}
	r.edge()
	meter := newStrainMeter(drivers)
	if sleep(ctx, r.close-r.now()) {
		r.window = r.load.Window
	} else {
		r.window = min(r.now(), r.close) - r.open
	}
	r.strain = meter.strain()
	r.edge()
}

func (r *run) edge() {
	if r.load.OnEdge != nil {
		r.load.OnEdge()
	}
}

// over reports whether a VU in its phase p begins no request any more.
func (r *run) over(p phase, now time.Duration) bool {
	switch {
	case r.stopped.Load():
		return true
	case r.sliced:
		return p == leadOut && (r.unfinished.Load() == 0 || int64(now) >= r.rest.Load())
	}
	return now >= r.until
}

// counts reports whether what a VU ended at end, in its phase p, counts. The window is half open,
// so that adjoining ones would count every request once.
func (r *run) counts(p phase, end time.Duration) bool {
	if r.sliced {
		return p == timed
	}
	return r.open <= end && end < r.close
}

// leads reports whether what a VU ends in its phase p is its first request of a slice.
func (r *run) leads(p phase) bool { return r.sliced && p == leadIn }

// sleep waits for d and reports whether ctx let it.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Measurement is what one Run measured.
type Measurement struct {
	VUs     int
	Started time.Time // when the gun was fired, which began the warm-up
	Warmup  time.Duration
	Window  time.Duration // real length of the timed part

	Requests   uint64        // requests that succeeded and ended inside the window
	Completed  uint64        // requests that succeeded at any time: warm-up, window, and those under way when it closed
	Failures   Failures      // failures at any time, connecting included; a request that hangs is found after the window
	LatencySum time.Duration // sum over Requests: first byte written to last byte read
	ConnectSum time.Duration // sum of the time spent in connecting inside the window

	Bodies int64 // bytes of the bodies of Completed, as they came, without the framing of chunks; 0 where a target does not say

	// Answers are the complete answers of an HTTP target, of Completed and of those Failures that
	// are of class Status or Body; those that came after the timeout are not among them.
	Answers Answers

	Leads   uint64        // of a session: successful first requests of VUs in slices, which are not in Requests
	LeadSum time.Duration // sum of their latencies

	Wasted    uint64        // of a session: timed requests that count for nothing, see Session.Waste; they are in no other number
	WastedSum time.Duration // sum of their latencies

	// Asked are the same numbers of each single request, where the target has several. Nil: it has
	// one.
	Asked []Asked

	// Strain is how hard the injector had it in the window.
	Strain Strain

	// Latency holds the latencies of Requests in microseconds.
	Latency *hdrhistogram.Histogram
}

// Throughput is successful requests per second of the window.
func (m Measurement) Throughput() float64 {
	if m.Window <= 0 {
		return 0
	}
	return float64(m.Requests) / m.Window.Seconds()
}

// Mean is the mean latency of Requests, exact where the histogram has three digits. It is 0 without
// requests.
func (m Measurement) Mean() time.Duration {
	if m.Requests == 0 {
		return 0
	}
	return m.LatencySum / time.Duration(m.Requests)
}

// Quantile is the latency below which the share q of Requests lies, 0 <= q <= 1, with three
// significant digits and a resolution of one microsecond. It is 0 without requests.
func (m Measurement) Quantile(q float64) time.Duration {
	if m.Latency == nil {
		return 0
	}
	return time.Duration(m.Latency.ValueAtQuantile(100*q)) * time.Microsecond
}
