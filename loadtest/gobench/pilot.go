package gobench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// catalog is which benchmarks a test binary has.
type catalog struct {
	pkg     string // import path, as the binary says it
	found   []found
	skipped map[string]string // why, by name
	failed  map[string]string // how, by name
	better  map[string]string // direction by unit, as the binary declares it
}

// found is a benchmark that was run once, for some milliseconds.
type found struct {
	name  string // without the number of processors
	procs int
	wall  time.Duration // that it took with all that is not timed
	Measurement
}

func (f found) printed() string { return printedName(f.name, f.procs) }

// mostLost is how many benchmarks of a binary may take their process down with them before nobody
// tries the others any more.
const mostLost = 10

// list runs all benchmarks of a binary that a pattern matches, for one iteration each, and returns
// which there are. One that takes its process down, or does not end, is left out in the
// next process. The error says that the binary does not work at all.
func (b Binary) list(ctx context.Context, pattern string, procs []int, timeout time.Duration) (catalog, error) {
	c := catalog{skipped: map[string]string{}, failed: map[string]string{}, better: map[string]string{}}
	for len(c.failed) <= mostLost {
		lost, err := b.listOnce(ctx, pattern, procs, timeout, &c)
		if err != nil || lost == "" {
			return c, err
		}
	}
	return c, nil
}

// listOnce fills c, which was emptied before, as far as one process gets. lost is the benchmark
// that ended it.
func (b Binary) listOnce(
	ctx context.Context, pattern string, procs []int, timeout time.Duration, c *catalog,
) (lost string, err error) {
	c.found = nil
	args := []string{"-test.run=^$", "-test.bench=" + pattern, "-test.benchtime=1x", "-test.count=1",
		"-test.cpu=" + list(procs), "-test.benchmem", "-test.timeout=0", "-test.v"}
	var without []string
	for name := range c.failed {
		without = append(without, exactly(name))
	}
	if len(without) > 0 {
		slices.Sort(without)
		args = append(args, "-test.skip="+strings.Join(without, "|"))
	}
	cmd := b.with(args...)
	errs := &head{}
	cmd.Stderr = errs
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer r.Close()
	cmd.Stdout = w
	err = cmd.Start()
	w.Close()
	if err != nil {
		return "", fmt.Errorf("start %s: %w", b.Path, err)
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		in := bufio.NewReader(r)
		for {
			line, err := in.ReadString('\n')
			if line != "" {
				lines <- line
			}
			if err != nil {
				return
			}
		}
	}()
	said := &tail{}
	scan := scanner{catalog: c, procs: procs}
	late := time.NewTimer(timeout)
	defer late.Stop()
	end := func() error { // and let the reader go
		kill(cmd)
		return drain(cmd, lines)
	}
	for {
		select {
		case line, ok := <-lines:
			if ok {
				late.Reset(timeout)
				scan.line(line, time.Now())
				_, _ = said.Write([]byte(line))
				continue
			}
			ended := cmd.Wait()
			scan.close()
			return scan.judge(ended, ending(ended, said.text, errs.text))
		case <-ctx.Done():
			_ = end()
			return "", context.Cause(ctx)
		case <-late.C:
			_ = end()
			if scan.running == "" {
				return "", fmt.Errorf("it says nothing for %v (-timeout): %s", timeout, ending(nil, said.text, errs.text))
			}
			c.failed[scan.running] = fmt.Sprintf("it did not end within %v (-timeout)", timeout)
			return scan.running, nil
		}
	}
}

// drain waits for a process that ends, and for its output to end.
func drain(cmd *exec.Cmd, lines <-chan string) error {
	for range lines {
	}
	return cmd.Wait()
}

func list(procs []int) string {
	var all []string
	for _, p := range procs {
		all = append(all, strconv.Itoa(p))
	}
	return strings.Join(all, ",")
}

// scanner reads what package testing prints of benchmarks with -test.v.
type scanner struct {
	*catalog
	procs   []int
	running string // benchmark that was announced and has no result yet
	named   string // benchmark that was announced last
	log     string // of that benchmark
	since   time.Time
	reason  func(string)
	over    bool // package testing had its last word
}

var (
	announced = regexp.MustCompile(`^(Benchmark\S*)\n$`)
	resultOf  = regexp.MustCompile(`(Benchmark\S*) *\t *\d+\t`)
	marked    = regexp.MustCompile(`--- (SKIP|FAIL|BENCH): (Benchmark\S*)`)
	unitOf    = regexp.MustCompile(`^Unit (\S+) .*\bbetter=(higher|lower)\b`)
)

// line reads a line that came at some time.
func (s *scanner) line(text string, at time.Time) {
	if m := announced.FindStringSubmatch(text); m != nil {
		s.close()
		s.running, s.named, s.log, s.since = m[1], m[1], "", at
		return
	}
	if m := marked.FindStringSubmatch(text); m != nil {
		s.close()
		name, _ := s.split(m[2])
		to := map[string]map[string]string{"SKIP": s.skipped, "FAIL": s.failed}[m[1]]
		if to != nil {
			to[name] += ""
			if name == s.named {
				to[name] = strings.TrimSpace(to[name] + " " + strings.TrimSpace(s.log))
			}
			s.reason = func(why string) { to[name] = strings.TrimSpace(to[name] + " " + strings.TrimSpace(why)) }
		}
		s.running = ""
		return
	}
	if pkg, ok := strings.CutPrefix(text, "pkg: "); ok && s.pkg == "" {
		s.pkg = strings.TrimSpace(pkg)
		return
	}
	if m := unitOf.FindStringSubmatch(text); m != nil {
		s.better[m[1]] = m[2]
		return
	}
	if all := resultOf.FindAllStringSubmatchIndex(text, -1); all != nil {
		last := all[len(all)-1]
		if m, ok := parseNumbers(text[last[3]:]); ok {
			s.close()
			printed := text[last[2]:last[3]]
			name, procs := s.split(printed)
			s.found = append(s.found, found{name: name, procs: procs, wall: at.Sub(s.since), Measurement: m})
			s.since = at
			s.running = ""
			return
		}
	}
	switch {
	case text == "PASS\n" || text == "FAIL\n":
		s.close()
		s.over = true
	case s.reason != nil && strings.HasPrefix(text, " "):
		s.reason(text)
	case strings.HasPrefix(text, " ") && len(s.log) < lastWords:
		s.log += text
	default:
		s.close()
	}
}

// close ends what belongs to the benchmark before.
func (s *scanner) close() { s.reason = nil }

// split takes the number of processors off a name that was printed. A name may end in one itself:
// which it is says the announcement.
func (s *scanner) split(printed string) (name string, procs int) {
	for _, p := range s.procs {
		if printedName(s.named, p) == printed {
			return s.named, p
		}
	}
	for _, p := range s.procs {
		if name, ok := strings.CutSuffix(printed, "-"+strconv.Itoa(p)); ok && p != 1 {
			return name, p
		}
	}
	return printed, 1
}

// judge says what the end of the process means.
func (s *scanner) judge(ended error, words string) (lost string, err error) {
	switch {
	case ended == nil, s.over && len(s.failed) > 0:
		return "", nil
	case s.running != "":
		s.failed[s.running] = words
		return s.running, nil
	}
	return "", errors.New(words)
}
