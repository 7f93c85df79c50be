package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchunit"

	"rampart/loadtest/verdict"
)

// results is what a file holds.
type results struct {
	path    string
	content []byte
	lines   []line
	units   benchfmt.UnitMetadataMap
	broken  []string                // what makes the file unfit to be judged: lines that cannot be read, benchmarks that failed
	failed  []string                // benchmarks that failed because requests of their block did, which counts says
	counts  map[block]verdict.Count // requests of the blocks that say it
	doubts  []doubt
}

// line is a benchmark line.
type line struct {
	at     int // its number in the file
	name   string
	config map[string]string // "pkg" and whatever else was set before it; shared by lines
	block  block
	values []value
}

// value is a measured value, in the unit as written and in that which tells units apart.
type value struct {
	unit, tidy string
	factor     float64 // from unit to tidy
	value      float64 // in unit
}

// find returns the value of a unit.
func (l line) find(tidy string) (value, bool) {
	for _, v := range l.values {
		if v.tidy == tidy {
			return v, true
		}
	}
	return value{}, false
}

// doubt is a reason not to trust a benchmark, as the load experiments print it.
type doubt struct {
	benchmark string // in full; empty: each with part
	part      string // such as /vus=8
	text      string
}

// concerns reports whether a benchmark is in this doubt.
func (d doubt) concerns(name string) bool {
	if d.benchmark != "" {
		return d.benchmark == name
	}
	_, parts := benchfmt.Name(name).Parts()
	return slices.ContainsFunc(parts, func(p []byte) bool { return string(p) == d.part })
}

func read(path string) (results, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return results{}, err
	}
	r, err := parse(path, content)
	if err != nil {
		return results{}, err
	}
	if len(r.lines) == 0 && len(r.broken) == 0 && len(r.failed) == 0 {
		return results{}, fmt.Errorf("%s: no benchmark results: want the output of go test -bench, lines that begin with Benchmark", path)
	}
	return r, nil
}

// parse reads a file. What benchfmt passes over (comments, failures) is looked at before, and joined by line number. The
// error says that the rest of the file could not be read at all.
func parse(path string, content []byte) (results, error) {
	r := results{path: path, content: content, counts: make(map[block]verdict.Count)}
	around, known := r.parseSurroundings()
	reader := benchfmt.NewReader(bytes.NewReader(content), path)
	config := map[string]string{}
	for reader.Scan() {
		switch record := reader.Result().(type) {
		case *benchfmt.SyntaxError:
			if !known[record.Line] {
				r.broken = append(r.broken, record.Error())
			}
		case *benchfmt.Result:
			_, at := record.Pos()
			if known[at] {
				continue
			}
			if !sameConfig(config, record.Config) {
				config = make(map[string]string, len(record.Config))
				for _, c := range record.Config {
					config[c.Key] = string(c.Value)
				}
			}
			l := line{at: at, name: record.Name.String(), config: config, block: around.at(at)}
			for _, v := range record.Values {
				if v.OrigUnit == "" {
					// benchfmt leaves a unit untidy where that does not change the value, as with 0 ns.
					v.OrigUnit, v.OrigValue = v.Unit, v.Value
				}
				factor, tidied := benchunit.Tidy(1, v.OrigUnit)
				if _, twice := l.find(tidied); twice {
					r.broken = append(r.broken, fmt.Sprintf("%s:%d: %s twice", path, at, v.OrigUnit))
					continue
				}
				l.values = append(l.values, value{v.OrigUnit, tidied, factor, v.OrigValue})
			}
			r.lines = append(r.lines, l)
		}
	}
	r.units = reader.Units()
	return r, reader.Err()
}

func sameConfig(have map[string]string, config []benchfmt.Config) bool {
	if len(have) != len(config) {
		return false
	}
	for _, c := range config {
		if v, ok := have[c.Key]; !ok || v != string(c.Value) {
			return false
		}
	}
	return true
}

// blocks are the block comments of a file, by their lines.
type blocks []blockLine

// blockLine is a block comment.
type blockLine struct {
	line int
	blockComment
}

// at returns the block that a line is in.
func (b blocks) at(line int) block {
	i, _ := slices.BinarySearchFunc(b, line, func(c blockLine, line int) int { return c.line - line })
	if i == 0 {
		return block{}
	}
	return b[i-1].block
}

var (
	// failure is anywhere in a line, because the name of the benchmark is printed before it runs.
	failure   = regexp.MustCompile(`--- FAIL: \S+|^FAIL\t.*|^panic: .*|^# no line for .*`)
	skipped   = regexp.MustCompile(`--- SKIP: `)
	logged    = regexp.MustCompile(`^--- BENCH: Benchmark(\S+)`)
	logDoubt  = regexp.MustCompile(`^\s.*: doubt: (.*)`)
	fileDoubt = regexp.MustCompile(`^# doubt at (vus=\d+): (.*)`)
)

// parseSurroundings finds what stands between the results. known are lines that need no second look: no results, and
// no syntax errors either.
func (r *results) parseSurroundings() (around blocks, known map[int]bool) {
	known = make(map[int]bool)
	at, benchmark := 0, ""
	for raw := range bytes.Lines(r.content) {
		at++
		text := strings.TrimRight(string(raw), "\r\n")
		if strings.HasPrefix(text, "Benchmark") && raw[len(raw)-1] != '\n' {
			// Whatever is missing, the rest may look like a smaller number or another unit.
			r.broken = append(r.broken, fmt.Sprintf("%s:%d: cut short: the last line has no end", r.path, at))
			known[at] = true
			continue
		}
		if strings.HasPrefix(text, "Benchmark") && !strings.Contains(text, "--- ") {
			continue // by far the most, and nothing else
		}
		if b, ok, err := parseBlock(text); err != nil {
			r.broken = append(r.broken, fmt.Sprintf("%s:%d: %v", r.path, at, err))
		} else if ok {
			around = append(around, blockLine{at, b})
			if b.counted {
				r.counts[b.block] = b.requests
			}
		}
		if m := failure.FindString(text); m != "" {
			to := &r.broken
			if n := len(around); n > 0 && around[n-1].requests.Failed > 0 && strings.HasPrefix(m, "--- FAIL: Benchmark") {
				to = &r.failed
			}
			*to = append(*to, fmt.Sprintf("%s:%d: %s", r.path, at, strings.ReplaceAll(m, "\t", " ")))
			known[at] = true
		}
		if skipped.MatchString(text) {
			known[at] = true
		}
		if m := logged.FindStringSubmatch(text); m != nil {
			benchmark = m[1]
		} else if m := logDoubt.FindStringSubmatch(text); m != nil && benchmark != "" {
			r.doubts = append(r.doubts, doubt{benchmark: benchmark, text: m[1]})
		} else if !strings.HasPrefix(text, " ") {
			benchmark = ""
		}
		if m := fileDoubt.FindStringSubmatch(text); m != nil {
			r.doubts = append(r.doubts, doubt{part: "/" + m[1], text: m[2]})
		}
	}
	return around, known
}

// doubtsAbout lists the doubts about a benchmark, each once.
func (r results) doubtsAbout(name string) (texts []string) {
	for _, d := range r.doubts {
		if d.concerns(name) && !slices.Contains(texts, d.text) {
			texts = append(texts, d.text)
		}
	}
	return texts
}

// varying returns the configuration keys that change within the file: they tell its benchmarks apart.
func (r results) varying() map[string]bool {
	keys := make(map[string]bool)
	for i, l := range r.lines {
		if i > 0 && !maps.Equal(l.config, r.lines[i-1].config) {
			for _, c := range []map[string]string{l.config, r.lines[i-1].config} {
				for key := range c {
					if l.config[key] != r.lines[i-1].config[key] {
						keys[key] = true
					}
				}
			}
		}
	}
	return keys
}
