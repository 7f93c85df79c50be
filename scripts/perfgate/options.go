package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"rampart/loadtest/gate"
)

// options are what a user says on the command line.
type options struct {
	gate.Options
	baseline, candidate string
	md, json            bool
	comment             string // file for a comment on a pull request; empty: none
}

const help = `perfgate judges two files of Go benchmark results: did the candidate become worse than the baseline?

	perfgate [flags] baseline.txt candidate.txt
	perfgate run -baseline COMMAND -candidate COMMAND [flags]     measure both servers first; perfgate run -h says more
	perfgate bench -base REF [flags] [packages]                   measure Go benchmarks first; perfgate bench -h says more
	perfgate prove -server COMMAND [flags]                        how often is it wrong here? perfgate prove -h says more

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
	                          10% server-mem-bytes, the most memory that a server of a duel held
	                          10% request-p50-ns, the median of each of several requests of a duel
	                          50% slow/op, the share of slow requests
	                          A margin of 0% is for counts that do not scatter, such as allocs/op
	-unit UNIT,...            gate these units and no others
	-require-better UNIT,...  no pass but where these units are shown to be better: all of the interval. Where nothing of
	                          it is, that is regressed
	-alpha LEVEL              highest chance of a false alarm over all rows, and of a false pass (default 0.05, or that of
	                          the duel whose files they are)
	-paired                   the n-th samples of both files belong together and were taken in turns, in drawn order
	-unpaired                 they do not, whatever the files say
	-md                       Markdown: appended to the file $GITHUB_STEP_SUMMARY where that is set, else printed
	                          instead of the table
	-json                     JSON instead of the table
	-comment FILE             Markdown into FILE as well, short enough for a comment on a pull request: at most 60 kB,
	                          failing rows first
	-h                        this help

Which samples belong together. Two runs one after the other also compare what else the machine did meanwhile, even if
they have as many samples. So samples are pairs only where both files say in which block of which duel they were
taken, by a comment before them:

	# rampart duel seed=42 block=1

Samples of the same seed and block are a pair. Others are judged without pairs, which is the weaker
test. The files of perfgate run also say how the duel was planned: after which blocks it could end,
-alpha, units, margins. They are judged exactly as the duel was. Flags count more, and a note says
where they differ. Files that were cut or edited, or are of two duels, are not judged.

What is read. What benchstat reads, and files as terminals, shells, CI and go test -json leave them.
A result that cannot be read as it stands is named with its line: that is no pass, and nor is a unit
that only some lines of a benchmark have. A printed number is no finer than its last digit, and B/op
and allocs/op are cut: 9 is 9 to 10.

Which units are gated. All with a known direction and a margin, in every benchmark that has them,
but the load generator's own client-cpu-ns/op, and but one of two that say the same: ns/op beside a
rate such as req/s, MB/s beside ns/op. The direction is that of a line "Unit req/s better=higher" in
the file, else that of the name: */s higher; ns/op, *-ns/op, *-ns, B/op, allocs/op lower. What is
not gated is named.

How a verdict is made. Per benchmark and unit: exact signed-rank test of Wilcoxon on
ln(baseline/candidate) of pairs, or Mann-Whitney without pairs, with the Hodges-Lehmann estimate and
its interval. pass: the upper bound is below the margin. regressed: the lower bound is above 0 (over
all rows by Holm's procedure) and it is no pass. Altogether pass needs all rows; one is enough for
regressed. A benchmark that is missing in the candidate, or in doubt, is no pass. Beside it stands
what benchstat says of the same samples: AGREES, SILENT (one of the two sees no difference), or
CONTRADICTS.

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
	o.Margins = margins{}
	flags.Var(margins(o.Margins), "margin", "")
	flags.Func("unit", "", unitsInto(&o.Units))
	flags.Func("require-better", "", unitsInto(&o.Require))
	flags.Float64Var(&o.Alpha, "alpha", 0, "")
	flags.BoolVar(&o.md, "md", false, "")
	flags.BoolVar(&o.json, "json", false, "")
	flags.StringVar(&o.comment, "comment", "", "")
}

// unitsInto is a flag: units with commas between.
func unitsInto(to *[]string) func(string) error {
	return func(s string) error {
		for unit := range strings.SplitSeq(s, ",") {
			if unit = strings.TrimSpace(unit); unit == "" {
				return errors.New("want units such as req/s,p99-ns")
			}
			*to = append(*to, unit)
		}
		return nil
	}
}

// parse parses flags that define defined.
func (o *options) parse(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return err
	} else if err != nil {
		return fmt.Errorf("%w; -h explains all flags", err)
	}
	var err error
	flags.Visit(func(f *flag.Flag) {
		if f.Name == "alpha" && !(o.Alpha > 0 && o.Alpha < 0.5) {
			err = fmt.Errorf("-alpha %v: want more than 0 and less than 0.5, such as 0.05", o.Alpha)
		}
	})
	return err
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
		return options{}, fmt.Errorf("%d files: want two, baseline.txt and candidate.txt, after all flags; -h explains more",
			flags.NArg())
	case paired && unpaired:
		return options{}, errors.New("-paired and -unpaired: want one of them at most")
	case paired:
		o.Pairing = gate.PairingForced
	case unpaired:
		o.Pairing = gate.PairingOff
	}
	o.baseline, o.candidate = flags.Arg(0), flags.Arg(1)
	return o, nil
}

// margins is a flag: the fraction by which a unit may become worse, by the unit as [gate.Tidy] has
// it.
type margins map[string]float64

func (m margins) String() string { return "" }

// Set adds what one -margin says.
func (m margins) Set(s string) error {
	for one := range strings.SplitSeq(s, ",") {
		unit, percent, _ := strings.Cut(strings.TrimSpace(one), "=")
		number, ok := strings.CutSuffix(percent, "%")
		x, err := strconv.ParseFloat(number, 64)
		if unit == "" || !ok || err != nil || !(x >= 0 && x < 100) {
			return fmt.Errorf("%q: want a unit and a percentage between 0%% and 100%%, such as req/s=3%%", one)
		}
		tidy := gate.Tidy(unit)
		if _, twice := m[tidy]; twice {
			return fmt.Errorf("%q: a margin of that unit for a second time; want one of each", one)
		}
		m[tidy] = math.Abs(x) / 100 // -0 is 0
	}
	return nil
}
