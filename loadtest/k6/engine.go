// Package k6 injects with an installed k6 (https://k6.io) what package inject injects itself: the
// same closed loop, the same window, the same classes of failure, in the same [inject.Measurement].
// It is there to cross-check the built-in injection with a tool that shares no code with it.
//
// Each level is one run of k6, with a script that is made for it and given to it on stdin, so that
// no password gets into a file or into arguments. Configuration of k6 that the user has otherwise,
// in files and K6_* variables, does not apply, nor does a proxy: a level has to mean the same for
// both engines.
//
// What k6 does differently:
//   - Latency is k6's http_req_duration: sending, waiting and receiving. What k6 itself does
//     between two requests is in no latency, but costs throughput: about 0.1 ms a request. make
//     engines shows how much.
//   - VUs do not begin at one moment but spread over 100 ms before the warm-up, and connect with
//     their first request. Those that begin together get their answers together, and would then
//     wait for each other in k6.
//   - k6 gives percentiles and no histogram; [inject.Measurement.Latency] is rebuilt from them, see
//     histogram.
//   - Go's HTTP client, on which k6 is built, sends a request again, unseen, when the server has
//     closed a connection that was in use before, and drops an answer that nobody asked for
//     together with its connection.
//   - The script's clock is the wall clock in milliseconds: who sets it while a level runs, moves
//     the window.
package k6

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"rampart/loadtest/inject"
)

// Engine drives an installed k6. Its methods may be called at the same time.
type Engine struct {
	path   string // of k6
	config inject.HTTPConfig
	grace  time.Duration // how long an interrupted k6 may take to sum up before it is killed

	mu      sync.Mutex // guards what follows
	running map[*process]bool
	spent   time.Duration // processor time of the processes that have ended
	shown   time.Duration // the highest answer of CPU so far
}

// New finds k6 on PATH. The error says what k6 cannot do of what c asks for, or how to get k6 where
// it is missing; it never shows a password.
func New(c inject.HTTPConfig) (*Engine, error) {
	if c.Socket != "" {
		return nil, fmt.Errorf("k6 cannot connect to the unix socket %s; use ENGINE=builtin", c.Socket)
	}
	if c.Certificate != nil || c.Authorities != nil || c.ServerName != "" {
		return nil, errors.New("k6 is not told of certificates and names of servers; use ENGINE=builtin for CERT, KEY, " +
			"CACERT and SERVER_NAME")
	}
	if len(c.Requests) > 0 || len(c.First) > 0 || c.Cookies {
		return nil, errors.New("k6 gets one request that is always the same; use ENGINE=builtin for TARGETS, FIRST and " +
			"COOKIES")
	}
	if !c.Expect.IsZero() {
		return nil, fmt.Errorf("k6 is not told to expect %q; use ENGINE=builtin", c.Expect)
	}
	// What the built-in engine refuses is refused here as well, and in the same words.
	if _, err := inject.NewHTTP(c); err != nil {
		return nil, err
	}
	if _, err := http.NewRequest(c.Method, inject.Display(c.URL), nil); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(c.Header)) { // so that of several errors it is always the same one
		for _, v := range c.Header[name] {
			if !utf8.ValidString(v) {
				return nil, fmt.Errorf("header %s: k6 can only send UTF-8; use ENGINE=builtin", name)
			}
		}
	}
	path, err := exec.LookPath("k6")
	if err != nil {
		return nil, fmt.Errorf("no k6 to inject with (%w); get it by go install go.k6.io/k6@latest or from "+
			"https://grafana.com/docs/k6/latest/set-up/install-k6/, or use ENGINE=builtin", err)
	}
	return &Engine{path: path, config: c, grace: 5 * time.Second, running: make(map[*process]bool)}, nil
}

// Inject runs one level, as [inject.Run] does, and returns what k6 measured. The error says that k6
// failed, with its exit code and its last words, or that ctx cut the level short: then it wraps the
// cause of ctx, and the measurement holds what k6 had counted, if it still got to say so.
func (e *Engine) Inject(ctx context.Context, load inject.Load) (inject.Measurement, error) {
	if err := load.Validate(); err != nil {
		return inject.Measurement{}, err
	}
	if !load.Start.IsZero() {
		return inject.Measurement{}, errors.New("k6 cannot start at an instant that is agreed on; use ENGINE=builtin")
	}
	w := window{load: load}
	token := rand.Text()
	code, err := script(e.config, load, token)
	if err != nil {
		return inject.Measurement{}, err
	}
	p := newProcess(ctx, e.path, code, token)
	p.cmd.Env = environment(os.Environ(), e.config)
	p.cmd.WaitDelay = e.grace
	err = p.start(e.enter, e.leave)
	if ctx.Err() == nil && err != nil {
		return inject.Measurement{}, fmt.Errorf("start k6: %w", err)
	}
	if err == nil {
		w.follow(ctx, p)
	}

	var s summary
	switch {
	case ctx.Err() != nil:
		// No summary is no problem: k6 may have been interrupted before it had anything to sum up.
		s, _ = parseSummary(p.stdout.Bytes())
		err = fmt.Errorf("injection with %d VUs cut short: %w", load.VUs, context.Cause(ctx))
	case p.Wait() != nil:
		return inject.Measurement{}, fmt.Errorf("k6 %s; its last words:\n%s", p.state(), e.config.Hide(p.stderr.String()))
	default:
		if s, err = parseSummary(p.stdout.Bytes()); err != nil {
			return inject.Measurement{}, fmt.Errorf(
				"k6 gave no summary that can be read: %w; 1.0 or newer is needed; its last words:\n%s",
				err, e.config.Hide(p.stderr.String()))
		}
	}
	m := s.measurement(load)
	m.Window = w.length
	if !w.opened.IsZero() {
		m.Started = w.opened.Add(-load.Warmup)
	}
	return m, err
}
