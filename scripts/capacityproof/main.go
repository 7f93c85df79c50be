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
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"rampart/loadtest"
	"rampart/scripts/proof"
)

func main() { proof.Main("capacityproof", run) }

// run does what the arguments say. The table goes to stdout, a line for each ramp to stderr. After
// Ctrl-C the table has what was measured until then.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var p plan
	command := proof.NewCommand("capacityproof", "ramp", &p.Seed, stderr)
	command.IntVar(&p.N, "n", 20, "ramps by each rule, of each server, with and without a neighbour")
	command.DurationVar(&p.Duration, "duration", 2*time.Second, "DURATION of the confident ramps")
	servers := command.String("servers", "", "which, with commas between: bundled, flask; empty: all that are installed")
	if err := command.Parse(args); err != nil {
		return err
	}
	if command.NArg() > 0 || p.N < 2 || p.Duration < 100*time.Millisecond {
		return errors.New("want -n 2 or more, -duration 100ms or more, and no other arguments")
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
	} else {
		p.Seed = loadtest.DrawSeed(p.Seed)
		if p.Servers, err = choose(*servers, stderr); err != nil {
			return err
		}
		if err := record.Begin(beginning{p, p.trials()}); err != nil {
			return err
		}
	}
	err = prove(ctx, command, record)
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
func prove(ctx context.Context, command *proof.Command, record *proof.Record[beginning, outcome]) error {
	dir, err := os.MkdirTemp("", "capacityproof")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	lab, plan, trials := lab{dir: dir}, record.Beginning.Plan, record.Beginning.Trials
	return record.Make(ctx, command, len(trials), plan.Seed, func(ctx context.Context, i int) (outcome, error) {
		o, err := lab.run(ctx, trials[i], plan.window(trials[i], record.Outcomes))
		if err != nil {
			return o, fmt.Errorf("%s: %w", trials[i], err)
		}
		return o, nil
	})
}
