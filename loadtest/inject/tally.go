package inject

import (
	"slices"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// batch is how many latencies a VU collects before it adds them to the histogram. A histogram for
// each VU would need no lock, but at 140 kB apiece ten thousand VUs would need more than a
// gigabyte.
const batch = 256

// counts are what VUs count.
type counts struct {
	requests  uint64
	completed uint64
	failures  Failures
	latencies time.Duration
	connects  time.Duration
	bodies    int64 // bytes of the bodies of completed requests
	leads     uint64
	leading   time.Duration
	wasted    uint64 // timed requests that count for nothing
	wasting   time.Duration
}

func (c *counts) add(d counts) {
	c.requests += d.requests
	c.completed += d.completed
	c.latencies += d.latencies
	c.connects += d.connects
	c.bodies += d.bodies
	c.leads += d.leads
	c.leading += d.leading
	c.wasted += d.wasted
	c.wasting += d.wasting
	for class, n := range d.failures {
		c.failures[class] += n
	}
}

// tally is what one VU counts for itself.
type tally struct {
	total *total
	counts
	census census
	waste  *waste  // nil: all requests count
	asking *asking // nil: all requests are one

	n      int
	micros [batch]uint32
}

func (t *tally) succeed(inWindow bool, latency time.Duration, body int64) {
	t.completed++
	t.bodies += body
	if !inWindow {
		return
	}
	t.requests++
	t.latencies += latency
	if t.n == batch {
		t.spill()
	}
	t.micros[t.n] = uint32((latency + time.Microsecond/2) / time.Microsecond)
	t.n++
}

// lead counts the first request of a slice, which has succeeded.
func (t *tally) lead(latency time.Duration) {
	t.leads++
	t.leading += latency
}

// squander takes note of a request that succeeded and counts for nothing.
func (t *tally) squander(inWindow bool, latency time.Duration) {
	if inWindow {
		t.wasted++
		t.wasting += latency
	}
}

func (t *tally) fail(class Class) { t.failures[class]++ }

func (t *tally) connect(inWindow bool, d time.Duration) {
	if inWindow {
		t.connects += d
	}
}

// spill empties the batch into the histogram.
func (t *tally) spill() {
	t.total.mu.Lock()
	defer t.total.mu.Unlock()
	for _, us := range t.micros[:t.n] {
		// Cannot fail: no latency above the timeout gets here, and the histogram reaches that far.
		_ = t.total.latency.RecordValue(max(int64(us), 1))
	}
	t.n = 0
}

// flush moves all that the VU counted to the total.
func (t *tally) flush() {
	t.spill()
	t.total.mu.Lock()
	defer t.total.mu.Unlock()
	t.spillAsked()
	t.total.add(t.counts)
	t.counts = counts{}
	t.total.census.merge(&t.census)
	t.census = census{}
}

// total is what all VUs of a run counted.
type total struct {
	mu      sync.Mutex
	latency *hdrhistogram.Histogram
	counts
	census census
	asked  []Asked // of single requests; nil: all are one
}

// significant is the number of decimal digits that the histogram keeps of a latency.
const significant = 3

// newTotal returns one that has nothing but its rows.
func newTotal(timeout time.Duration, rows []Asked) *total {
	return &total{
		latency: hdrhistogram.New(1, max(timeout.Microseconds()+1, 2), significant),
		asked:   slices.Clone(rows),
	}
}

// measurement is what was counted. hide, if not nil, takes out of answers what nobody should read.
func (t *total) measurement(load Load, hide func(string) string) Measurement {
	return Measurement{
		VUs:        load.VUs,
		Warmup:     load.Warmup,
		Requests:   t.requests,
		Completed:  t.completed,
		Failures:   t.failures,
		LatencySum: t.latencies,
		ConnectSum: t.connects,
		Bodies:     t.bodies,
		Latency:    t.latency,
		Leads:      t.leads,
		LeadSum:    t.leading,
		Answers:    t.census.answers(hide),
		Wasted:     t.wasted,
		WastedSum:  t.wasting,
		Asked:      t.asked,
	}
}
