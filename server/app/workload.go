package app

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Work is what a request asks for: It1 times It2 iterations.
type Work struct {
	It1, It2 uint64
}

// MaxIterations bounds It1, It2 and their product. So many take a few minutes; more is a mistake.
const MaxIterations = 100_000_000_000

// ParseWork reads the numbers of a query string. The error is one line for the client, which names
// the parameter, its value and what would be right.
func ParseWork(query string) (Work, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return Work{}, fmt.Errorf("query %s: want it1=A&it2=B, escaped as in a URL", quote(query))
	}
	var w Work
	for _, p := range []struct {
		name string
		to   *uint64
	}{{"it1", &w.It1}, {"it2", &w.It2}} {
		given := values[p.name]
		switch {
		case len(given) == 0:
			return Work{}, fmt.Errorf("%s is missing: want a whole number from 0 to %d", p.name, MaxIterations)
		case len(given) > 1:
			return Work{}, fmt.Errorf("%s is given %d times: want it once, a whole number from 0 to %d", p.name, len(given),
				MaxIterations)
		}
		n, err := strconv.ParseUint(given[0], 10, 64)
		if err != nil || n > MaxIterations {
			return Work{}, fmt.Errorf("%s=%s: want a whole number from 0 to %d", p.name, quote(given[0]), MaxIterations)
		}
		*p.to = n
	}
	if w.It1 > 0 && w.It2 > MaxIterations/w.It1 {
		return Work{}, fmt.Errorf("it1=%d and it2=%d: want a product from 0 to %d", w.It1, w.It2, MaxIterations)
	}
	return w, nil
}

// quote shows what a client sent on one line, without control characters and not at length.
func quote(s string) string {
	const most = 40
	if len(s) > most {
		return strconv.QuoteToASCII(strings.ToValidUTF8(s[:most], "")) + "..."
	}
	return strconv.QuoteToASCII(s)
}

// period is every how many of the outer iterations the sum changes.
const period = 554

// Outcome proves that the iterations were made.
type Outcome struct {
	C    uint64 // the original's sum, which wraps here
	Hash uint64 // of every iteration
}

// Checksum is what the X-Checksum header holds: a function of It1 and It2 alone.
func (o Outcome) Checksum() string { return fmt.Sprintf("%016x", o.Hash^o.C) }

// hashPrime is the prime of the 64-bit FNV-1a hash (draft-eastlake-fnv).
const hashPrime = 1099511628211

const (
	// chunk is after how many iterations the clock is read: some tens of microseconds of work.
	chunk = 1 << 14
	// checkInterval is how often the client is looked for. Within the 10 ms that the loop of a client
	// that has gone may go on, there are several looks.
	checkInterval = 2 * time.Millisecond
)

// errGone says that nobody waits for the outcome any more.
var errGone = errors.New("the client has gone")

// Run makes the iterations of the original: i from 0 to It1, in each j from 0 to It2; when i is a
// multiple of 554, c grows by c + j. c stays 0 where It2 is 1, and the original never showed it, so
// a program that left the loop out would answer the same. Therefore each iteration also goes into a
// hash, by which the next depends on the one before.
//
// gone is asked every 2 ms whether the client has gone; then Run ends with an error.
func (w Work) Run(gone func() bool) (Outcome, error) {
	var o Outcome
	// Without inner iterations the outer ones are still made. One with j = 0 leaves c at 0 as well.
	inner := max(w.It2, 1)
	left := uint64(chunk)
	checked := time.Now()
	for i := range w.It1 {
		for j := uint64(0); j < inner; {
			n := min(inner-j, left)
			for end := j + n; j < end; j++ {
				if i%period == 0 {
					o.C += o.C + j
				}
				o.Hash = (o.Hash ^ (i + j + 1)) * hashPrime
			}
			if left -= n; left > 0 {
				continue
			}
			left = chunk
			if now := time.Now(); now.Sub(checked) >= checkInterval {
				if checked = now; gone() {
					return o, errGone
				}
			}
		}
	}
	return o, nil
}

// maxBodyBytes is how much of a body is read, for which nobody asked.
const maxBodyBytes = 64 << 10

// statusGone is what nginx logs for a client that closed its connection. No client ever sees it.
const statusGone = 499

func serveWorkload(w http.ResponseWriter, r *http.Request) {
	work, err := ParseWork(r.URL.RawQuery)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if r.ContentLength != 0 {
		// net/http looks for the end of the connection only behind the body. One that is longer is the
		// client's problem.
		_, _ = io.CopyN(io.Discard, r.Body, maxBodyBytes)
	}
	begun := time.Now()
	outcome, err := work.Run(watch(r))
	took := time.Since(begun)
	if err != nil {
		w.WriteHeader(statusGone)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Checksum", outcome.Checksum())
	h.Set("Server-Timing", "work;dur="+strconv.FormatFloat(float64(took)/float64(time.Millisecond), 'f', 6, 64))
	fmt.Fprintf(w, "Server: %s. Time: %s. Computation took %s s\n", localIP(r), begun.Format(time.TimeOnly),
		pythonSeconds(took))
}

// watch returns a function that reports whether the client of r has gone.
//
// net/http then cancels the request's context, but hears of it only when the runtime polls the
// network. So the computation makes it poll every 2 ms. That costs some microseconds, and nothing
// for a request that is shorter; and whoever else is served by a busy worker waits for those 2 ms
// instead of the 10 ms after which Go takes the processor away (measured, /healthz beside one long
// computation: median 1.3 instead of 14 ms).
func watch(r *http.Request) func() bool {
	return func() bool {
		pause()
		return r.Context().Err() != nil
	}
}

// pythonSeconds prints a duration as the original did: repr of a Python float of seconds with whole
// microseconds.
func pythonSeconds(d time.Duration) string {
	// One division: Duration.Seconds adds two quotients, and the sum may be the neighbour of the
	// nearest float (1.6920899999999999 for 1.69209).
	seconds := float64(d.Round(time.Microsecond).Microseconds()) / 1e6
	if seconds != 0 && seconds < 1e-4 {
		return strconv.FormatFloat(seconds, 'e', -1, 64)
	}
	s := strconv.FormatFloat(seconds, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}
