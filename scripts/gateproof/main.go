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
	"fmt"
	"io"
	"os"

	"rampart/loadtest"
	"rampart/scripts/proof"
)

func main() { proof.Main("gateproof", run) }

// run does what the arguments say. The table goes to stdout, a line for each comparison to stderr.
// After Ctrl-C the table has what was measured until then.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var p plan
	command := proof.NewCommand("gateproof", "comparison", &p.Seed, stderr)
	command.IntVar(&p.N, "n", 60, "duels of the server against itself, and as many with 5 % less throughput; "+
		"a fifteenth of that for each other candidate")
	command.IntVar(&p.Usual, "usual", 10,
		"comparisons the usual way, of the server against itself, and as many with 5 % less throughput")
	command.IntVar(&p.Blocks, "blocks", 40, "blocks of the duels that measure what more iterations cost")
	lengths := command.Bool("slices", false,
		"instead: duels with slices of several lengths, for services of several durations")
	if err := command.Parse(args); err != nil {
		return err
	}
	if command.NArg() > 0 || p.N < 1 || p.Usual < 0 || p.Blocks < 1 {
		return errors.New("want -n 1 or more, -usual 0 or more, -blocks 1 or more, and no other arguments")
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
	}

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
	err = prove(ctx, command, lab, record, p, stderr)
	if record.Beginning != nil {
		writeTable(stdout, record.Outcomes, *record.Beginning)
	}
	return err
}

// prove runs all trials of which the record has no outcome.
func prove(
	ctx context.Context, command *proof.Command, lab lab, record *proof.Record[beginning, outcome], p plan,
	stderr io.Writer,
) error {
	if record.Beginning == nil {
		p.Seed = loadtest.DrawSeed(p.Seed)
		b := beginning{Plan: p, Comparisons: len(p.trials())}
		var err error
		fmt.Fprintf(stderr, "two duels of %d blocks: what more iterations cost\n", p.Blocks)
		if b.Costs, err = lab.costs(ctx, p.Blocks, 1.1); err == nil {
			b.Five, err = lab.costs(ctx, p.Blocks, b.Costs.factor(0.05))
		}
		if ctx.Err() != nil {
			fmt.Fprintf(stderr, "interrupted before the first comparison\n")
			return nil
		}
		if err == nil {
			err = record.Begin(b)
		}
		if err != nil {
			return err
		}
	}
	b := *record.Beginning
	if err := b.planned(record.Outcomes); err != nil {
		return err
	}
	fmt.Fprintf(stderr, "throughput lost to 10 %% more iterations: %s; to %.1f %%: %s\n", b.Costs,
		100*(b.Costs.factor(0.05)-1), b.Five)
	trials := b.Plan.trials()
	return record.Make(ctx, command, len(trials), b.Plan.Seed, func(ctx context.Context, i int) (outcome, error) {
		return lab.run(ctx, trials[i], b.Costs)
	})
}
