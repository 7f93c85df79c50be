package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"rampart/loadtest"
	"rampart/loadtest/gate"
	"rampart/loadtest/lab"
	"rampart/loadtest/report"
	"rampart/loadtest/result"
	"rampart/loadtest/verdict"
)

const runHelp = `perfgate run measures two servers in turns and judges them: is the candidate slower than the baseline?

	perfgate run -baseline COMMAND -candidate COMMAND [flags]

A COMMAND is a command line for sh with {addr} in it, where the server takes the address to listen on. The server is ready
when it accepts and answers with 2xx, or as -expect says. Or it is the host:port of a server that runs already; then what
changes with every start of a process is the same in all blocks, and in no error bar.

A block starts both servers afresh, in random order, and puts slices of some milliseconds of load on one and the other, in an
order drawn anew for each pair. After 9, 12, 16 and 24 blocks perfgate looks at the verdict, and ends when there is one. Both
servers run on the same processors, and the injector on one of its own, where there are two or more.

Flags, beside -margin, -unit, -require-better, -alpha, -md, -json and -comment (perfgate -h):
	-baseline COMMAND     the server as it was
	-candidate COMMAND    the server as it would be
	-vus N                virtual users (default: two for each processor that the servers have)
	-side DURATION        how long each side is loaded in a block (default 500ms; slow servers get longer)
	-warmup DURATION      how long each side is loaded before that, untimed (default auto: until the time and the CPU time
	                      of a request fall no more on either side, at most 10s; who is cold then is in doubt)
	-slice DURATION       length of a slice (default: three median latencies, 1ms at least)
	-blocks N,...         after how many blocks to look (default 9,12,16,24)
	-request-timeout D    a request that takes longer has failed (default 10s)
	-expect CONDITION     what an answer must be to be a success, may be given several times: status=2xx,304 (default
	                      status=2xx), body~REGEXP (in the first 1 MB of the body)
	-answers WHAT         what must be alike of all answers: length (default: status, Content-Type, Content-Encoding, and
	                      length), strict (the bodies, too), or none
	-slo OBJECTIVE,...    what the candidate has to keep by itself: p99<50ms,mean<20ms,failed<0.1%
	-seed N               of all that is drawn (default: drawn, and printed)
	-results FOLDER       where baseline.txt, candidate.txt, duel.json and duel.html go, in a folder of their own (default results)

` + requestHelp + `
Ctrl-C ends it with exit code 2; the files hold the blocks that were finished.

Examples:
	perfgate run -baseline './old -addr {addr}' -candidate './new -addr {addr}' -uri '/search?q=go' -margin req/s=2%
	perfgate run -baseline './old {addr}' -candidate './new {addr}' -uri /orders -d @order.json -H 'Content-Type: application/json'
	perfgate run -baseline './old {addr}' -candidate './new {addr}' -tls -cacert ca.pem -servername app.example
`

// measure runs a duel, and writes its verdict. Progress goes to stderr.
func measure(args []string, summary string, stdout, stderr io.Writer) (int, error) {
	o, d, results, err := parseDuel(args)
	if err != nil {
		return 0, err
	}
	if err := o.checkOutput(summary); err != nil {
		return 0, err
	}
	files, err := lab.NewFiles(results, time.Now())
	if err != nil {
		return 0, err
	}
	if unlinked := files.Unlinked(); unlinked != nil {
		fmt.Fprintf(stderr, "perfgate: warning: %v\n", unlinked)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	context.AfterFunc(ctx, cancel) // a second Ctrl-C ends the process at once
	terminal := lab.OpenTerminal()
	defer terminal.Close()
	if terminal != nil {
		d.Progress = terminal
	}
	d.OnBlock = func(r loadtest.DuelResult) {
		fmt.Fprintf(stderr, "%s\n%s", report.DuelLine(r.Duel, r.Report), report.DuelOutput(r.Duel))
		if e := files.WriteDuel(r.Duel, r.Report); e != nil {
			err = e
		}
	}
	fmt.Fprintf(stderr, "seed %d, files in %s\n", d.Seed, files.Dir())
	result, failed := d.Run(ctx)
	switch {
	case failed != nil:
		return 0, fmt.Errorf("%w\n%d finished blocks are in %s", failed, len(result.Blocks), files.Dir())
	case err != nil:
		return 0, err
	}
	fmt.Fprint(stderr, report.DuelAnswers(result.Duel, result.Report))
	judged := result.Report
	judged.Baseline.Path, judged.Candidate.Path = files.DuelPath(0), files.DuelPath(1)
	return judged.Exit, o.write(stdout, summary, judged)
}

func parseDuel(args []string) (o options, d loadtest.Duel, results string, err error) {
	flags := flag.NewFlagSet("perfgate run", flag.ContinueOnError)
	o.define(flags)
	sides := map[string]*string{}
	for _, name := range result.SideNames {
		sides[name] = flags.String(name, "", "")
	}
	var ask asking
	ask.defineRequest(flags)
	load := defineLoad(flags, &d)
	flags.StringVar(&results, "results", "results", "")
	defineExpect(flags, &d, &ask.expect)
	if err := o.parse(flags, args); err != nil {
		return o, d, "", err
	}
	if flags.NArg() > 0 {
		part := loadtest.Contender{Command: flags.Arg(0)} // of a command, where it is shown without secrets
		return o, d, "", fmt.Errorf("%q: perfgate run has flags only; a command with blanks needs quotes", part)
	}
	for i, to := range []*loadtest.Contender{&d.Baseline, &d.Candidate} {
		name := result.SideNames[i]
		if *to, err = loadtest.ParseContender(*sides[name]); err != nil {
			return o, d, "", fmt.Errorf("-%s %w", name, err)
		}
	}
	if d.Request, err = ask.config(d.Baseline, d.Candidate); err != nil {
		return o, d, "", err
	}
	if err := load.check(&d); err != nil {
		return o, d, "", err
	}
	d.Alpha, d.Seed = o.Alpha, loadtest.DrawSeed(d.Seed)
	err = o.forDuel(&d)
	return o, d, results, err
}

// loading is what flags say of the load of a duel and is not in it as it is.
type loading struct{ blocks string }

// defineLoad defines the flags that say how a duel loads both sides.
func defineLoad(flags *flag.FlagSet, d *loadtest.Duel) *loading {
	var l loading
	flags.StringVar(&l.blocks, "blocks", "", "")
	flags.IntVar(&d.VUs, "vus", 0, "")
	flags.DurationVar(&d.Side, "side", 0, "")
	flags.Func("warmup", "", func(s string) (err error) {
		d.Warmup, err = parseWarmup(s)
		return err
	})
	flags.DurationVar(&d.Slice, "slice", 0, "")
	flags.DurationVar(&d.Timeout, "request-timeout", loadtest.DefaultDuelTimeout, "")
	flags.Uint64Var(&d.Seed, "seed", 0, "")
	return &l
}

// check checks what the flags of defineLoad said, and completes the duel.
func (l *loading) check(d *loadtest.Duel) (err error) {
	if d.Looks, err = parseBlocks(l.blocks); err != nil {
		return fmt.Errorf("-blocks %w", err)
	}
	for _, flag := range []struct {
		name  string
		value time.Duration
	}{{"side", d.Side}, {"slice", d.Slice}, {"request-timeout", d.Timeout}} {
		if flag.value < 0 {
			return fmt.Errorf("-%s %v: want a duration such as 500ms", flag.name, flag.value)
		}
	}
	if d.VUs < 0 {
		return fmt.Errorf("-vus %d: want 1 or more", d.VUs)
	}
	return nil
}

// parseWarmup reads the length of a warm-up. That of auto is 0.
func parseWarmup(s string) (time.Duration, error) {
	if s == "auto" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, errors.New("want auto, or a duration such as 10s")
	}
	return d, nil
}

// forDuel sets the units and margins of a duel.
func (o options) forDuel(d *loadtest.Duel) error {
	all := result.DuelUnits()
	known := make(map[string]string)
	for _, unit := range all {
		known[gate.Tidy(unit)] = unit
	}
	for _, unit := range o.Units {
		name, ok := known[gate.Tidy(unit)]
		if !ok {
			return fmt.Errorf("-unit %s: a duel has %s", unit, strings.Join(all, ", "))
		}
		d.Units = append(d.Units, name)
	}
	for _, unit := range o.Require {
		name, ok := known[gate.Tidy(unit)]
		if !ok || name == result.BodySize {
			return fmt.Errorf("-require-better %s: a duel has %s", unit, strings.Join(all, ", "))
		}
		d.Require = append(d.Require, name)
	}
	d.Margins = make(map[string]float64)
	for _, unit := range slices.Sorted(maps.Keys(o.Margins)) {
		name, ok := known[unit]
		if !ok {
			return fmt.Errorf("-margin %s: a duel has %s", unit, strings.Join(all, ", "))
		}
		d.Margins[name] = o.Margins[unit]
	}
	return nil
}

func parseBlocks(s string) ([]int, error) {
	if s == "" {
		return loadtest.DefaultLooks(), nil
	}
	var looks []int
	for part := range strings.SplitSeq(s, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil {
			return nil, fmt.Errorf("%q: want growing numbers of blocks such as 9,12,16,24", s)
		}
		looks = append(looks, n)
	}
	if _, err := verdict.NewLooks(looks...); err != nil {
		return nil, fmt.Errorf("%q: %w", s, err)
	}
	return looks, nil
}
