// Command supervisor measures what the supervisor costs: the bundled server with worker processes
// against the same application in one net/http process with all processors, in turns, in an order
// drawn anew for each pair of windows.
//
//	go run ./scripts/supervisor -server bin/server -workers 5
//
// Injector and servers share all processors, as they do for a user who tries the server on one
// machine. So only ratios are given, each with an interval that is wrong once in twenty times;
// -require fails where one lies below its demand as a whole.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"rampart/loadtest"
	"rampart/loadtest/inject"
	"rampart/loadtest/verdict"
	"rampart/server/app"
)

// plain is the argument that makes this program the server without a supervisor.
const plain = "plain"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if len(os.Args) == 2 && os.Args[1] == plain {
		err = servePlain()
	} else {
		err = run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintf(os.Stderr, "supervisor: %v\n", err)
		os.Exit(1)
	}
}

// servePlain serves the application as any Go program would.
func servePlain() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := app.Server(app.New(app.Options{}), slog.New(slog.DiscardHandler))
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	go func() {
		<-term
		server.Close()
	}()
	fmt.Fprintf(os.Stderr, "listening on %s\n", l.Addr())
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// settings are what the flags say.
type settings struct {
	server     string
	workers    int
	pairs      int
	window     time.Duration
	vus        []int
	iterations []int
	require    bool
}

func parse(args []string, stderr io.Writer) (settings, error) {
	s := settings{vus: []int{1, 2, 8, 64}, iterations: []int{1, 60000}}
	flags := flag.NewFlagSet("supervisor", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.server, "server", "bin/server", "`path` of the bundled server")
	flags.IntVar(&s.workers, "workers", 0, "worker processes (default: the server's own)")
	flags.IntVar(&s.pairs, "pairs", 20, "pairs of windows for each line of the table, at least 6")
	flags.DurationVar(&s.window, "window", 250*time.Millisecond, "length of a window")
	flags.Func("vus", "virtual users (default 1,2,8,64)", numbers(&s.vus))
	flags.Func("iterations", "of the workload's loop, for each request (default 1,60000)", numbers(&s.iterations))
	flags.BoolVar(&s.require, "require", false, "fail if an interval lies below what is demanded")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	switch {
	case flags.NArg() > 0:
		return s, fmt.Errorf("argument %q: there are flags only", flags.Arg(0))
	case s.pairs < 6: // with fewer there is no interval that is wrong once in twenty times
		return s, fmt.Errorf("-pairs %d: at least 6", s.pairs)
	case s.window <= 0:
		return s, fmt.Errorf("-window %s: must be positive", s.window)
	case s.workers < 0:
		return s, fmt.Errorf("-workers %d: at least 1, or 0 for the server's own", s.workers)
	}
	return s, nil
}

func numbers(to *[]int) func(string) error {
	return func(text string) error {
		*to = nil
		for word := range strings.SplitSeq(text, ",") {
			n, err := strconv.Atoi(word)
			if err != nil || n < 1 {
				return fmt.Errorf("%q: want whole numbers from 1, with commas between them", word)
			}
			*to = append(*to, n)
		}
		return nil
	}
}

// shape is a line of the table.
type shape struct {
	iterations, vus int
	oneShot         bool // a new connection for each request
}

// demand is the least ratio of throughputs.
func (s shape) demand() float64 {
	if s.oneShot {
		return 0.85
	}
	return 0.95
}

func (s shape) connections() string {
	if s.oneShot {
		return "new"
	}
	return "kept"
}

// run does what the arguments say. The table goes to stdout, line by line, so an interrupt loses
// none that is complete.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parse(args, stderr)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	supervised := []string{s.server, "-addr", "127.0.0.1:0"}
	if s.workers > 0 {
		supervised = append(supervised, "-workers", strconv.Itoa(s.workers))
	}
	const format = "%-10s  %-11s  %4s  %-22s  %-22s  %-22s  %-18s  %-8s  %s\n"
	fmt.Fprintf(stdout, format, "iterations", "connections", "VUs", "throughput", "p99", "server CPU/request",
		"switches/request", "demanded", "")
	below := 0
	for _, iterations := range s.iterations {
		for _, oneShot := range []bool{false, true} {
			for _, vus := range s.vus {
				line := shape{iterations: iterations, vus: vus, oneShot: oneShot}
				m, err := measure(ctx, s, line, []string{self, plain}, supervised)
				if err != nil {
					return err
				}
				answer := m.throughput.against(line.demand())
				if answer == missed {
					below++
				}
				fmt.Fprintf(stdout, format, strconv.Itoa(iterations), line.connections(), strconv.Itoa(vus),
					m.throughput, m.p99, m.cpu, fmt.Sprintf("%.2f and %.2f", m.switches[0], m.switches[1]),
					fmt.Sprintf("≥ %.2f", line.demand()), answer)
			}
		}
	}
	if below > 0 && s.require {
		return fmt.Errorf("%d of the throughputs are below what is demanded", below)
	}
	return nil
}

// ratio is supervised by plain, with the bounds of an interval.
type ratio struct{ estimate, lower, upper float64 }

func (r ratio) String() string {
	return fmt.Sprintf("%.2f (%.2f to %.2f)", r.estimate, r.lower, r.upper)
}

// What an interval says of a demand.
const (
	reached = "reached"
	missed  = "missed"
	open    = "open" // the demand lies inside
)

func (r ratio) against(least float64) string {
	switch {
	case r.lower >= least:
		return reached
	case r.upper < least:
		return missed
	}
	return open
}

// ratioOf makes a ratio of pairs.
func ratioOf(plain, supervised []float64) (ratio, error) {
	// Of values that are better when they are higher, d is the logarithm of baseline by candidate.
	// Two bounds, each wrong once in forty times.
	c, err := verdict.Rule{Alpha: 0.025}.Pairs(plain, supervised, verdict.Higher)
	if err != nil {
		return ratio{}, err
	}
	return ratio{math.Exp(-c.Estimate), math.Exp(-c.Upper), math.Exp(-c.Lower)}, nil
}

// measured is what a line of the table says.
type measured struct {
	throughput, p99, cpu ratio
	switches             [2]float64 // for each request, of the plain server and of the other; the medians
}

// measure starts both servers and loads one and the other, each pair in an order drawn anew.
func measure(ctx context.Context, s settings, line shape, commands ...[]string) (m measured, err error) {
	var sides [2]loadtest.Experiment
	for i, command := range commands {
		server, err := loadtest.StartServer(ctx, command...)
		if err != nil {
			return m, err
		}
		defer func() { err = errors.Join(err, server.Stop()) }()
		target, err := inject.NewHTTP(inject.HTTPConfig{
			URL: &url.URL{Scheme: "http", Host: server.Addr, Path: "/",
				RawQuery: fmt.Sprintf("it1=%d&it2=1", line.iterations)},
			NoKeepAlive: line.oneShot,
		})
		if err != nil {
			return m, err
		}
		if err := target.Probe(ctx, time.Minute); err != nil {
			return m, err
		}
		sides[i] = loadtest.Experiment{Target: target, Window: s.window, Warmup: s.window / 5, ServerCPU: server.CPU}
	}
	var throughputs, p99s, cpus, switched [2][]float64
	for range s.pairs {
		first := rand.IntN(2)
		for _, i := range []int{first, 1 - first} {
			before, err := switches(commands[i])
			if err != nil {
				return m, err
			}
			level, err := sides[i].Level(ctx, line.vus)
			if err != nil {
				return m, err
			}
			after, err := switches(commands[i])
			if err != nil {
				return m, err
			}
			if n := level.Failures.Total(); n > 0 {
				return m, fmt.Errorf("%d of %d requests failed: %s", n, n+level.Completed, strings.Join(commands[i], " "))
			}
			throughputs[i] = append(throughputs[i], level.Throughput())
			p99s[i] = append(p99s[i], level.Quantile(0.99).Seconds())
			// The warm-up is in both.
			switched[i] = append(switched[i], float64(after-before)/float64(level.Completed))
			if level.ServerCPU == nil {
				return m, fmt.Errorf("processor time of %s: %s", strings.Join(commands[i], " "), level.NoServerCPU)
			}
			cpus[i] = append(cpus[i], level.ServerCPU.PerRequest(level.Throughput()).Seconds())
		}
	}
	if m.throughput, err = ratioOf(throughputs[0], throughputs[1]); err != nil {
		return m, err
	}
	if m.p99, err = ratioOf(p99s[0], p99s[1]); err != nil {
		return m, err
	}
	for i, all := range switched {
		slices.Sort(all)
		m.switches[i] = all[len(all)/2]
	}
	m.cpu, err = ratioOf(cpus[0], cpus[1])
	return m, err
}
