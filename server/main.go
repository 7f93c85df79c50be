// Command server is the server under test: a workload of known cost, served by worker processes under a master.
//
//	go run ./server -addr 127.0.0.1:8080 -workers 4
//
// Package app has the application, package prefork the supervisor; this command puts flags and environment into them.
// server -h lists both.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"rampart/server/app"
	"rampart/server/prefork"
)

// Exit codes.
const (
	exitOK = iota
	exitError
	exitUsage
	exitBoot // no worker became ready: another start will fail as well
)

func main() {
	os.Exit(run(os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

func run(args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	c, err := parseConfig(args, getenv, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "server: %v\n", err)
		return exitUsage
	case c.version:
		fmt.Fprintln(stdout, version())
		return exitOK
	case c.health:
		if err := askHealth(c.addr); err != nil {
			fmt.Fprintf(stderr, "server: %v\n", err)
			return exitError
		}
		return exitOK
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	var boot *prefork.BootError
	switch err := serve(c, log, stderr); {
	case errors.As(err, &boot):
		fmt.Fprintf(stderr, "server: %v\n", err)
		return exitBoot
	case err != nil:
		fmt.Fprintf(stderr, "server: %v\n", err)
		return exitError
	}
	return exitOK
}

// serve serves until a signal says to stop, as a worker, as a master, or alone.
func serve(c config, log *slog.Logger, stderr io.Writer) error {
	worker, err := prefork.Attach()
	if err != nil {
		return err
	}
	announce := func(addr net.Addr) { fmt.Fprintf(stderr, "listening on %s\n", addr) }
	switch {
	case worker != nil:
		fleet := worker.Fleet()
		return worker.Serve(app.Server(app.New(app.Options{
			Secret:      c.secret,
			Counters:    worker.Counters(),
			Gauges:      worker.Gauges(),
			AllCounters: worker.AllCounters,
			AllGauges:   worker.AllGauges,
			CPUTime:     fleet.CPUTime,
			Restarts:    fleet.Restarts,
			Started:     fleet.Started(),
			Status:      func() any { return fleet.Status() },
		}), log))
	case c.workers == 0:
		return serveAlone(c, log, announce)
	}
	grace := c.grace
	if grace == 0 {
		grace = -1 // where 0 is the default
	}
	return prefork.Run(context.Background(), prefork.Config{
		Addr:              c.addr,
		Workers:           c.workers,
		Grace:             grace,
		Timeout:           c.timeout,
		MaxRequests:       c.maxRequests,
		MaxRequestsJitter: c.maxRequestsJitter,
		Counters:          app.NumCounters,
		Gauges:            app.NumGauges,
		Log:               log,
		Ready:             announce,
	})
}

// serveAlone serves in this process: TERM lets requests finish, INT and QUIT do not, also after a TERM.
func serveAlone(c config, log *slog.Logger, announce func(net.Addr)) error {
	l, err := net.Listen("tcp", c.addr)
	if err != nil {
		return fmt.Errorf("cannot listen on %q: %w; stop what listens there, or choose another -addr", c.addr, err)
	}
	server := app.Server(app.New(app.Options{Secret: c.secret}), log)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT)
	defer signal.Stop(signals)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	announce(l.Addr())

	graceful := false
	select {
	case err := <-served:
		return err
	case s := <-signals:
		graceful = s == syscall.SIGTERM && c.grace > 0
	}
	if graceful {
		ctx, cancel := context.WithTimeout(context.Background(), c.grace)
		defer cancel()
		go func() {
			for {
				select {
				case s := <-signals:
					if s != syscall.SIGTERM { // a repeated TERM, as from a process group, is still the graceful stop
						cancel()
					}
				case <-ctx.Done():
					return
				}
			}
		}()
		if server.Shutdown(ctx) == nil {
			<-served
			return nil
		}
		log.Warn("requests were cut off", "grace", c.grace)
	}
	err = server.Close()
	if served := <-served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "rampart server, version unknown"
	}
	v := "rampart server " + info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v += " " + s.Value
		}
	}
	return v + " " + info.GoVersion
}
