// Command benchproof measures how often perfgate bench is wrong. It lets benchmarks that nobody
// here wrote, those of five packages of the standard library, duel with themselves, and benchmarks
// of its own with versions of them that do more work, half of all beside a neighbour that burns
// CPU, and counts verdicts. The same time is also spent the usual way, all of the old and then all
// of the new.
//
//	go run ./scripts/benchproof -log proof.jsonl
//	go run ./scripts/benchproof -log proof.jsonl -for 20m   # in parts, until all are there
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
		fmt.Fprintf(os.Stderr, "benchproof: %v\n", err)
		os.Exit(1)
	}
}

// run does what the arguments say. The table goes to stdout, a line for each comparison to stderr.
// After Ctrl-C the table has what was measured until then.
func run(args []string, stdout, stderr io.Writer) error {
	var p plan
	flags := flag.NewFlagSet("benchproof", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&p.Equals, "equals", 120, "benchmarks of the standard library that duel with themselves")
	flags.IntVar(&p.N, "n", 60, "duels with 5 % more work; a third of that with 3 % and with 10 %")
	flags.IntVar(&p.Usual, "usual", 40, "comparisons the usual way: of equals, and as many with 5 % more work")
	flags.Uint64Var(&p.Seed, "seed", 0, "of all that is drawn; 0: drawn itself")
	path := flags.String("log", "", "file that keeps every outcome; what it has already is not measured again")
	limit := flags.Duration("for", 0, "begin no comparison after so long; 0: all of them")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || p.Equals < 1 || p.N < 1 || p.Usual < 0 {
		return errors.New("want -equals 1 or more, -n 1 or more, -usual 0 or more, and no other arguments")
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	begun := time.Now()
	record, err := proof.Open[beginning, outcome](*path)
	if err != nil {
		return err
	}
	defer record.Close()
	if record.Beginning != nil {
		if had := record.Beginning.Plan; p.Seed != 0 && p.Seed != had.Seed || p.Equals != had.Equals || p.N != had.N ||
			p.Usual != had.Usual {
			return fmt.Errorf("-log %s: it has -equals %d -n %d -usual %d -seed %d; want the same, or another file", *path,
				had.Equals, had.N, had.Usual, had.Seed)
		}
		if len(record.Outcomes) == len(record.Beginning.Trials) {
			writeTable(stdout, record.Outcomes)
			return nil
		}
	}
	err = prove(ctx, record, p, begun, *limit, stderr)
	writeTable(stdout, record.Outcomes)
	return err
}

// prove runs all trials of which the record has no outcome.
func prove(
	ctx context.Context, record *proof.Record[beginning, outcome], p plan, begun time.Time, limit time.Duration,
	stderr io.Writer,
) error {
	dir, err := os.MkdirTemp("", "benchproof")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	lab, err := newLab(ctx, dir, stderr)
	if err != nil {
		return err
	}
	if record.Beginning == nil {
		p.Seed = loadtest.DrawSeed(p.Seed)
		names, err := lab.names(ctx)
		if err != nil {
			return err
		}
		if err := record.Begin(beginning{p, p.trials(names)}); err != nil {
			return err
		}
	}
	trials := record.Beginning.Trials
	fmt.Fprintf(stderr, "%d comparisons, seed %d, %d done\n", len(trials), record.Beginning.Plan.Seed,
		len(record.Outcomes))
	since, before := time.Now(), len(record.Outcomes)
	for i := before; i < len(trials); i++ {
		if limit > 0 && time.Since(begun) > limit {
			fmt.Fprintln(stderr, "time is over: the same command goes on")
			return nil
		}
		o, err := lab.run(ctx, trials[i], record.Beginning.Plan.Seed+uint64(i))
		if ctx.Err() != nil {
			fmt.Fprintf(stderr, "interrupted after %d of %d comparisons\n", i, len(trials))
			return nil
		}
		if err == nil {
			err = record.Add(o)
		}
		if err != nil {
			return err
		}
		left := time.Since(since) / time.Duration(i-before+1) * time.Duration(len(trials)-i-1)
		fmt.Fprintf(stderr, "%d of %d: %s; about %v left\n", i+1, len(trials), o, left.Round(time.Minute))
	}
	return nil
}
