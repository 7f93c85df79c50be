package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"rampart/loadtest"
	"rampart/loadtest/inject"
	"rampart/loadtest/report"
	"rampart/loadtest/verdict"
)

const runHelp = `perfgate run measures two servers in turns and judges them: is the candidate slower than the baseline?

	perfgate run -baseline COMMAND -candidate COMMAND [flags]

A COMMAND is a command line for sh with {addr} in it, where the server takes the address to listen on. The server is ready
when it accepts and answers with 2xx. Or it is the host:port of a server that runs already; then what changes with every start
of a process is the same in all blocks, and in no error bar.

A block starts both servers afresh, in random order, and puts slices of some milliseconds of load on one and the other, in an
order drawn anew for each pair. After 8, 12, 16 and 24 blocks perfgate looks at the verdict, and ends when there is one. Both
servers run on the same processors, and the injector on one of its own, where there are two or more.

Flags, beside -margin, -unit, -alpha, -md and -json (perfgate -h):
	-baseline COMMAND     the server as it was
	-candidate COMMAND    the server as it would be
	-uri URI              what to ask for (default /?it1=60000&it2=1, the bundled server's workload)
	-vus N                virtual users (default: two for each processor that the servers have)
	-side DURATION        how long each side is loaded in a block (default 500ms; slow servers get longer)
	-slice DURATION       length of a slice (default: three median latencies, 1ms at least)
	-blocks N,...         after how many blocks to look (default 8,12,16,24)
	-request-timeout D    a request that takes longer has failed (default 10s)
	-seed N               of all that is drawn (default: drawn, and printed)
	-results FOLDER       where baseline.txt, candidate.txt, duel.json and duel.html go, in a folder of their own (default results)

Ctrl-C ends it with exit code 2; the files hold the blocks that were finished.

Example:
	perfgate run -baseline './old -addr {addr}' -candidate './new -addr {addr}' -uri '/search?q=go' -margin req/s=2%
`

// measure runs a duel and returns the options by which its files are judged. Progress goes to stderr.
func measure(args []string, stderr io.Writer) (options, error) {
	o, d, results, err := parseDuel(args)
	if err != nil {
		return o, err
	}
	files, err := loadtest.NewFiles(results, time.Now())
	if err != nil {
		return o, err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	context.AfterFunc(ctx, cancel) // a second Ctrl-C ends the process at once
	terminal := loadtest.OpenTerminal()
	defer terminal.Close()
	if terminal != nil {
		d.Progress = terminal
	}
	d.OnBlock = func(r loadtest.DuelResult) {
		fmt.Fprintf(stderr, "%s\n%s", report.DuelLine(r), report.DuelOutput(r))
		if e := files.WriteDuel(r); e != nil {
			err = e
		}
	}
	fmt.Fprintf(stderr, "seed %d, files in %s\n", d.Seed, files.Dir())
	result, failed := d.Run(ctx)
	switch {
	case failed != nil:
		return o, fmt.Errorf("%w\n%d finished blocks are in %s", failed, len(result.Blocks), files.Dir())
	case err != nil:
		return o, err
	}
	if o.looks, err = verdict.NewLooks(d.Looks...); err != nil {
		return o, err
	}
	if o.units == nil {
		o.others = "the duel does not judge it: its blocks have too few requests for it, or some could not know it"
	}
	o.units = nil
	for _, row := range result.Rows { // the files are judged by what the duel was
		o.units = append(o.units, row.Unit)
	}
	o.baseline, o.candidate = files.DuelPath(0), files.DuelPath(1)
	return o, nil
}

func parseDuel(args []string) (o options, d loadtest.Duel, results string, err error) {
	flags := flag.NewFlagSet("perfgate run", flag.ContinueOnError)
	o.define(flags)
	sides := map[string]*string{}
	for _, name := range report.SideNames {
		sides[name] = flags.String(name, "", "")
	}
	uri := flags.String("uri", "/?it1=60000&it2=1", "")
	blocks := flags.String("blocks", "", "")
	flags.StringVar(&results, "results", "results", "")
	flags.IntVar(&d.VUs, "vus", 0, "")
	flags.DurationVar(&d.Side, "side", 0, "")
	flags.DurationVar(&d.Slice, "slice", 0, "")
	flags.DurationVar(&d.Timeout, "request-timeout", loadtest.DefaultDuelTimeout, "")
	flags.Uint64Var(&d.Seed, "seed", 0, "")
	if err := o.parse(flags, args); err != nil {
		return o, d, "", err
	}
	if flags.NArg() > 0 {
		return o, d, "", fmt.Errorf("%q: perfgate run has flags only; a command with blanks needs quotes", flags.Arg(0))
	}
	for i, to := range []*loadtest.Contender{&d.Baseline, &d.Candidate} {
		name := report.SideNames[i]
		if *to, err = loadtest.ParseContender(*sides[name]); err != nil {
			return o, d, "", fmt.Errorf("-%s %w", name, err)
		}
	}
	u, err := loadtest.RequestURL(*uri)
	if err != nil {
		return o, d, "", fmt.Errorf("-uri %w", err)
	}
	d.Request = inject.HTTPConfig{URL: u}
	if d.Looks, err = parseBlocks(*blocks); err != nil {
		return o, d, "", fmt.Errorf("-blocks %w", err)
	}
	for name, x := range map[string]time.Duration{"side": d.Side, "slice": d.Slice, "request-timeout": d.Timeout} {
		if x < 0 {
			return o, d, "", fmt.Errorf("-%s %v: want a duration such as 500ms", name, x)
		}
	}
	if d.VUs < 0 {
		return o, d, "", fmt.Errorf("-vus %d: want 1 or more", d.VUs)
	}
	d.Alpha, d.Seed = o.alpha, loadtest.DrawSeed(d.Seed)
	d.Units, d.Margins, err = o.forDuel()
	return o, d, results, err
}

// forDuel returns the units and margins by which the duel itself looks at its verdict.
func (o options) forDuel() (units []string, margins map[string]float64, err error) {
	margins = make(map[string]float64)
	known := make(map[string]string)
	for _, unit := range report.DuelUnits() {
		known[tidy(unit)] = unit
		if m, ok := o.margins[tidy(unit)]; ok {
			margins[unit] = m
		}
	}
	for _, unit := range o.units {
		name, ok := known[tidy(unit)]
		if !ok {
			return nil, nil, fmt.Errorf("-unit %s: a duel has %s", unit, strings.Join(report.DuelUnits(), ", "))
		}
		units = append(units, name)
	}
	return units, margins, nil
}

func parseBlocks(s string) ([]int, error) {
	if s == "" {
		return loadtest.DefaultLooks, nil
	}
	var looks []int
	for part := range strings.SplitSeq(s, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil {
			return nil, fmt.Errorf("%q: want growing numbers of blocks such as 8,12,16,24", s)
		}
		looks = append(looks, n)
	}
	if _, err := verdict.NewLooks(looks...); err != nil {
		return nil, fmt.Errorf("%q: %w", s, err)
	}
	return looks, nil
}
