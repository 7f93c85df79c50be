// Package prefork serves one TCP address from several worker processes of the same program. A
// master starts them, watches them, replaces those that die and stops them without losing a
// request; it never serves itself. The package knows nothing of what is served: any
// [net/http.Server] will do.
//
// A program calls [Attach] before anything else. In a worker that returns a [Worker], whose Serve
// runs the server; in every other process it returns nil and the program becomes the master by
// calling [Run]:
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
// What workers cannot do without, such as a certificate, is best read between Attach and that, in
// every process: if it is missing, the program ends with a line and an exit code of its own before
// anything is started. What fails in workers only is tried three times, and ends as a [BootError].
//
// # Connections
//
// The master opens the listening socket and all workers accept from it: one queue, so a worker that
// dies takes no waiting connection with it. (A socket for each worker, by SO_REUSEPORT, loses what
// queues in it.) A connection that is kept alive stays with the worker that accepted it, so the
// workers take turns by the number of connections they have open: n connections to n workers always
// land on n different ones.
//
// # States of a worker
//
//	            started               serves             told to leave         gone
//	waiting ---------------> starting --------> ready -----------------> draining -----> (free)
//	   ^                        |                 |
//	   | after a delay          | not ready in    | died; or aborted, because it is
//	   |                        | BootTimeout,    | stuck: a request is older than Timeout, or
//	   |                        | or died         | frozen: no sign of life for that long
//	   +------------------------+-----------------+
//
// The delay before a worker is started again doubles with each death in a row, from 100 ms to 30 s,
// and less a random part of up to a half. A worker that was ready for 10 s ends the row. There is
// no limit to the number of restarts; only the first start is given up, after three workers in a
// row that were never ready: [BootError]. A worker that is aborted leaves a dump of its goroutines
// on its standard error.
//
// # Signals to the master
//
//	TERM          (or the end of Run's context) graceful stop: the workers answer what is queued and
//	              running, then leave; nobody who waits in the queue is reset, who comes later is
//	              refused. After [Config.Grace] a worker cuts off what is left and says so; a worker
//	              that does not even do that is killed. One that comes a second or more after
//	              another one: quick stop.
//	INT, QUIT     quick stop: requests in flight are cut off. Also during a graceful stop.
//	HUP           reload: new workers from the program that lies on disk now, one by one. Each takes
//	              over before an old one leaves. If one of them fails, the old program goes on and
//	              all new workers go again. During a reload it asks for one more.
//	USR2          upgrade: a new master from the program that lies on disk now, with the same
//	              socket. When its workers serve, this one's leave as after TERM, and it with them;
//	              if they never do, this one goes on. Not as process 1, which cannot leave. Counters
//	              begin again.
//	TTIN, TTOU    one worker more, one less; at least one. A reload keeps the number.
//	USR1          master and workers open [Config.LogFile] by its name again.
//
// No other signal ends a master without a word. SIGTERM to a single worker makes the master start
// another one and then drain it; a worker ignores the other signals of the table, because the
// master hears of them too and decides. SIGABRT ends a worker with Go's dump of all goroutines. A
// master that is killed leaves workers that drain and go.
//
// # Connections that handlers take over
//
// A handler may take a connection over from net/http (Hijack), as WebSockets do. From then on it is
// no request: it does not grow too old for [Config.Timeout]. A worker that leaves calls what is
// registered with [net/http.Server.RegisterOnShutdown], which is where a program says goodbye on
// such connections. Then it waits for them to be closed: as long as [Config.Grace] when another
// worker serves in its place, a second when everybody stops. It says how many it cut off.
//
// # As process 1
//
// In a container the master may be process 1, or elsewhere a subreaper: the kernel then gives it
// the children that others leave behind. Run waits for each of them, and so for every child that is
// not a worker: a program that is process 1 must not start other processes and wait for them itself
// while Run runs.
//
// # Under systemd
//
// A socket that systemd passes is listened on instead of Addr. Type=notify and Type=notify-reload
// (with ReloadSignal=SIGHUP, its default) hear of READY, RELOADING and STOPPING, and after an
// upgrade which process is the main one; a watchdog hears from the master as long as a worker
// serves.
//
// # Shared memory
//
// Workers and master share a scoreboard, from which any worker can tell about all of them: see
// [Fleet] and [Worker.AllCounters].
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
	// PIDFile is where the master's pid is once it serves, locked for as long as it runs. Empty:
	// nowhere.
	PIDFile string
	// LogFile is what master and workers have as their standard error from when the master listens.
	// SIGUSR1 makes them open it by its name again, after it was renamed. Log is not affected,
	// unless it writes to standard error. Empty: standard error stays what it is.
	LogFile string
	// Workers is the number of worker processes, at least 1.
	Workers int
	// Grace is how long a worker that has been told to leave may finish what it has. 0 means 30 s.
	// Less than 0 means not at all: a graceful stop is then a quick one.
	Grace time.Duration
	// Timeout is the age at which a request gets its worker replaced: SIGABRT, so that the log has
	// a dump of its goroutines, and SIGKILL if that does not end it. A worker that gives no sign of
	// life for as long, but at least 2 s, is replaced in the same way. 0 is off, for both. The
	// check runs every Timeout/4, at most every second, so it may come that much late.
	Timeout time.Duration
	// BootTimeout is how long a worker may take from its start to calling Serve. 0 means 30 s.
	BootTimeout time.Duration
	// MaxRequests is the number of requests after which a worker is replaced by a fresh one, plus a
	// random number from 0 to MaxRequestsJitter, so that the workers do not all go at the same
	// time. 0: never. Capacity does not fall: the fresh worker serves before the old one stops
	// accepting.
	MaxRequests, MaxRequestsJitter int
	// Counters is how many 64-bit words each slot has for the application to count in. They outlive
	// the workers: see [Worker.Counters].
	Counters int
	// Gauges is how many words each slot has that are set to 0 whenever its worker dies.
	Gauges int
	// Log receives what happens to the workers. nil discards it.
	Log *slog.Logger
	// Ready is called once, when all workers serve for the first time, with the address listened
	// on. It runs in the goroutine that looks after the workers and must not block. nil: not
	// called.
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

// BootError is what Run returns when, during the first start, workers ended without ever being
// ready several times in a row. Whoever restarts this program should not: the next start will most
// likely fail the same way.
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
