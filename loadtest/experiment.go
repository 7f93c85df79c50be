// Package loadtest runs load experiments on a server as ordinary Go tests.
//
// A [Ramp] finds how much a server can give: it injects at 1, 2, 4, 8… virtual users until
// throughput grows no more, and its [Result] holds every level with its latencies, failures and
// doubts. An [Experiment] measures single levels. Both load whatever is an [inject.Target]: [HTTP]
// makes one of a URL, [Func] of any function.
//
//	target, err := loadtest.HTTP("http://127.0.0.1:8080/search?q=go")
//	…
//	experiment := loadtest.Experiment{Target: target, Window: 5 * time.Second}
//	result, err := loadtest.Ramp{Experiment: experiment}.Run(t.Context())
//	…
//	best, ok := result.Capacity()
//
// A [Duel] compares two servers in turns and says whether one is slower.
//
// The experiments of this repository are in the files *_load_test.go: go test -tags=load
// ./loadtest. What they need beside this package, settings from the environment and files for
// results, is in package [rampart/loadtest/lab].
//
// A failed request is data and in the result; an error says that the experiment could not be run; a
// doubt says that a level was measured but should not be trusted.
package loadtest

import (
	"context"
	"fmt"
	"time"

	"rampart/loadtest/host"
	"rampart/loadtest/inject"
	"rampart/loadtest/result"
)

// What an Experiment and a Ramp do where they are not told otherwise. The values are those of the
// original.
const (
	DefaultWindow  = 30 * time.Second
	DefaultTimeout = 60 * time.Second
	DefaultMaxVUs  = 4096
)

// Level is what one injection at a number of virtual users measured.
type Level = result.Level

// Result is what an experiment found.
type Result = result.Result

// Stop says why a ramp ended.
type Stop = result.Stop

// HTTP returns a target that sends GET requests to rawURL over one persistent connection for each
// virtual user. It takes what [inject.ParseAddress] takes. The error shows no password.
func HTTP(rawURL string) (inject.Target, error) {
	u, socket, err := inject.ParseAddress(rawURL)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", inject.Mask(rawURL), err)
	}
	return inject.NewHTTP(inject.HTTPConfig{URL: u, Socket: socket})
}

// Func returns a target whose request is a call of do, which must return when its context is done.
// An error is a failed request; return an [*inject.Failure] to choose its class.
func Func(do func(context.Context) error) inject.Target { return inject.Func(do) }

// An Engine injects the load of one level: the built-in one, which an Experiment uses unless it is
// told otherwise, or another load generator, as [rampart/loadtest/k6].
type Engine interface {
	// Inject injects one level and returns what it measured, as [inject.Run] does.
	Inject(ctx context.Context, load inject.Load) (inject.Measurement, error)
	// CPU is the processor time that the injector has used so far: a [CPUMeter].
	CPU() (time.Duration, error)
}

// builtin is the built-in engine.
type builtin struct{ target inject.Target }

func (b builtin) Inject(ctx context.Context, load inject.Load) (inject.Measurement, error) {
	return inject.Run(ctx, b.target, load)
}

func (builtin) CPU() (time.Duration, error) { return host.OwnCPU() }

// Experiment is what all levels of an experiment have in common. Only Target or Engine has to be
// set.
type Experiment struct {
	Target  inject.Target // what the built-in engine loads
	Engine  Engine        // nil: the built-in one
	Window  time.Duration // timed part of each level; 0: DefaultWindow
	Warmup  time.Duration // untimed lead-in of each level; 0: none
	Timeout time.Duration // a request that takes longer is a failure; 0: DefaultTimeout

	// Start is the instant at which a level starts, so that several clients load at the same time:
	// its VUs are connected before, and the warm-up begins then. Zero: as soon as they are
	// connected. There can be only one level.
	Start time.Time

	// ServerCPU returns the processor time that the server has used so far. Nil: it cannot be
	// known.
	ServerCPU CPUMeter
	// Progress, if not nil, is told about each level.
	Progress Progress

	told  bool // ServerCPU is what the server says of itself, maybe not of all its processes
	apart bool // the server uses no processor of this machine

	// Tests have others.
	busy    CPUMeter       // nil: host.BusyTime
	stolen  CPUMeter       // nil: host.StolenTime
	ceiling func() float64 // nil: that of this process
}

// Progress shows a person what an experiment is doing.
type Progress interface {
	// Begin says that a level begins, which will take about d.
	Begin(vus int, d time.Duration)
	// End says that it has ended.
	End()
}

func (e Experiment) withDefaults() Experiment {
	if e.Window == 0 {
		e.Window = DefaultWindow
	}
	if e.Timeout == 0 {
		e.Timeout = DefaultTimeout
	}
	if e.Engine == nil {
		e.Engine = builtin{e.Target}
	}
	if e.stolen == nil {
		e.stolen = host.StolenTime
	}
	if e.busy == nil {
		e.busy = host.BusyTime
	}
	if e.ceiling == nil {
		e.ceiling = ceiling
	}
	return e
}

// duration is how long a level takes, apart from connecting and the last requests.
func (e Experiment) duration() time.Duration { return e.Warmup + e.Window }

// wait is how long it is until the start, 0 where it is not awaited.
func (e Experiment) wait() time.Duration {
	if e.Start.IsZero() {
		return 0
	}
	return max(time.Until(e.Start), 0)
}

// Level injects with a number of virtual users and returns what it measured. When ctx ends it
// early, the error wraps the cause of ctx, and the level holds what was measured until then.
func (e Experiment) Level(ctx context.Context, vus int) (Level, error) {
	e = e.withDefaults()
	if e.Progress != nil {
		e.Progress.Begin(vus, e.wait()+e.duration())
		defer e.Progress.End()
	}
	client, server, thief := usage{meter: e.Engine.CPU}, usage{meter: e.ServerCPU}, usage{meter: e.stolen}
	machine := usage{meter: e.busy}
	m, err := e.Engine.Inject(ctx, inject.Load{
		VUs:     vus,
		Warmup:  e.Warmup,
		Window:  e.Window,
		Timeout: e.Timeout,
		Start:   e.Start,
		OnEdge:  func() { client.edge(); server.edge(); thief.edge(); machine.edge() },
	})
	level := Level{Measurement: m, Partial: err != nil, ClientCPU: client.spent, ServerCPU: server.spent,
		NoServerCPU: server.unknown(), Stolen: thief.spent}
	if !e.Start.IsZero() && !m.Started.IsZero() {
		skew := m.Started.Sub(e.Start)
		level.StartSkew = &skew
	}
	switch {
	case e.apart:
		level.Others = others(machine.spent, client.spent, 0)
	case server.spent != nil && !e.told:
		level.Others = others(machine.spent, client.spent, server.spent.Cores())
	}
	known := limits{cpus: host.UsableCPUs(), machine: host.MachineCPUs()}
	if m.Strain.Busy > busyEnough {
		known.ceiling = e.ceiling()
	}
	level.Doubts = doubts(level, known)
	return level, err
}

// others is what the machine was busy with apart from the injector and the processors that servers
// used; nil: not known.
func others(machine, injector *result.CPU, servers float64) *result.CPU {
	if machine == nil || injector == nil {
		return nil
	}
	rest := machine.Cores() - injector.Cores() - servers
	return &result.CPU{Used: time.Duration(max(rest, 0) * float64(machine.Elapsed)), Elapsed: machine.Elapsed}
}
