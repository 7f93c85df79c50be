// Package app is the HTTP application that rampart's server serves: a workload of known cost at /,
// and what a server under test must tell about itself: /healthz, /metrics, /admin. It knows nothing
// of processes. What it has to tell about others that serve beside it comes through [Options].
package app

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Options are what the application needs of its surroundings. The zero value is an application that
// serves alone.
type Options struct {
	// Secret is the bearer token of /admin. Empty: everything there answers 404.
	Secret string

	// Counters and Gauges are the words in which this process counts, NumCounters and NumGauges of
	// them, and AllCounters and AllGauges return those of all processes that serve together. Nil
	// words: own memory. Nil functions: no other process.
	Counters, Gauges       []atomic.Uint64
	AllCounters, AllGauges func() [][]atomic.Uint64

	CPUTime  func() time.Duration // processor time of all processes that serve; nil: of this one
	Restarts func() uint64        // how often one was started again; nil: never
	Started  time.Time            // when the service started; zero: now
	Status   func() any           // what /admin/status shows as JSON; nil: pid and start of this process
}

func (o Options) withDefaults() Options {
	if o.Counters == nil {
		o.Counters, o.AllCounters = make([]atomic.Uint64, NumCounters), nil
	}
	if o.Gauges == nil {
		o.Gauges, o.AllGauges = make([]atomic.Uint64, NumGauges), nil
	}
	if o.AllCounters == nil {
		own := o.Counters
		o.AllCounters = func() [][]atomic.Uint64 { return [][]atomic.Uint64{own} }
	}
	if o.AllGauges == nil {
		own := o.Gauges
		o.AllGauges = func() [][]atomic.Uint64 { return [][]atomic.Uint64{own} }
	}
	if o.CPUTime == nil {
		o.CPUTime = ownCPUTime
	}
	if o.Restarts == nil {
		o.Restarts = func() uint64 { return 0 }
	}
	if o.Started.IsZero() {
		o.Started = time.Now()
	}
	if o.Status == nil {
		started := o.Started
		o.Status = func() any {
			return struct {
				PID     int       `json:"pid"`
				Started time.Time `json:"started"`
			}{syscall.Getpid(), started}
		}
	}
	return o
}

// ownCPUTime is the processor time, user and system, of this process.
func ownCPUTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0 // cannot happen with this argument
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// New returns the application.
//
// Requests to /healthz, /metrics and /admin are not counted in the metrics: they come from whoever
// watches, and the count of the others equals what a load generator sent.
func New(o Options) http.Handler {
	o = o.withDefaults()
	m := &metrics{o}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", serveWorkload)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok\n") })
	mux.Handle("GET /metrics", m.handler())
	mux.Handle("/admin/", admin(o.Secret, o.Status))
	mux.Handle("/admin", http.NotFoundHandler()) // without this the mux would redirect, which tells of what is there
	counted := m.count(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if watches(r.URL.Path) {
			mux.ServeHTTP(w, r)
		} else {
			counted.ServeHTTP(w, r)
		}
	})
}

// watches reports whether a path is for those who watch the server.
func watches(path string) bool {
	return path == "/healthz" || path == "/metrics" || path == "/admin" || strings.HasPrefix(path, "/admin/")
}

// Limits of a connection. A client that is slower than this, or says more, has no business with a
// server under test.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = time.Minute
	idleTimeout       = 3 * time.Minute // longer than any pause of a ramp, so that no connection ends under a VU
	maxHeaderBytes    = 16 << 10
)

// Server returns a server for the application. There is no limit to the time of writing an answer,
// because it would begin with the request and cut off a long computation; what is too long is the
// supervisor's to say.
func Server(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// localIP is the address at which the client reached this server.
func localIP(r *http.Request) string {
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return "unknown"
	}
	host, _, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	return strings.TrimPrefix(host, "::ffff:")
}
