package main

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"math"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// tool is a load generator that is run as a program.
type tool struct {
	name string
	note string // what a reader of the table must know of how it was run
	path string // of the program; set when it has been found
	is   string // its version; set when it has been found

	version func(ctx context.Context, path string) string
	command func(l load) command
	// report returns what is parsed where that is not standard output; nil: it is.
	report func(ctx context.Context, path string, l load) ([]byte, error)
	parse  func([]byte) (outcome, error)
}

// load is what a tool has to do.
type load struct {
	url      string
	vus      int
	duration time.Duration
	dir      string // for files of this run
}

// seconds is the duration as all tools understand it.
func (l load) seconds() string { return strconv.Itoa(int(l.duration/time.Second)) + "s" }

// requestTimeout is long enough that a request which takes longer hangs; the same for all tools.
const requestTimeout = "60s"

// outcome is what a tool says that it did.
type outcome struct {
	completed uint64  // requests with a complete 2xx answer
	failed    uint64  // all others
	perSecond float64 // of completed, by the tool's own clock
}

// check finds what cannot be.
func (o outcome) check() error {
	switch {
	case o.completed == 0 && o.failed == 0:
		return fmt.Errorf("no request was made")
	case math.IsNaN(o.perSecond) || math.IsInf(o.perSecond, 0) || o.perSecond < 0:
		return fmt.Errorf("throughput of %v requests/s", o.perSecond)
	case o.completed > 0 && o.perSecond == 0:
		return fmt.Errorf("%d requests, but a throughput of 0", o.completed)
	}
	return nil
}

// read parses what the tool reported. The error says what is wrong with that.
func (t tool) read(report []byte) (outcome, error) {
	o, err := t.parse(report)
	if err == nil {
		err = o.check()
	}
	if err != nil {
		return outcome{}, fmt.Errorf("output of %s: %w", t.name, err)
	}
	return o, nil
}

// allTools are the tools in the order of the table.
func allTools() []tool { return []tool{rampart, wrk, hey, vegeta, k6} }

func toolNames() names {
	var all names
	for _, t := range allTools() {
		all = append(all, t.name)
	}
	return all
}

// findTools returns the tools that s asks for and that are installed, and the names of the others.
func findTools(ctx context.Context, s settings) (found []tool, missing []string) {
	for _, t := range allTools() {
		if s.many > 0 && t.name != nameRampart || s.many == 0 && !slices.Contains(s.tools, t.name) {
			continue
		}
		file := t.name
		if t.name == nameRampart {
			file = s.client
		}
		path, err := exec.LookPath(file)
		if err == nil {
			path, err = filepath.Abs(path)
		}
		switch {
		case err == nil:
			t.path, t.is = path, t.version(ctx, path)
			found = append(found, t)
		case t.name != nameRampart: // whose absence is an error: see fits
			missing = append(missing, t.name)
		}
	}
	return found, missing
}

// referenceOf is the name of the tool with which all are compared: wrk, or the first where it is
// missing.
func referenceOf(tools []tool) string {
	for _, t := range tools {
		if t.name == nameWrk {
			return t.name
		}
	}
	return tools[0].name
}

// moduleVersion is the version of the module that a Go program was built from, empty where the
// program does not know.
func moduleVersion(_ context.Context, path string) string {
	info, err := buildinfo.ReadFile(path)
	if err != nil || info.Main.Version == "(devel)" {
		return ""
	}
	return info.Main.Version
}

// printedVersion returns a version that finds pattern's group in what a program prints when it is
// called so, which may well exit with an error.
func printedVersion(pattern string, args ...string) func(context.Context, string) string {
	find := regexp.MustCompile(pattern)
	return func(ctx context.Context, path string) string {
		out, _ := exec.CommandContext(ctx, path, args...).CombinedOutput()
		if m := find.FindSubmatch(out); m != nil {
			return string(m[1])
		}
		return ""
	}
}

// count reads the number in the group of a pattern. ok: the pattern is there, with a number that
// can be one of requests.
func count(pattern *regexp.Regexp, text []byte) (n uint64, ok bool) {
	m := pattern.FindSubmatch(text)
	if m == nil {
		return 0, false
	}
	return requests(m[1])
}

// requests reads a number of requests: one that is so high that sums of it overflow is none.
func requests(digits []byte) (n uint64, ok bool) {
	n, err := strconv.ParseUint(string(digits), 10, 48)
	return n, err == nil
}

// rate reads the number with decimals in the group of a pattern.
func rate(pattern *regexp.Regexp, text []byte) (x float64, ok bool) {
	m := pattern.FindSubmatch(text)
	if m == nil {
		return 0, false
	}
	x, err := strconv.ParseFloat(string(m[1]), 64)
	return x, err == nil
}
