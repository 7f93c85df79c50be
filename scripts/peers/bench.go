package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// bench runs tools on the server.
type bench struct {
	server   *server
	dir      string
	duration time.Duration
	log      io.Writer // says what is going on
}

// sample is one run of one tool.
type sample struct {
	round int
	vus   int
	tool  string
	outcome
	cost
	err error // it could not be measured
}

// clean reports whether the run is worth comparing: measured, and without a failure.
func (s sample) clean() bool { return s.err == nil && s.failed == 0 && s.completed > 0 }

// cpuPerRequest is processor time for each completed request, in nanoseconds.
func (s sample) cpuPerRequest() float64 { return float64(s.cpu) / float64(s.completed) }

func (s sample) String() string {
	text := fmt.Sprintf("round %d, %4d vus, %-8s", s.round, s.vus, s.tool)
	if s.err != nil {
		return fmt.Sprintf("%s could not be measured: %v", text, s.err)
	}
	text += fmt.Sprintf(" %7.0f req/s  %6.2f us CPU/req  %6.1f MB",
		s.perSecond, s.cpuPerRequest()/1e3, megabytes(s.resident))
	if s.failed > 0 {
		text += fmt.Sprintf("  %d FAILED", s.failed)
	}
	return text
}

const (
	hangPatience = time.Minute // a tool that takes so much longer than it should is killed
	overhead     = time.Second // what a run about takes beyond its duration
)

// settling is time for the server to let go of the connections of the last run.
func settling(vus int) time.Duration {
	return 10*time.Millisecond + time.Duration(vus)*100*time.Microsecond
}

// alternate runs all tools at all numbers of VUs, round after round, and returns what it measured
// until ctx was done. The tools' order is drawn anew each time, so that a machine that gets slower
// is to nobody's disadvantage.
func (b bench) alternate(ctx context.Context, tools []tool, s settings) []sample {
	runs := s.rounds * len(s.vus) * len(tools)
	fmt.Fprintf(b.log, "%d runs, about %v: %v\n", runs,
		(time.Duration(runs) * (s.duration + overhead)).Round(time.Second), s)
	var samples []sample
	order := newOrder(s.seed)
	for round := 1; round <= s.rounds; round++ {
		for _, vus := range s.vus {
			for _, i := range order.Perm(len(tools)) {
				one := b.run(ctx, tools[i], vus)
				if ctx.Err() != nil {
					return samples
				}
				one.round = round
				samples = append(samples, one)
				fmt.Fprintln(b.log, one)
			}
		}
	}
	return samples
}

// newOrder draws the order of tools.
func newOrder(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// run runs a tool once.
func (b bench) run(ctx context.Context, t tool, vus int) sample {
	s, _ := b.report(ctx, t, vus)
	return s
}

// report runs a tool once and returns also what it reported.
func (b bench) report(ctx context.Context, t tool, vus int) (sample, []byte) {
	s := sample{vus: vus, tool: t.name}
	l := load{url: b.server.url, vus: vus, duration: b.duration, dir: filepath.Join(b.dir, t.name+"-"+strconv.Itoa(vus))}
	if s.err = os.Mkdir(l.dir, 0o777); s.err != nil {
		return s, nil
	}
	defer os.RemoveAll(l.dir) // if it cannot be removed, neither can b.dir, and that is said
	ctx, cancel := context.WithTimeoutCause(ctx, b.duration+hangPatience, errors.New("it hung and was killed"))
	defer cancel()
	sleep(ctx, settling(vus))
	text, spent, ended := measure(ctx, t.path, t.command(l), l.dir)
	s.cost = spent
	if !exited(ended) {
		s.err = ended
		return s, nil
	}
	// An exit code that is not 0 may say only that requests failed, which the report says better.
	err := error(nil)
	if t.report != nil {
		text, err = t.report(ctx, t.path, l)
	}
	if err == nil {
		s.outcome, err = t.read(text)
	}
	if err != nil || ended != nil && s.failed == 0 {
		s.err = errors.Join(err, ended)
	}
	return s, text
}

// sleep waits for d or until ctx is done.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// broken says how many runs could not be measured, if any.
func broken(samples []sample) error {
	n := 0
	for _, s := range samples {
		if s.err != nil {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d runs could not be measured; the reasons are above", n, len(samples))
}

// megabytes are 10^6 bytes.
func megabytes(n int64) float64 { return float64(n) / 1e6 }
