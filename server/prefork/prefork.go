// Package prefork serves one TCP address from several worker processes of the same program. A master
// starts them, watches them, replaces those that die and stops them without losing a request; it never
// serves itself. The package knows nothing of what is served: any [net/http.Server] will do.
//
// A program calls [Attach] before anything else. In a worker that returns a [Worker], whose Serve runs the
// server; in every other process it returns nil and the program becomes the master by calling [Run]:
//
//	worker, err := prefork.Attach()
//	if err != nil {
//		return err
//	}
//	if worker != nil {
//		return worker.Serve(&http.Server{Handler: handler})
//	}
//	return prefork.Run(ctx, prefork.Config{Addr: "127.0.0.1:8080", Workers: 4})
//
// # Connections
//
// The master opens the listening socket and all workers accept from it: one queue, so a worker that dies
// takes no waiting connection with it. (A socket for each worker, by SO_REUSEPORT, loses what queues in it.)
// A connection that is kept alive stays with the worker that accepted it, so the workers take turns by the
// number of connections they have open: n connections to n workers always land on n different ones.
//
// # Signals to the master
//
//   - SIGTERM, or the end of Run's context: the workers answer what is queued and running, then leave.
//     After [Config.Grace] what is left is killed. Nobody who waits in the queue is reset.
//   - SIGINT, SIGQUIT: the same at once, requests in flight are cut off. Also during a graceful stop.
//
// SIGTERM to a single worker makes the master start another one and then drain it. A worker ignores
// SIGINT, SIGQUIT and SIGHUP: the master hears of them too and decides. SIGABRT ends a worker with Go's
// dump of all goroutines. A master that is killed leaves workers that drain and go.
//
// # As process 1
//
// In a container the master may be process 1, or elsewhere a subreaper: the kernel then gives it the children that others
// leave behind. Run waits for each of them, and so for every child that is not a worker: a program that is process 1 must
// not start other processes and wait for them itself while Run runs.
//
// # Shared memory
//
// Workers and master share a scoreboard, from which any worker can tell about all of them: see [Fleet] and
// [Worker.AllCounters].
package prefork

import (
	"fmt"
	"log/slog"
	"net"
	"time"
)

const (
	defaultGrace       = 30 * time.Second
	defaultBootTimeout = 30 * time.Second
)

// Config tells Run what to do. Addr and Workers have no default.
type Config struct {
	// Addr is the TCP address to listen on, host:port. Port 0 picks a free one.
	Addr string
	// Workers is the number of worker processes, at least 1.
	Workers int
	// Grace is how long a worker that has been told to leave may finish what it has. 0 means 30 s. Less
	// than 0 means not at all: a graceful stop is then a quick one.
	Grace time.Duration
	// Timeout is the age at which a request gets its worker replaced: SIGABRT, so that the log has a dump
	// of its goroutines, and SIGKILL if that does not end it. 0 is off. The check runs every Timeout/4, at
	// most every second, so it may come that much late.
	Timeout time.Duration
	// BootTimeout is how long a worker may take from its start to calling Serve. 0 means 30 s.
	BootTimeout time.Duration
	// MaxRequests is the number of requests after which a worker is replaced by a fresh one, plus a random
	// number from 0 to MaxRequestsJitter, so that the workers do not all go at the same time. 0: never.
	// Capacity does not fall: the fresh worker serves before the old one stops accepting.
	MaxRequests, MaxRequestsJitter int
	// Counters is how many 64-bit words each slot has for the application to count in. They outlive the
	// workers: see [Worker.Counters].
	Counters int
	// Gauges is how many words each slot has that are set to 0 whenever its worker dies.
	Gauges int
	// Log receives what happens to the workers. nil discards it.
	Log *slog.Logger
	// Ready is called once, when all workers serve for the first time, with the address listened on. It
	// runs in the goroutine that looks after the workers and must not block. nil: not called.
	Ready func(addr net.Addr)
}

// withDefaults returns c with its zero values replaced, or an error that names the field to change.
func (c Config) withDefaults() (Config, error) {
	if c.Workers < 1 {
		return c, fmt.Errorf("prefork: Config.Workers is %d: it must be at least 1", c.Workers)
	}
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"Timeout", int64(c.Timeout)},
		{"BootTimeout", int64(c.BootTimeout)},
		{"MaxRequests", int64(c.MaxRequests)},
		{"MaxRequestsJitter", int64(c.MaxRequestsJitter)},
		{"Counters", int64(c.Counters)},
		{"Gauges", int64(c.Gauges)},
	} {
		if f.value < 0 {
			return c, fmt.Errorf("prefork: Config.%s is negative", f.name)
		}
	}
	if c.Grace == 0 {
		c.Grace = defaultGrace
	}
	c.Grace = max(c.Grace, 0)
	if c.BootTimeout == 0 {
		c.BootTimeout = defaultBootTimeout
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Ready == nil {
		c.Ready = func(net.Addr) {}
	}
	return c, nil
}

// BootError is what Run returns when, during the first start, workers ended without ever being ready
// several times in a row. Whoever restarts this program should not: the next start will most likely fail
// the same way.
type BootError struct {
	// Attempts is how many workers in a row never became ready.
	Attempts int
	// PID is the process id of the last of them, 0 if it could not even be started.
	PID int
	// Reason is how the last one ended, for people: "exit status 1", "not ready after 30s".
	Reason string
	// Err is the error of its start or of waiting for it.
	Err error
}

func (e *BootError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("prefork: no worker could be started, %d times in a row: %s", e.Attempts, e.Reason)
	}
	return fmt.Sprintf("prefork: no worker became ready, %d times in a row; the last one (pid %d): %s; "+
		"what it wrote to stderr says why", e.Attempts, e.PID, e.Reason)
}

func (e *BootError) Unwrap() error { return e.Err }
