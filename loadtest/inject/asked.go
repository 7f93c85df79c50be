package inject

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// MostAsked is how many of the requests of an [HTTP] target are counted each for itself, those that
// are drawn most often. Further ones are counted together, so that memory and output stay bounded
// however many there are.
const MostAsked = 50

// Asked is what was measured of one of several requests, or of those together that are not counted
// each for itself. What fails before a request is drawn, such as an attempt to connect, is of none.
type Asked struct {
	Name   string // method and URL as they are written; no two of a target have the same
	Others int    // it is so many requests together; 0: one

	Requests   uint64        // that succeeded and ended inside the window
	Completed  uint64        // that succeeded at any time
	Failures   Failures      // at any time
	LatencySum time.Duration // sum over Requests, each rounded to a microsecond

	// Latency holds the latencies of Requests in microseconds, with two significant digits. Nil: there
	// was none, or they were let go of; see [Measurement.Condense].
	Latency *hdrhistogram.Histogram
	// P50 is the median where Latency was let go of; 0: it was not.
	P50 time.Duration
}

// Mean is the mean latency of Requests; 0: there is none.
func (a Asked) Mean() time.Duration {
	if a.Requests == 0 {
		return 0
	}
	return a.LatencySum / time.Duration(a.Requests)
}

// Quantile is the latency below which the share q of Requests lies, 0 <= q <= 1, with two
// significant digits. It is 0 without requests, and but for the median where Latency was let go of.
func (a Asked) Quantile(q float64) time.Duration {
	switch {
	case a.Latency != nil:
		return time.Duration(a.Latency.ValueAtQuantile(100*q)) * time.Microsecond
	case q == 0.5:
		return a.P50
	}
	return 0
}

// add adds what was measured of the same request at another time. It keeps nothing of b.
func (a *Asked) add(b Asked) {
	a.Requests += b.Requests
	a.Completed += b.Completed
	a.LatencySum += b.LatencySum
	for class, n := range b.Failures {
		a.Failures[class] += n
	}
	if b.Latency == nil {
		return
	}
	if sum := a.Latency; sum == nil || sum.HighestTrackableValue() < b.Latency.HighestTrackableValue() {
		a.Latency = newAskedHistogram(b.Latency.HighestTrackableValue())
		if sum != nil {
			a.Latency.Merge(sum)
		}
	}
	a.Latency.Merge(b.Latency)
}

// AddAsked adds what was measured of requests to a sum, by their names, and returns it. Requests
// that the sum does not have yet come last. It keeps nothing of more.
func AddAsked(sum, more []Asked) []Asked {
	for i, b := range more {
		at := i
		if at >= len(sum) || sum[at].Name != b.Name { // of another file
			at = slices.IndexFunc(sum, func(a Asked) bool { return a.Name == b.Name })
		}
		if at < 0 {
			at, sum = len(sum), append(sum, Asked{Name: b.Name, Others: b.Others})
		}
		sum[at].add(b)
	}
	return sum
}

// Condense lets go of the histograms of single requests, and keeps their medians: fifty histograms
// for each side of each block of a duel would be many megabytes.
func (m *Measurement) Condense() {
	for i := range m.Asked {
		a := &m.Asked[i]
		a.P50, a.Latency = a.Quantile(0.5), nil
	}
}

// askedSignificant is the number of decimal digits of the histogram of one request, which has a
// seventh of the size of one with [significant] digits.
const askedSignificant = 2

func newAskedHistogram(highest int64) *hdrhistogram.Histogram {
	return hdrhistogram.New(1, highest, askedSignificant)
}

// setRows gives questions their rows, where there are several: one each, as far as there are rows,
// and the last one for all others. Rows are in the order of the questions.
func (h *HTTP) setRows() {
	requests := h.config.Requests
	if len(requests) < 2 {
		return
	}
	own := make([]int, len(requests))
	for i := range own {
		own[i] = i
	}
	slices.SortStableFunc(own, func(a, b int) int {
		return cmp.Compare(max(requests[b].Weight, 1), max(requests[a].Weight, 1))
	})
	own = own[:min(len(own), MostAsked)]
	slices.Sort(own)
	names := namesOf(requests)
	for i, q := range h.questions {
		at, found := slices.BinarySearch(own, i)
		if q.row = uint16(len(own)); found {
			q.row = uint16(at)
			h.rows = append(h.rows, Asked{Name: names[i]})
		}
	}
	switch n := len(requests) - len(own); n {
	case 0:
	case 1:
		h.rows = append(h.rows, Asked{Name: "1 other request", Others: 1})
	default:
		h.rows = append(h.rows, Asked{Name: fmt.Sprintf("%d other requests", n), Others: n})
	}
}

// rowsOf are the rows of a target; nil: all of its requests are one.
func rowsOf(target Target) []Asked {
	if h, is := target.(*HTTP); is {
		return h.rows
	}
	return nil
}

// longestName is how much is shown of what a request is called.
const longestName = 120

// hushed are the values in a query whose names say that they are secret. A name of a request is in
// all outputs, and a file of requests is where users keep what they do not want there.
var hushed = regexp.MustCompile(
	`(?i)([?&;](?:[^=&;]*(?:token|secret|passw|pwd|credential|signature|jwt)[^=&;]*|[^=&;]*key|auth|sig|pass)=)[^&;]*`)

// namesOf are the names of requests. Those that would be the same have the place as well where they
// are written, or else their number.
func namesOf(requests []Request) []string {
	names := make([]string, len(requests))
	times := make(map[string]int)
	for i, r := range requests {
		names[i] = r.Name
		if r.Name == "" {
			names[i] = cmp.Or(r.Method, http.MethodGet) + " " + r.URL.RequestURI()
		}
		names[i] = hushed.ReplaceAllString(names[i], "${1}xxxxx")
		if len(names[i]) > longestName {
			names[i] = strings.ToValidUTF8(names[i][:longestName], "") + "…"
		}
		times[names[i]]++
	}
	for i, name := range names {
		if times[name] < 2 {
			continue
		}
		names[i] = fmt.Sprintf("%s (number %d)", name, i+1)
		if place := requests[i].Place; place != "" {
			names[i] = fmt.Sprintf("%s (%s)", name, place[strings.LastIndexAny(place, `/\`)+1:])
		}
	}
	return names
}

// ended is what became of one request.
type ended struct {
	micros uint32
	row    uint16
	class  Class
	timed  bool // it ended inside the window
}

// asking is what a VU collects of single requests before it adds that to the total. It is not kept
// by row: ten thousand VUs with fifty rows each would need many megabytes.
type asking struct {
	n   int
	all [batch]ended
}

// newTally returns the tally of a driver.
func newTally(total *total) tally {
	t := tally{total: total}
	if total.asked != nil {
		t.asking = new(asking)
	}
	return t
}

// ask takes note of the end of a request of a row, where there are rows.
func (t *tally) ask(row uint16, class Class, inWindow bool, latency time.Duration) {
	a := t.asking
	if a.n == batch {
		t.total.mu.Lock()
		t.spillAsked()
		t.total.mu.Unlock()
	}
	a.all[a.n] = ended{uint32((latency + time.Microsecond/2) / time.Microsecond), row, class, inWindow}
	a.n++
}

// spillAsked empties what was collected into the total, which has to be locked.
func (t *tally) spillAsked() {
	if t.asking == nil {
		return
	}
	for _, e := range t.asking.all[:t.asking.n] {
		a := &t.total.asked[e.row]
		if e.class != OK {
			a.Failures[e.class]++
			continue
		}
		a.Completed++
		if !e.timed {
			continue
		}
		a.Requests++
		a.LatencySum += time.Duration(e.micros) * time.Microsecond
		if a.Latency == nil {
			a.Latency = newAskedHistogram(t.total.latency.HighestTrackableValue())
		}
		_ = a.Latency.RecordValue(max(int64(e.micros), 1)) // cannot fail, as in spill
	}
	t.asking.n = 0
}
