package proof

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
)

// Main is the function main of a program that makes a proof: it calls run with a context that is
// done at Ctrl-C, and ends the program with exit code 1 and a line on standard error where run
// fails. Where [StartNeighbour] started the program it is the neighbour and nothing else.
func Main(name string, run func(ctx context.Context, args []string, stdout, stderr io.Writer) error) {
	if isNeighbour(os.Args) {
		beNeighbour(os.Stdin)
		return
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	cancel()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// Command is what the command lines of all proofs have in common. A program defines its own flags
// beside those.
type Command struct {
	*flag.FlagSet
	Log string // -log: the file of the record; empty: it is not kept

	seed   *uint64
	limit  time.Duration
	begun  time.Time
	trial  string // what one is called, such as duel
	stderr io.Writer
}

// NewCommand returns the command of the program name with the flags -seed, -log and -for, and none
// of its own. Trial is what the program calls one of what it makes. The seed, of all that is drawn,
// goes to where seed points. What the command has to say goes to stderr. Its time begins.
func NewCommand(name, trial string, seed *uint64, stderr io.Writer) *Command {
	c := &Command{
		FlagSet: flag.NewFlagSet(name, flag.ContinueOnError), seed: seed, begun: time.Now(), trial: trial, stderr: stderr,
	}
	c.SetOutput(stderr)
	c.Uint64Var(seed, "seed", 0, "of all that is drawn; 0: drawn itself, or that of the log")
	c.StringVar(&c.Log, "log", "", "file that keeps every outcome; what it has already is not measured again")
	c.DurationVar(&c.limit, "for", 0, "begin no "+trial+" after so long; 0: all of them")
	return c
}

// GoesOn reports whether the plan of a log, its flags but -seed and its seed, is the one that is
// asked for with flags, so that the command can go on with it. Without -seed any seed is.
func (c *Command) GoesOn(flags, had string, seed uint64) error {
	if flags == had && (*c.seed == 0 || *c.seed == seed) {
		return nil
	}
	return fmt.Errorf("-log %s: it has %s -seed %d; want the same, or another file", c.Log, had, seed)
}

// Make makes those of total trials of which the record has no outcome, one after the other, with
// try, which gets their number from 0 on. It says on standard error how it gets on. Where ctx ends,
// or the time of -for is over, it stops without an error: the same command goes on.
func (r *Record[B, O]) Make(ctx context.Context, c *Command, total int, seed uint64,
	try func(ctx context.Context, i int) (O, error)) error {
	before, since := len(r.Outcomes), time.Now()
	fmt.Fprintf(c.stderr, "%d %ss, seed %d, %d done\n", total, c.trial, seed, before)
	for i := before; i < total; i++ {
		if c.limit > 0 && time.Since(c.begun) > c.limit {
			fmt.Fprintln(c.stderr, "time is over: the same command goes on")
			return nil
		}
		o, err := try(ctx, i)
		if ctx.Err() != nil {
			fmt.Fprintf(c.stderr, "interrupted after %d of %d %ss\n", i, total, c.trial)
			return nil
		}
		if err == nil {
			err = r.Add(o)
		}
		if err != nil {
			return err
		}
		left := time.Since(since) / time.Duration(i-before+1) * time.Duration(total-i-1)
		fmt.Fprintf(c.stderr, "%d of %d: %v; about %v left\n", i+1, total, o, left.Round(time.Minute))
	}
	return nil
}
