package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// settings are what flags and environment ask for.
type settings struct {
	rounds   int
	duration time.Duration // of each run of each tool
	vus      levels
	seed     uint64 // of the order of the runs
	tools    names
	client   string // path of the compiled experiments
	many     int    // 0: compare
	require  bool
}

// variables are the environment variables of flags; a flag beats its variable.
var variables = []struct{ flag, env string }{
	{"rounds", "ROUNDS"}, {"duration", "DURATION"}, {"vus", "VUS"}, {"seed", "SEED"}, {"tools", "TOOLS"}, {"many", "MANY"},
}

// parseSettings reads settings from flags and, where a flag is not given, from its variable. The
// error names the flag or the variable, and says what would be right; it is [flag.ErrHelp] when
// only help was asked for.
func parseSettings(args []string, getenv func(string) string, stderr io.Writer) (settings, error) {
	s := settings{vus: levels{8, 64, 256, 1024}, tools: toolNames()}
	f := flag.NewFlagSet("peers", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.IntVar(&s.rounds, "rounds", 5, "rounds; in each, all tools run once at each number of VUs (ROUNDS)")
	f.DurationVar(&s.duration, "duration", 3*time.Second, "length of each run, whole seconds (DURATION)")
	f.Var(&s.vus, "vus", "numbers of virtual users (VUS)")
	f.Uint64Var(&s.seed, "seed", 0, "seed of the order in which tools run; 0: draw one (SEED)")
	f.Var(&s.tools, "tools", "tools to run, without those that are not installed (TOOLS)")
	f.StringVar(&s.client, "client", "bin/client", "the compiled experiments")
	f.IntVar(&s.many, "many", 0, "run rampart alone with this many VUs and judge that; 0: compare (MANY)")
	f.BoolVar(&s.require, "require", false,
		"exit with 1 if rampart takes more CPU a request than wrk, or makes fewer requests, at any number of VUs")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(stderr, "usage: peers [flags]")
			f.SetOutput(stderr)
			f.PrintDefaults()
		}
		return s, err
	}
	if f.NArg() > 0 {
		return s, fmt.Errorf("argument %q: there are only flags; see -h", f.Arg(0))
	}
	given := make(map[string]bool)
	f.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for _, v := range variables {
		if value := getenv(v.env); value != "" && !given[v.flag] {
			if err := f.Set(v.flag, value); err != nil {
				return s, fmt.Errorf("%s=%q: %w", v.env, value, err)
			}
		}
	}
	for s.seed == 0 {
		s.seed = rand.Uint64N(1 << 32) // short enough to be typed
	}
	return s, s.check()
}

func (s settings) check() error {
	switch {
	case s.rounds < 1:
		return fmt.Errorf("-rounds %d: want at least 1", s.rounds)
	case s.duration < time.Second || s.duration%time.Second != 0:
		return fmt.Errorf("-duration %v: want whole seconds, because wrk knows no other", s.duration)
	case s.many < 0:
		return fmt.Errorf("-many %d: want a number of VUs, or 0 to compare", s.many)
	case s.require && (!slices.Contains(s.tools, nameRampart) || !slices.Contains(s.tools, nameWrk)):
		return fmt.Errorf("-require needs %s and %s among -tools", nameRampart, nameWrk)
	}
	return nil
}

// fits reports whether what s asks for can be done with the tools that were found.
func (s settings) fits(tools []tool) error {
	found := func(name string) bool {
		return slices.ContainsFunc(tools, func(t tool) bool { return t.name == name })
	}
	switch {
	case (s.many > 0 || slices.Contains(s.tools, nameRampart)) && !found(nameRampart):
		return fmt.Errorf("no program %s: build it with go test -c -tags=load -o bin/client ./loadtest, as make peers does",
			s.client)
	case s.require && !found(nameWrk):
		return errors.New("-require compares with wrk, which is not installed (Debian: apt-get install wrk)")
	case len(tools) == 0:
		return errors.New("none of the tools is installed")
	}
	return nil
}

// mostVUs is the highest number of VUs in any run.
func (s settings) mostVUs() int { return max(s.many, slices.Max(s.vus)) }

// String is the command that does the same again.
func (s settings) String() string {
	return fmt.Sprintf("ROUNDS=%d DURATION=%v VUS=%v TOOLS=%v SEED=%d make peers",
		s.rounds, s.duration, &s.vus, &s.tools, s.seed)
}

// levels are numbers of VUs as a flag: whole numbers with commas between them.
type levels []int

func (l *levels) String() string {
	var parts []string
	for _, n := range *l {
		parts = append(parts, strconv.Itoa(n))
	}
	return strings.Join(parts, ",")
}

func (l *levels) Set(value string) error {
	var all levels
	for part := range strings.SplitSeq(value, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 1 || slices.Contains(all, n) {
			return errors.New("want different numbers of VUs, such as 8,64,256")
		}
		all = append(all, n)
	}
	*l = all
	return nil
}

// names are tools as a flag: names with commas between them.
type names []string

func (n *names) String() string { return strings.Join(*n, ",") }

func (n *names) Set(value string) error {
	var all names
	for part := range strings.SplitSeq(value, ",") {
		name := strings.TrimSpace(part)
		if !slices.Contains(toolNames(), name) || slices.Contains(all, name) {
			return fmt.Errorf("want some of %s", strings.Join(toolNames(), ","))
		}
		all = append(all, name)
	}
	*n = all
	return nil
}
