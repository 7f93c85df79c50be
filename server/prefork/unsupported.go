//go:build !linux

package prefork

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

var errUnsupported = fmt.Errorf("prefork: worker processes need Linux: serve from one process with -workers 0: %w",
	errors.ErrUnsupported)

// Run needs Linux. Here it returns an error that wraps [errors.ErrUnsupported].
func Run(context.Context, Config) error { return errUnsupported }

// ServeAlone runs srv in this process until SIGTERM or the end of ctx, which let requests finish
// for as long as cfg.Grace, or SIGINT or SIGQUIT, which do not. Connections that nobody has
// accepted when it stops are reset here.
func ServeAlone(ctx context.Context, cfg Config, srv *http.Server) error {
	cfg.Workers = 1
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	if cfg.PIDFile != "" || cfg.LogFile != "" {
		return fmt.Errorf("prefork: pid file and log file need Linux: %w", errors.ErrUnsupported)
	}
	l, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return fmt.Errorf("prefork: cannot listen on %q: %w", cfg.Addr, err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT)
	defer signal.Stop(signals)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	cfg.Ready(l.Addr())

	graceful := cfg.Grace > 0
	select {
	case err := <-served:
		return fmt.Errorf("prefork: serving: %w", err)
	case s := <-signals:
		graceful = graceful && s == syscall.SIGTERM
	case <-ctx.Done():
	}
	if graceful {
		grace, cancel := context.WithTimeout(context.Background(), cfg.Grace)
		defer cancel()
		go func() {
			for {
				select {
				case s := <-signals:
					if s != syscall.SIGTERM { // a repeated TERM, as from a process group, is still the graceful stop
						cancel()
					}
				case <-grace.Done():
					return
				}
			}
		}()
		if srv.Shutdown(grace) == nil {
			<-served
			return nil
		}
		cfg.Log.Warn("requests were cut off", "grace", cfg.Grace)
	}
	err = srv.Close()
	if served := <-served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// Attach returns nil: Run starts no workers here.
func Attach() (*Worker, error) { return nil, nil }

// Worker never exists here. Its methods are there so that programs compile.
type Worker struct{}

func (*Worker) Serve(*http.Server) error       { return errUnsupported }
func (*Worker) Counters() []atomic.Uint64      { return nil }
func (*Worker) AllCounters() [][]atomic.Uint64 { return nil }
func (*Worker) Gauges() []atomic.Uint64        { return nil }
func (*Worker) AllGauges() [][]atomic.Uint64   { return nil }
func (*Worker) Fleet() Fleet                   { return Fleet{} }

// Fleet is empty here.
type Fleet struct{}

func (Fleet) CPUTime() time.Duration { return 0 }
func (Fleet) Restarts() uint64       { return 0 }
func (Fleet) Started() time.Time     { return time.Time{} }
func (Fleet) Status() Status         { return Status{} }
