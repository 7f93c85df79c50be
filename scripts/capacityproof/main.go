// Command capacityproof measures how well ramps repeat. It ramps one server after the other, by the
// confident rule and by the classic one in turns, with the same time for each, half of the ramps
// beside a neighbour that burns CPU, and tells how much capacity and knee scatter, and how often
// the interval of one ramp holds what the next one finds.
//
//	go run ./scripts/capacityproof -n 20
//	go run ./scripts/capacityproof -n 20 -log proof.jsonl -for 20m   # in parts, until all are there
//
// The servers are the bundled one, and the original's workload under gunicorn and Flask where both
// are installed (Debian: gunicorn, python3-flask). Each ramp has a server that was started for it.
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
	"time"

	"rampart/loadtest"
	"rampart/scripts/proof"
)

func main() {
	if proof.IsNeighbour(os.Args) {
		proof.BeNeighbour(os.Stdin)
		return
	}
	err := run(os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintf(os.Stderr, "capacityproof: %v\n", err)
		os.Exit(1)
	}
}

// run does what the arguments say. The table goes to stdout, a line for each ramp to stderr. After
// Ctrl-C the table has what was measured until then.
func run(args []string, stdout, stderr io.Writer) error {
	p := plan{}
	flags := flag.NewFlagSet("capacityproof", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&p.N, "n", 20, "ramps by each rule, of each server, with and without a neighbour")
	flags.DurationVar(&p.Duration, "duration", 2*time.Second, "DURATION of the confident ramps")
	servers := flags.String("servers", "", "which, with commas between: bundled, flask; empty: all that are installed")
	flags.Uint64Var(&p.Seed, "seed", 0, "of the order of the ramps; 0: drawn, or that of the log")
	path := flags.String("log", "", "file that keeps every outcome; what it has already is not measured again")
	limit := flags.Duration("for", 0, "begin no ramp after so long; 0: all of them")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || p.N < 2 || p.Duration < 100*time.Millisecond {
		return errors.New("want -n 2 or more, -duration 100ms or more, and no other arguments")
	}
	record, err := proof.Open[beginning, outcome](*path)
	if err != nil {
		return err
	}
	defer record.Close()
	if b := record.Beginning; b != nil {
		if had := b.Plan; p.Seed != 0 && p.Seed != had.Seed || p.N != had.N || p.Duration != had.Duration {
			return fmt.Errorf("-log %s: it has -n %d -duration %v -seed %d; want the same, or another file", *path, had.N,
				had.Duration, had.Seed)
		}
		p = b.Plan
	} else {
		p.Seed = loadtest.DrawSeed(p.Seed)
		if p.Servers, err = choose(*servers, stderr); err != nil {
			return err
		}
		if err := record.Begin(beginning{p, p.trials()}); err != nil {
			return err
		}
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	err = prove(ctx, record, *limit, stderr)
	writeTable(stdout, record.Outcomes)
	return err
}

// choose returns the servers that are asked for, or all that this machine has.
func choose(names string, stderr io.Writer) (chosen []string, err error) {
	if names == "" {
		chosen = []string{bundled}
		if missing := flaskMissing(); missing != "" {
			fmt.Fprintf(stderr, "SKIPPED: %s: %s\n", flask, missing)
		} else {
			chosen = append(chosen, flask)
		}
		return chosen, nil
	}
	for name := range strings.SplitSeq(names, ",") {
		switch name {
		case bundled:
		case flask:
			if missing := flaskMissing(); missing != "" {
				return nil, fmt.Errorf("-servers %s: %s", names, missing)
			}
		default:
			return nil, fmt.Errorf("-servers %s: want %s and %s, with commas between", names, bundled, flask)
		}
		chosen = append(chosen, name)
	}
	return chosen, nil
}

// prove runs all trials of which the record has no outcome.
func prove(ctx context.Context, record *proof.Record[beginning, outcome], limit time.Duration, stderr io.Writer) error {
	trials, begun := record.Beginning.Trials, time.Now()
	before := len(record.Outcomes)
	if before == len(trials) {
		return nil
	}
	dir, err := os.MkdirTemp("", "capacityproof")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	lab := lab{dir: dir}
	fmt.Fprintf(stderr, "%d ramps, seed %d, %d done\n", len(trials), record.Beginning.Plan.Seed, before)
	for i := before; i < len(trials); i++ {
		if limit > 0 && time.Since(begun) > limit {
			fmt.Fprintln(stderr, "time is over: the same command goes on")
			return nil
		}
		t := trials[i]
		window := record.Beginning.Plan.window(t, record.Outcomes)
		o, err := lab.run(ctx, t, window)
		if ctx.Err() != nil {
			fmt.Fprintf(stderr, "interrupted after %d of %d ramps\n", i, len(trials))
			return nil
		}
		if err == nil {
			err = record.Add(o)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", t, err)
		}
		left := time.Since(begun) / time.Duration(i-before+1) * time.Duration(len(trials)-i-1)
		fmt.Fprintf(stderr, "%d of %d: %s; about %v left\n", i+1, len(trials), o, left.Round(time.Minute))
	}
	return nil
}
