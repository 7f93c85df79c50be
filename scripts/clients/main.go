// Command clients shows that several clients measure together what one does: rampart's client loads
// a server with all VUs, and in turns several of its processes do so with a part of the VUs each,
// starting at one instant, merged.
//
//	go test -c -tags=load -o bin/client ./loadtest
//	go run ./scripts/clients -clients 3 -rounds 5
//
// Server and clients have a network namespace each where this is root and ip is installed, else
// they share that of the machine. The server takes a fixed time for each request and hardly any of
// a processor, so that what differs is the clients and not who gets the processors.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as a shell has it after Ctrl-C
)

// settings are what the flags say.
type settings struct {
	client   string
	clients  int
	vus      int
	rounds   int
	duration time.Duration
	service  time.Duration
	require  bool
	plain    bool
	serve    string
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func parseSettings(args []string, stderr io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("clients", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.client, "client", "bin/client", "the compiled client")
	flags.IntVar(&s.clients, "clients", 3, "clients that share the VUs")
	flags.IntVar(&s.vus, "vus", 24, "VUs of all clients, a multiple of -clients")
	flags.IntVar(&s.rounds, "rounds", 7, "rounds of both, in drawn order")
	flags.DurationVar(&s.duration, "duration", 4*time.Second, "window of each level")
	flags.DurationVar(&s.service, "service", 10*time.Millisecond, "time that the server takes for each request")
	flags.BoolVar(&s.require, "require", false, "fail where a median is off by more than 3 %")
	flags.BoolVar(&s.plain, "plain", false, "no network namespaces, also where they could be made")
	flags.StringVar(&s.serve, "serve", "", "internal: be the server at this address")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	switch {
	case flags.NArg() > 0:
		return s, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case s.clients < 1 || s.clients > 200:
		return s, fmt.Errorf("-clients %d: want 1 to 200", s.clients)
	case s.vus < s.clients || s.vus%s.clients != 0:
		return s, fmt.Errorf("-vus %d: want a multiple of the %d clients", s.vus, s.clients)
	case s.rounds < 1:
		return s, fmt.Errorf("-rounds %d: want 1 or more", s.rounds)
	case s.duration < 10*time.Millisecond || s.service < 0:
		return s, errors.New("-duration and -service: want 10ms or more, and 0s or more")
	}
	var err error
	s.client, err = filepath.Abs(s.client)
	return s, err
}

// run does what the arguments ask for and returns the exit code. The table goes to stdout, all else
// to stderr.
func run(args []string, stdout, stderr io.Writer) int {
	s, err := parseSettings(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "clients: %v\n", err)
		return exitUsage
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	if s.serve != "" {
		err = serve(ctx, s.serve, s.service, stderr)
	} else {
		err = compare(ctx, s, stdout, stderr)
	}
	if err != nil {
		fmt.Fprintf(stderr, "clients: %v\n", err)
	}
	switch {
	case ctx.Err() != nil && s.serve == "":
		return exitInterrupted
	case err != nil:
		return exitFailed
	}
	return exitOK
}

// compare makes the rounds and prints the table. Nothing is left when it returns: no process, no
// namespace and no file.
func compare(ctx context.Context, s settings, stdout, stderr io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "rampart-clients-")
	if err != nil {
		return fmt.Errorf("temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	net, err := newNetwork(ctx, s, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, net.remove()) }()
	server, err := startServer(ctx, net, s.service)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.stop()) }()

	bench := bench{settings: s, net: net, server: server.address, dir: dir}
	var rounds []round
	fmt.Fprint(stdout, heading(s, net))
	for n := 1; n <= s.rounds; n++ {
		r, err := bench.round(ctx, rand.IntN(2) == 0)
		if err != nil {
			return fmt.Errorf("round %d: %w", n, err)
		}
		rounds = append(rounds, r)
		fmt.Fprint(stdout, r.row(fmt.Sprint(n)))
	}
	all := median(rounds)
	fmt.Fprint(stdout, all.row("median"))
	if s.require {
		return all.required()
	}
	return nil
}
