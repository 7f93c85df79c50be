// Command gateproof measures how often the gate is wrong. It runs duels of the bundled server against itself and against one
// that has more to do for each request, some of them beside a neighbour that burns CPU, and counts verdicts. The same time is
// also spent the usual way, all of the old server and then all of the new one, for comparison.
//
//	go build -o bin/server ./server
//	go run ./scripts/gateproof -server bin/server -n 60
//
// What is injected are loop iterations. What they cost in throughput is measured first, by duels of many blocks.
package main

import (
	"context"
	"encoding/json"
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

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "gateproof: %v\n", err)
		os.Exit(1)
	}
}

// run does what the arguments say. The table goes to stdout, a line for each duel to stderr. After Ctrl-C the table has what
// was measured until then.
func run(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("gateproof", flag.ContinueOnError)
	server := flags.String("server", "bin/server", "the bundled server, built")
	n := flags.Int("n", 60, "duels of the server against itself, and as many with 5 % less throughput; a sixth of that for each other loss")
	usual := flags.Int("usual", 20, "comparisons the usual way, of the server against itself, and as many with 5 % less throughput")
	blocks := flags.Int("blocks", 40, "blocks of the duels that measure what more iterations cost")
	seed := flags.Uint64("seed", 0, "of the order of all duels; 0: drawn")
	log := flags.String("log", "", "file to which every duel is appended as a line of JSON")
	if err := flags.Parse(args); err != nil {
		return err
	}
	path, err := filepath.Abs(*server)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		return fmt.Errorf("-server: %w; build it with go build -o bin/server ./server", err)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()

	begun := time.Now()
	lab := lab{server: path, stderr: stderr}
	if *log != "" {
		f, err := os.OpenFile(*log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
		if err != nil {
			return fmt.Errorf("-log: %w", err)
		}
		defer f.Close()
		lab.log = json.NewEncoder(f)
	}
	costs, err := lab.costs(ctx, *blocks)
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "%.1f %% less throughput for 10 %% more iterations (%.1f to %.1f)\n", 100*costs.loss, 100*costs.low, 100*costs.high)

	plan := plan(*n, *usual)
	for *seed == 0 {
		*seed = rand.Uint64N(1 << 32)
	}
	rand.New(rand.NewPCG(*seed, 0)).Shuffle(len(plan), func(i, j int) { plan[i], plan[j] = plan[j], plan[i] })
	fmt.Fprintf(stderr, "%d comparisons, seed %d\n", len(plan), *seed)
	var outcomes []outcome
	for i, trial := range plan {
		o, err := lab.run(ctx, trial, costs)
		if ctx.Err() != nil {
			fmt.Fprintf(stderr, "interrupted after %d of %d comparisons\n", i, len(plan))
			break
		}
		if err != nil {
			return err
		}
		outcomes = append(outcomes, o)
		left := time.Since(begun) / time.Duration(i+1) * time.Duration(len(plan)-i-1)
		fmt.Fprintf(stderr, "%d of %d: %s; about %v left\n", i+1, len(plan), o, left.Round(time.Minute))
	}
	writeTable(stdout, outcomes, costs)
	return nil
}
