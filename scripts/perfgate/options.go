package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/perf/benchunit"

	"rampart/loadtest/verdict"
)

// options are what a user says on the command line.
type options struct {
	baseline, candidate string
	margins             margins  // from -margin; units without one have their default
	units               []string // from -unit, as written; nil: the default choice
	others              string   // why no other units are gated than these
	alpha               float64
	pairing             pairing
	md, json            bool
	looks               *verdict.Looks // after which blocks a duel was judged; nil: the files are judged once
}

// pairing says how it is known which samples belong together.
type pairing int

const (
	pairingFromFiles pairing = iota // markers say so, or they are no pairs
	pairingForced                   // -paired: first with first, second with second
	pairingOff                      // -unpaired
)

const help = `perfgate judges two files of Go benchmark results: did the candidate become worse than the baseline?

	perfgate [flags] baseline.txt candidate.txt
	perfgate run -baseline COMMAND -candidate COMMAND [flags]     measure both servers first; perfgate run -h says more

Exit codes:
	0  pass          worse by less than the margin, if it is worse at all: shown, not assumed
	1  regressed     worse, and not shown to be within the margin
	2  not judged    bad input, missing file, wrong flag, failed benchmark, contradiction with benchstat
	3  inconclusive  the samples do not suffice for either; it says how many would
go run turns every code but 0 into 1: where the difference matters, build first, go build -o bin/ ./scripts/perfgate.

Flags:
	-margin UNIT=PERCENT,...  how much worse is allowed, as a change of the baseline: -margin req/s=3%,p99-ns=15%
	                          Also gates a unit that is not gated by default. Defaults:
	                          3%  throughput (*/s), time and CPU per operation (ns/op, *-ns/op), B/op, allocs/op
	                          5%  latency up to the 75th percentile (p50-ns)
	                          10% up to the 99th (p90-ns, p95-ns, p99-ns), 20% beyond (p99.9-ns)
	-unit UNIT,...            gate these units and no others
	-alpha LEVEL              highest chance of a false alarm over all rows, and of a false pass (default 0.05)
	-paired                   the n-th samples of both files belong together and were taken in turns, in drawn order
	-unpaired                 they do not, whatever the files say
	-md                       Markdown: appended to the file $GITHUB_STEP_SUMMARY where that is set, else printed
	                          instead of the table
	-json                     JSON instead of the table
	-h                        this help

Which samples belong together. Two runs one after the other also compare what else the machine did meanwhile, even if
they have as many samples. So samples are pairs only where both files say in which block of which duel they were
taken, by a comment before them:

	# rampart duel seed=42 block=1

Samples of the same seed and block are a pair. Others are judged without pairs, which is the weaker test.

Which units are gated. All with a known direction and a margin, in every benchmark that has them, but the load generator's
own client-cpu-ns/op, and but one of two that say the same: ns/op beside a rate such as req/s, MB/s beside ns/op. The
direction is that of a line "Unit req/s better=higher" in the file, else that of the name: */s higher; ns/op, *-ns/op, *-ns,
B/op, allocs/op lower. What is not gated is named.

How a verdict is made. Per benchmark and unit: exact signed-rank test of Wilcoxon on ln(baseline/candidate) of pairs, or
Mann-Whitney without pairs, with the Hodges-Lehmann estimate and its interval. pass: the upper bound is below the margin.
regressed: the lower bound is above 0 (over all rows by Holm's procedure) and it is no pass. Altogether pass needs all rows;
one is enough for regressed. A benchmark that is missing in the candidate, or in doubt, is no pass. Beside it stands
what benchstat says of the same samples: AGREES, SILENT (one of the two sees no difference), or CONTRADICTS.

Examples:
	go test -run '^$' -bench . -count 10 > old.txt             # before the change
	go test -run '^$' -bench . -count 10 > new.txt             # after it
	go run ./scripts/perfgate old.txt new.txt
	go run ./scripts/perfgate -unit req/s,p99-ns -margin p99-ns=15% old.txt new.txt
	go run ./scripts/perfgate -json old.txt new.txt | jq .verdict
`

// define defines the flags of both forms of the command.
func (o *options) define(flags *flag.FlagSet) {
	flags.SetOutput(io.Discard) // run prints the error, once
	o.margins = margins{}
	flags.Var(o.margins, "margin", "")
	flags.Func("unit", "", func(s string) error {
		for unit := range strings.SplitSeq(s, ",") {
			if unit = strings.TrimSpace(unit); unit == "" {
				return errors.New("want units such as req/s,p99-ns")
			}
			o.units = append(o.units, unit)
		}
		o.others = "not in -unit"
		return nil
	})
	flags.Float64Var(&o.alpha, "alpha", 0.05, "")
	flags.BoolVar(&o.md, "md", false, "")
	flags.BoolVar(&o.json, "json", false, "")
}

// parse parses flags that define defined.
func (o *options) parse(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return err
	} else if err != nil {
		return fmt.Errorf("%w; -h explains all flags", err)
	}
	if !(o.alpha > 0 && o.alpha < 0.5) {
		return fmt.Errorf("-alpha %v: want more than 0 and less than 0.5, such as 0.05", o.alpha)
	}
	return nil
}

func parseOptions(args []string) (options, error) {
	var o options
	var paired, unpaired bool
	flags := flag.NewFlagSet("perfgate", flag.ContinueOnError)
	o.define(flags)
	flags.BoolVar(&paired, "paired", false, "")
	flags.BoolVar(&unpaired, "unpaired", false, "")
	err := o.parse(flags, args)
	switch {
	case err != nil:
		return options{}, err
	case flags.NArg() != 2:
		return options{}, fmt.Errorf("%d files: want two, baseline.txt and candidate.txt, after all flags; -h explains more", flags.NArg())
	case paired && unpaired:
		return options{}, errors.New("-paired and -unpaired: want one of them at most")
	case paired:
		o.pairing = pairingForced
	case unpaired:
		o.pairing = pairingOff
	}
	o.baseline, o.candidate = flags.Arg(0), flags.Arg(1)
	return o, nil
}

// margins is a flag: the fraction by which a unit may become worse, by the unit as [tidy] has it.
type margins map[string]float64

func (m margins) String() string { return "" }

// Set adds what one -margin says.
func (m margins) Set(s string) error {
	for one := range strings.SplitSeq(s, ",") {
		unit, percent, _ := strings.Cut(strings.TrimSpace(one), "=")
		number, ok := strings.CutSuffix(percent, "%")
		x, err := strconv.ParseFloat(number, 64)
		if unit == "" || !ok || err != nil || !(x > 0 && x < 100) {
			return fmt.Errorf("%q: want a unit and a percentage between 0%% and 100%%, such as req/s=3%%", one)
		}
		m[tidy(unit)] = x / 100
	}
	return nil
}

// tidy returns the name under which a unit is compared: ns/op and sec/op are the same, in different sizes.
func tidy(unit string) string {
	_, tidied := benchunit.Tidy(1, unit)
	return tidied
}
