// Command server is the server under test: a workload of known cost, served by worker processes
// under a master.
//
//	go run ./server -addr 127.0.0.1:8080 -workers 4
//
// Package app has the application, package prefork the supervisor; this command puts flags and
// environment into them. server -h lists both.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"strings"

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
	if worker != nil {
		if c, g := len(worker.Counters()), len(worker.Gauges()); c != app.NumCounters || g != app.NumGauges {
			return fmt.Errorf("the master has %d counters and %d gauges for this build, which needs %d and %d: "+
				"stop it and start it again",
				c, g, app.NumCounters, app.NumGauges)
		}
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
	}
	grace := c.grace
	if grace == 0 {
		grace = -1 // where 0 is the default
	}
	if c.workers == 0 {
		return prefork.ServeAlone(context.Background(), prefork.Config{
			Addr: c.addr, PIDFile: c.pidFile, LogFile: c.logFile, Grace: grace, Log: log, Ready: announce},
			app.Server(app.New(app.Options{Secret: c.secret}), log))
	}
	return prefork.Run(context.Background(), prefork.Config{
		Addr:              c.addr,
		PIDFile:           c.pidFile,
		LogFile:           c.logFile,
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

// commit is set by the linker (Makefile). Go itself knows none of a worktree of git, or that of a
// repository around it.
var commit string

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "rampart server, version unknown"
	}
	words := []string{"rampart server", info.Main.Version}
	known := commit
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && commit == "" {
			known = s.Value
		}
	}
	if known != "" {
		words = append(words, known)
	}
	return strings.Join(append(words, info.GoVersion), " ")
}
