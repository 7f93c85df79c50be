// Command gateproof measures how often the gate is wrong. It runs duels of the bundled server
// against itself, against one that has more to do for each request, against ones of which some
// requests are slow, and against ones that differ only in a comment or a name, half of them beside
// a neighbour that burns CPU, and counts verdicts. The files of each duel are judged again. The
// same time is also spent the usual way, all of the old server and then all of the new one.
//
//	go run ./scripts/gateproof -n 60
//	go run ./scripts/gateproof -n 60 -log proof.jsonl -for 20m   # in parts, until all are there
//	go run ./scripts/gateproof -slices
//
// What is injected are loop iterations. What they cost in throughput is measured first, by duels of
// many blocks.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
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
		fmt.Fprintf(os.Stderr, "gateproof: %v\n", err)
		os.Exit(1)
	}
}

// run does what the arguments say. The table goes to stdout, a line for each comparison to stderr.
// After Ctrl-C the table has what was measured until then.
func run(args []string, stdout, stderr io.Writer) error {
	var p plan
	flags := flag.NewFlagSet("gateproof", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&p.N, "n", 60, "duels of the server against itself, and as many with 5 % less throughput; "+
		"a fifteenth of that for each other candidate")
	flags.IntVar(&p.Usual, "usual", 10,
		"comparisons the usual way, of the server against itself, and as many with 5 % less throughput")
	flags.IntVar(&p.Blocks, "blocks", 40, "blocks of the duels that measure what more iterations cost")
	flags.Uint64Var(&p.Seed, "seed", 0, "of the order of all comparisons; 0: drawn, or that of the log")
	path := flags.String("log", "", "file that keeps every outcome; what it has already is not measured again")
	limit := flags.Duration("for", 0, "begin no comparison after so long; 0: all of them")
	lengths := flags.Bool("slices", false,
		"instead: duels with slices of several lengths, for services of several durations")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || p.N < 1 || p.Usual < 0 || p.Blocks < 1 {
		return errors.New("want -n 1 or more, -usual 0 or more, -blocks 1 or more, and no other arguments")
	}
	record, err := openRecord(*path, p)
	if err != nil {
		return err
	}
	defer record.Close()

	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	dir, err := os.MkdirTemp("", "gateproof")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	servers, err := build(ctx, dir)
	if err != nil {
		return err
	}
	lab := lab{servers: servers}
	if *lengths {
		return lab.slices(ctx, stdout, stderr)
	}
	err = prove(ctx, lab, record, *limit, stderr)
	if record.begun() {
		writeTable(stdout, record.outcomes, record.beginning)
	}
	return err
}

// prove runs all trials of which the record has no outcome.
func prove(ctx context.Context, lab lab, record *record, limit time.Duration, stderr io.Writer) error {
	started := time.Now()
	if !record.begun() {
		b := record.beginning
		b.Plan.Seed = loadtest.DrawSeed(b.Plan.Seed)
		var err error
		fmt.Fprintf(stderr, "two duels of %d blocks: what more iterations cost\n", b.Plan.Blocks)
		if b.Costs, err = lab.costs(ctx, b.Plan.Blocks, 1.1); err == nil {
			b.Five, err = lab.costs(ctx, b.Plan.Blocks, b.Costs.factor(0.05))
		}
		if ctx.Err() != nil {
			fmt.Fprintf(stderr, "interrupted before the first comparison\n")
			return nil
		}
		b.Comparisons = len(b.Plan.trials())
		if err == nil {
			err = record.begin(b)
		}
		if err != nil {
			return err
		}
	}
	if err := record.check(); err != nil {
		return err
	}
	fmt.Fprintf(stderr, "throughput lost to 10 %% more iterations: %s; to %.1f %%: %s\n", record.Costs,
		100*(record.Costs.factor(0.05)-1), record.Five)
	trials := record.Plan.trials()
	fmt.Fprintf(stderr, "%d comparisons, seed %d, %d done\n", len(trials), record.Plan.Seed, len(record.outcomes))
	begun, before := time.Now(), len(record.outcomes)
	for i := before; i < len(trials); i++ {
		if limit > 0 && time.Since(started) > limit {
			fmt.Fprintf(stderr, "time is over: the same command goes on\n")
			return nil
		}
		o, err := lab.run(ctx, trials[i], record.Costs)
		if ctx.Err() != nil {
			fmt.Fprintf(stderr, "interrupted after %d of %d comparisons\n", i, len(trials))
			return nil
		}
		if err == nil {
			err = record.add(o)
		}
		if err != nil {
			return err
		}
		left := time.Since(begun) / time.Duration(i-before+1) * time.Duration(len(trials)-i-1)
		fmt.Fprintf(stderr, "%d of %d: %s; about %v left\n", i+1, len(trials), o, left.Round(time.Minute))
	}
	return nil
}
