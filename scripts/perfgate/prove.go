package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"rampart/loadtest"
	"rampart/loadtest/gate"
	"rampart/loadtest/inject"
	"rampart/loadtest/lab"
	"rampart/loadtest/report"
	"rampart/scripts/perfgate/prove"
	"rampart/scripts/proof"
)

const proveHelp = `perfgate prove measures how often the gate is wrong about your server, on this machine.

	perfgate prove -server COMMAND [flags]

COMMAND is a command line for sh with {addr} in it, as of perfgate run. The server duels with itself, in the time that
you give. Half of the duels are of equals, so that each one that is called slower is a false alarm. In the others the
candidate loses 5, 3 or 10 % of its throughput, though it is the same server: that share of its requests is made and
answered as ever, and counts for nothing. So req/s is exactly that much less, and server-cpu-ns/op is more; latencies
stay as they are. What is added up are verdicts, each as perfgate run would have made it with the same flags.

Flags, beside -margin, -unit, -alpha, -md, -json and -comment (perfgate -h), and -vus, -side, -warmup, -slice,
-blocks, -request-timeout, -expect and -answers (perfgate run -h):
	-server COMMAND       the server
	-slower COMMAND       one that you know to be slower: how often is it found?
	-for DURATION         how long it may take (default 10m); a duel of equals and one with a loss are always made
	-log FILE             keeps every outcome, a line of JSON each; what it has already is not measured again (default:
	                      proof.jsonl in the folder of results). -for 0 with it: print the table again
	-seed N               of all that is drawn (default: drawn, or that of the log)
	-results FOLDER       where proof.txt, proof.json and proof.jsonl go, in a folder of their own, with the files of
	                      duels that were wrong or open (default results)

` + requestHelp + `
Exit codes:
	0  as promised      both mistakes are as rare as -alpha says, as far as this shows
	1  worse            more false alarms, or more losses of the margin that passed: shown by an exact binomial test
	2  not measured     wrong flag, a server that does not start, an interrupt
	3  not said         too few duels, or more than half of the equals did not pass

Ctrl-C prints the table of what there is. The same command with -log goes on.

Examples:
	perfgate prove -server './server -addr {addr}' -uri '/search?q=go'
	perfgate prove -server './server -addr {addr}' -for 1h -log proof.jsonl -margin req/s=2%
`

// proving is what a user says of a proof.
type proving struct {
	options
	duel         loadtest.Duel // of the server with itself
	slower       *loadtest.Contender
	limit        time.Duration
	log, results string
}

func parseProve(args []string) (o proving, err error) {
	flags := flag.NewFlagSet("perfgate prove", flag.ContinueOnError)
	o.define(flags)
	load := defineLoad(flags, &o.duel)
	server := flags.String("server", "", "")
	slower := flags.String("slower", "", "")
	var ask asking
	ask.defineRequest(flags)
	defineExpect(flags, &o.duel, &ask.expect)
	flags.DurationVar(&o.limit, "for", 10*time.Minute, "")
	flags.StringVar(&o.log, "log", "", "")
	flags.StringVar(&o.results, "results", "results", "")
	if err := o.parse(flags, args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		part := loadtest.Contender{Command: flags.Arg(0)} // of a command, where it is shown without secrets
		return o, fmt.Errorf("%q: perfgate prove has flags only; a command with blanks needs quotes", part)
	}
	if o.duel.Baseline, err = parseCommand("server", *server); err != nil {
		return o, err
	}
	o.duel.Candidate = o.duel.Baseline
	if *slower != "" {
		c, err := parseCommand("slower", *slower)
		if err != nil {
			return o, err
		}
		o.slower = &c
	}
	if o.duel.Request, err = ask.config(o.duel.Baseline); err != nil {
		return o, err
	}
	if err := load.check(&o.duel); err != nil {
		return o, err
	}
	if err := o.forDuel(&o.duel); err != nil {
		return o, err
	}
	if o.duel.Alpha = o.Alpha; o.Alpha == 0 {
		o.duel.Alpha = gate.DefaultAlpha
	}
	if o.duel.Side == 0 {
		o.duel.Side = loadtest.DefaultDuelSide
	}
	return o, o.checkProof()
}

// parseCommand reads a server that a proof starts.
func parseCommand(name, s string) (loadtest.Contender, error) {
	c, err := loadtest.ParseContender(s)
	if err != nil {
		return c, fmt.Errorf("-%s %w", name, err)
	}
	if c.Command == "" {
		return c, fmt.Errorf("-%s %s: a server that runs already would be both sides of each duel, and what changes with "+
			"every start in none of them; want a command with {addr}", name, c)
	}
	return c, nil
}

// checkProof says what could show nothing, before anything is started.
func (o proving) checkProof() error {
	if len(o.duel.Require) > 0 {
		return errors.New("-require-better: a server is not better than itself; leave it out")
	}
	units := o.duel.Units
	if units != nil && !slices.Contains(units, prove.Throughput) && !slices.Contains(units, prove.ServerCPU) {
		return fmt.Errorf("-unit without %s and %s: the losses of a proof show in these and in no other unit; want one of "+
			"them among the units", prove.Throughput, prove.ServerCPU)
	}
	if o.limit == 0 && o.log != "" {
		return nil
	}
	if least := 2 * time.Duration(o.duel.Looks[0]) * 2 * o.duel.Side; o.limit < least {
		return fmt.Errorf("-for %v: a duel of equals and one with a loss are %d blocks at least, in which each side is "+
			"loaded for %v, and that is %v; want more, such as %v", o.limit, 2*o.duel.Looks[0], o.duel.Side, least,
			enough(least))
	}
	return nil
}

// enough is a time that people would name, and a good deal more than the least.
func enough(least time.Duration) time.Duration {
	step := 10 * time.Second
	if least > time.Minute {
		step = time.Minute
	}
	return (2*least + step).Truncate(step)
}

// beginning is what all outcomes will have in common, as far as it is known before.
func (o proving) beginning() prove.Beginning {
	b := prove.Beginning{
		Plan:   prove.Plan{Seed: o.duel.Seed, Slower: o.slower != nil},
		Server: o.duel.Baseline.String(), Request: shownRequest(o.duel.Request), AskedVUs: o.duel.VUs,
		Side: o.duel.Side, Warmup: o.duel.Warmup, Slice: o.duel.Slice, Timeout: o.duel.Timeout,
		Looks: o.duel.Looks, Alpha: o.duel.Alpha, Units: o.duel.Units, Margins: o.duel.Margins,
		AnyAnswer: o.duel.AnyAnswer, StrictAnswers: o.duel.StrictAnswers,
	}
	if o.slower != nil {
		b.Slower = o.slower.String()
	}
	return b
}

// shownRequest tells one request from another, without what may be secret.
func shownRequest(c inject.HTTPConfig) string {
	s := cmp.Or(c.Method, http.MethodGet) + " " + c.URL.RequestURI()
	if c.URL.Scheme == "https" {
		s += ", TLS"
	}
	if n := len(c.Requests); n > 0 {
		s = fmt.Sprintf("%d requests of %s", n, c.Source)
	}
	if expect := c.Expect.String(); expect != "" {
		s += ", expect " + strings.ReplaceAll(expect, "\n", " ")
	}
	if c.Cookies {
		s += ", cookies"
	}
	if c.NoKeepAlive {
		s += ", a connection for each"
	}
	if names := slices.Sorted(maps.Keys(c.Header)); len(names) > 0 {
		s += ", headers " + strings.Join(names, " ")
	}
	if len(c.Body) > 0 {
		s += fmt.Sprintf(", %d bytes", len(c.Body))
	}
	return s
}

// proofRecord is the log of a proof.
type proofRecord = proof.Record[prove.Beginning, prove.Outcome]

// proveServer makes duels of a server with itself until time is over, and writes what they show.
// Progress goes to stderr.
func proveServer(args []string, summary string, stdout, stderr io.Writer) (code int, err error) {
	o, err := parseProve(args)
	if err != nil {
		return 0, err
	}
	if err := o.checkOutput(summary); err != nil {
		return 0, err
	}
	b := o.beginning()
	var record *proofRecord
	if o.log != "" {
		if record, b, err = o.openLog(b); err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, record.Close()) }()
	}
	var files *lab.Files
	if o.limit > 0 {
		if files, err = lab.NewFiles(o.results, time.Now()); err != nil {
			return 0, err
		}
		if unlinked := files.Unlinked(); unlinked != nil {
			fmt.Fprintf(stderr, "perfgate: warning: %v\n", unlinked)
		}
	}
	if record == nil {
		o.log = filepath.Join(files.Dir(), "proof.jsonl")
		if record, b, err = o.openLog(b); err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, record.Close()) }()
	}
	b.Plan.Seed = loadtest.DrawSeed(b.Plan.Seed)
	var failed error
	if files != nil {
		fmt.Fprintf(stderr, "seed %d, %d duels done, files in %s\n", b.Plan.Seed, len(record.Outcomes), files.Dir())
		failed = o.duels(record, b, files, stderr)
	}
	if len(record.Outcomes) == 0 {
		return 0, errors.Join(failed, errors.New("no duel has been finished, so there is nothing to say"))
	}
	s := prove.Summarize(*record.Beginning, record.Outcomes)
	if files != nil {
		text := lab.Replace(filepath.Join(files.Dir(), "proof.txt"), s.Text)
		failed = errors.Join(failed, text, lab.Replace(filepath.Join(files.Dir(), "proof.json"), s.JSON))
	}
	if failed = errors.Join(failed, o.writeProof(stdout, summary, s)); failed != nil {
		return 0, failed
	}
	return s.Exit, nil
}

// openLog opens the log, and returns with what it begins: as it did, or as b says.
func (o proving) openLog(b prove.Beginning) (*proofRecord, prove.Beginning, error) {
	if o.limit == 0 {
		if _, err := os.Stat(o.log); err != nil {
			return nil, b, fmt.Errorf("-log: %w; -for 0 prints the table of one that is there", err)
		}
	}
	record, err := proof.Open[prove.Beginning, prove.Outcome](o.log)
	if err != nil {
		return nil, b, fmt.Errorf("-log: %w", err)
	}
	if record.Beginning != nil {
		if b, err = b.Continue(*record.Beginning); err != nil {
			return nil, b, errors.Join(fmt.Errorf("-log %s: %w", o.log, err), record.Close())
		}
	}
	return record, b, nil
}

// writeProof writes a summary in the ways that are asked for.
func (o options) writeProof(stdout io.Writer, summary string, s prove.Summary) error {
	write := s.Text
	switch {
	case o.json:
		write = s.JSON
	case o.md && summary == "":
		write = s.Markdown
	}
	if err := write(stdout); err != nil {
		return err
	}
	if o.md && summary != "" {
		if err := appendSummary(summary, func(w io.Writer, _ int) error { return s.Markdown(w) }); err != nil {
			return err
		}
	}
	if o.comment != "" {
		var text bytes.Buffer
		return errors.Join(s.Markdown(&text), o.comments(text.Bytes()))
	}
	return nil
}

// duels makes duels until time is over.
func (o proving) duels(record *proofRecord, b prove.Beginning, files *lab.Files, stderr io.Writer) error {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	context.AfterFunc(ctx, cancel) // a second Ctrl-C ends the process at once
	terminal := lab.OpenTerminal()
	defer terminal.Close()
	begun := time.Now()
	left := func() time.Duration { return o.limit - time.Since(begun) }
	for made := 0; ; made++ {
		done := len(record.Outcomes)
		if longest := prove.Longest(record.Outcomes, b.Looks); !prove.Begins(done, left(), longest) {
			if made == 0 {
				fmt.Fprintf(stderr, "-for %v: no duel is begun that may take longer, and one may take %v here\n", o.limit,
					longest.Round(time.Second))
			}
			return nil
		}
		t := b.Plan.Trial(done)
		d := o.duelOf(t)
		if terminal != nil {
			d.Progress = terminal
		}
		started := time.Now()
		running, giveUp := context.WithCancelCause(ctx)
		d.OnBlock = func(r loadtest.DuelResult) {
			each := time.Since(started)
			least := 2 * time.Duration(b.Looks[0]) * each
			if done == 0 && len(r.Blocks) == 1 && least > o.limit {
				giveUp(fmt.Errorf("-for %v: a block takes %v here, and two duels have %d of them at least; want more, such as "+
					"%v", o.limit, each.Round(10*time.Millisecond), 2*b.Looks[0], enough(least)))
			}
		}
		r, err := d.Run(running)
		tooShort := context.Cause(running)
		giveUp(nil)
		switch {
		case tooShort != nil && ctx.Err() == nil:
			return tooShort
		case err != nil && ctx.Err() != nil:
			return fmt.Errorf("interrupted in duel %d; -log %s goes on", done+1, o.log)
		case err != nil:
			return fmt.Errorf("duel %d, %s: %w; what was measured before is in %s", done+1, t, err, o.log)
		}
		outcome, err := prove.NewOutcome(t, r, time.Since(started))
		if err == nil {
			b, err = o.keep(record, b, outcome, r)
		}
		if err != nil {
			return err
		}
		terminal.End()
		about := done + 1 + max(0, int(left().Seconds()/prove.Typical(record.Outcomes).Seconds()))
		fmt.Fprintf(stderr, "duel %d of about %d: %s; %v left\n", done+1, about, outcome, max(left().Round(time.Second), 0))
		if !b.Right(outcome) {
			if err := keepDuel(files, r, stderr); err != nil {
				return err
			}
		}
	}
}

// keep adds an outcome to the log, which begins with the first one.
func (o proving) keep(
	record *proofRecord, b prove.Beginning, outcome prove.Outcome, r loadtest.DuelResult,
) (prove.Beginning, error) {
	if record.Beginning == nil {
		b.Rampart, b.Machine, b.VUs = r.Version, r.Machine, r.VUs
		if err := record.Begin(b); err != nil {
			return b, fmt.Errorf("-log: %w", err)
		}
	} else if err := b.Joins(r.Duel); err != nil {
		return b, fmt.Errorf("-log %s: %w", o.log, err)
	}
	if err := record.Add(outcome); err != nil {
		return b, fmt.Errorf("-log: %w", err)
	}
	return b, nil
}

// keepDuel writes the files of a duel that was wrong or open, so that somebody can look why.
func keepDuel(files *lab.Files, r loadtest.DuelResult, stderr io.Writer) error {
	own, err := lab.NewFiles(filepath.Join(files.Dir(), "duels"), r.Started)
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "%s%s\tits files are in %s\n", report.DuelOutput(r.Duel), report.DuelAnswers(r.Duel, r.Report),
		own.Dir())
	return own.WriteDuel(r.Duel, r.Report)
}

// duelOf is the duel of a trial.
func (o proving) duelOf(t prove.Trial) loadtest.Duel {
	d := o.duel
	d.Seed, d.Candidate.Waste = t.Seed, t.Loss
	if t.Slower {
		d.Candidate = *o.slower
	}
	return d
}
