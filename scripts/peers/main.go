// Command peers measures rampart's client against other load generators: wrk, hey, vegeta and k6,
// whichever are installed. All load the same server in turns, and a Markdown table says how they
// compare.
//
//	go test -c -tags=load -o bin/client ./loadtest
//	go run ./scripts/peers -rounds 5 -duration 3s -vus 8,64,256,1024
//
// What is compared are ratios of runs of the same round, so that the table does not tell how fast a
// machine was at the time. With -many, rampart alone is run with many VUs, and has to connect them
// all, without a failure, in little memory.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as a shell has it after Ctrl-C
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run does what the arguments ask for and returns the exit code. The table goes to stdout, all else
// to stderr.
func run(args []string, stdout, stderr io.Writer) int {
	s, err := parseSettings(args, os.Getenv, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "peers: %v\n", err)
		return exitUsage
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	err = experiment(ctx, s, stdout, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "peers: %v\n", err)
	}
	switch {
	case ctx.Err() != nil:
		return exitInterrupted
	case err != nil:
		return exitFailed
	}
	return exitOK
}

// experiment starts a server, does what s asks for on it, and stops it. Nothing is left when it
// returns: no process and no file.
func experiment(ctx context.Context, s settings, stdout, stderr io.Writer) (err error) {
	files, err := raiseOpenFiles(s.mostVUs())
	if err != nil {
		return err
	}
	tools, missing := findTools(ctx, s)
	if len(missing) > 0 {
		fmt.Fprintf(stderr, "skipped, not installed: %s\n", strings.Join(missing, ", "))
	}
	if err := s.fits(tools); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "rampart-peers-")
	if err != nil {
		return fmt.Errorf("temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	server, err := startServer(ctx, dir, min(files, connectionsFor(s.mostVUs())))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.stop()) }()

	bench := bench{server: server, dir: dir, duration: s.duration, log: stderr}
	if s.many > 0 {
		return bench.many(ctx, tools[0], s.many, stdout)
	}
	samples := bench.alternate(ctx, tools, s)
	rows := compare(samples, referenceOf(tools))
	fmt.Fprint(stdout, table{
		settings: s, tools: tools, missing: missing, server: server.name, machine: thisMachine(), rows: rows,
	})
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w: the table has only what was measured until then", context.Cause(ctx))
	case s.require:
		err = required(rows)
	}
	return errors.Join(broken(samples), err)
}
