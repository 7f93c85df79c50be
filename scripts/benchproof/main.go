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
	"io"
	"os"

	"rampart/loadtest"
	"rampart/scripts/proof"
)

func main() { proof.Main("benchproof", run) }

// run does what the arguments say. The table goes to stdout, a line for each comparison to stderr.
// After Ctrl-C the table has what was measured until then.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var p plan
	command := proof.NewCommand("benchproof", "comparison", &p.Seed, stderr)
	command.IntVar(&p.Equals, "equals", 120, "benchmarks of the standard library that duel with themselves")
	command.IntVar(&p.N, "n", 60, "duels with 5 % more work; a third of that with 3 % and with 10 %")
	command.IntVar(&p.Usual, "usual", 40, "comparisons the usual way: of equals, and as many with 5 % more work")
	if err := command.Parse(args); err != nil {
		return err
	}
	if command.NArg() > 0 || p.Equals < 1 || p.N < 1 || p.Usual < 0 {
		return errors.New("want -equals 1 or more, -n 1 or more, -usual 0 or more, and no other arguments")
	}
	record, err := proof.Open[beginning, outcome](command.Log)
	if err != nil {
		return err
	}
	defer record.Close()
	if b := record.Beginning; b != nil {
		if err := command.GoesOn(p.flags(), b.Plan.flags(), b.Plan.Seed); err != nil {
			return err
		}
		if len(record.Outcomes) == len(b.Trials) {
			writeTable(stdout, record.Outcomes)
			return nil
		}
	}
	err = prove(ctx, command, record, p, stderr)
	writeTable(stdout, record.Outcomes)
	return err
}

// prove runs all trials of which the record has no outcome.
func prove(
	ctx context.Context, command *proof.Command, record *proof.Record[beginning, outcome], p plan, stderr io.Writer,
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
	trials, seed := record.Beginning.Trials, record.Beginning.Plan.Seed
	return record.Make(ctx, command, len(trials), seed, func(ctx context.Context, i int) (outcome, error) {
		return lab.run(ctx, trials[i], seed+uint64(i))
	})
}
