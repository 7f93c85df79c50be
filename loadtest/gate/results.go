package gate

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/perf/benchfmt"

	"rampart/loadtest/verdict"
)

// Results is what a file holds.
type Results struct {
	path     string
	content  []byte
	lines    []line
	settings []setting
	units    benchfmt.UnitMetadataMap
	broken   []string                // what makes the file unfit to be judged: lines that cannot be read, benchmarks that failed
	failed   []string                // benchmarks that failed because requests of their block did, which counts says
	counts   map[block]verdict.Count // requests of the blocks that say it
	doubts   []doubt
	notes    []string // that a duel makes of itself
	missing  []string // what a duel says that it should have measured
	gaps     []string // that a duel finds in itself

	side     string // of a duel, see result.SideNames; empty: the file does not say it
	plans    []planLine
	blocks   blocks
	unmarked []string // marks of a duel that cannot be read
}

// doubt is a reason not to trust a benchmark, as the load experiments print it.
type doubt struct {
	benchmark string // in full; empty: each with part
	part      string // such as /vus=8
	text      string
}

// doubts finds doubts by what they are about.
type doubts struct {
	all                 []doubt
	ofBenchmark, ofPart map[string]int // the first
}

func index(all []doubt) doubts {
	d := doubts{all: all, ofBenchmark: make(map[string]int), ofPart: make(map[string]int)}
	for i, one := range slices.Backward(all) {
		if one.benchmark != "" {
			d.ofBenchmark[one.benchmark] = i
		} else {
			d.ofPart[one.part] = i
		}
	}
	return d
}

// about returns the first doubt about a benchmark.
func (d doubts) about(name string) (text string, ok bool) {
	if len(d.all) == 0 {
		return "", false
	}
	first, ok := d.ofBenchmark[name]
	_, parts := benchfmt.Name(name).Parts()
	for _, p := range parts {
		if i, has := d.ofPart[string(p)]; has && (!ok || i < first) {
			first, ok = i, true
		}
	}
	if !ok {
		return "", false
	}
	return d.all[first].text, true
}

// Read reads a file; "-" is standard input.
func Read(path string) (Results, error) {
	read, name := func() ([]byte, error) { return os.ReadFile(path) }, path
	if path == "-" {
		read, name = func() ([]byte, error) { return io.ReadAll(os.Stdin) }, "standard input"
	}
	content, err := read()
	if err != nil {
		return Results{}, err
	}
	r, err := Parse(name, content)
	if err != nil {
		return Results{}, err
	}
	if len(r.lines) == 0 && len(r.broken) == 0 && len(r.failed) == 0 && len(r.blocks) == 0 {
		return Results{}, fmt.Errorf("%s: no benchmark results: want the output of go test -bench, lines that begin with Benchmark", name)
	}
	return r, nil
}

// Parse reads a file. A line that holds a result and cannot be read as it stands is named: no
// sample is lost without a word. The error says that the file is no text at all.
func Parse(path string, content []byte) (Results, error) {
	r := Results{path: path, content: content, counts: make(map[block]verdict.Count)}
	text, err := decode(content)
	if err != nil {
		return Results{}, fmt.Errorf("%s: %w", path, err)
	}
	lines := splitLines(text)
	unprefix(lines)
	all, broken := streams(lines)
	p := parser{r: &r, units: unitNames{}}
	for _, l := range broken {
		p.broken(l.at, "an event of go test -json that is cut or damaged")
	}
	for _, s := range all {
		p.stream(s)
	}
	if len(r.broken) == 0 && len(r.failed) == 0 {
		r.broken = append(r.broken, p.weak...)
	}
	p.declare()
	return r, nil
}

// parser reads the lines of a file.
type parser struct {
	r         *Results
	units     unitNames
	unitLines []textLine
	weak      []string // failures that count where nothing else says more
	marks     int      // so many marks of blocks stand before this stream
	name      *named   // whose numbers have not come yet
	logged    string   // benchmark whose log this is
	pkg       string   // the package that the stream is in, as it says
	since     int      // so many results stood before the last package ended
}

// named is the name of a benchmark that package testing printed before it ran.
type named struct {
	at   int
	name string
}

func (p *parser) broken(at int, format string, args ...any) {
	p.r.broken = append(p.r.broken, fmt.Sprintf("%s:%d: ", p.r.path, at)+fmt.Sprintf(format, args...))
}

// stream reads what one process printed.
func (p *parser) stream(s stream) {
	p.marks, p.logged, p.pkg, p.since = len(p.r.blocks), "", s.pkg, len(p.r.lines)
	p.r.settings = append(p.r.settings, setting{key: "pkg", value: s.pkg, first: true})
	for _, l := range s.lines {
		p.line(l)
	}
	p.closeName()
}

// closeName names a benchmark whose numbers never came.
func (p *parser) closeName() {
	if p.name != nil {
		p.broken(p.name.at, "%s has no numbers: something was printed amid the result, or it was cut", clip(p.name.name))
		p.name = nil
	}
}

func (p *parser) line(l textLine) {
	p.ends(l)
	switch {
	case p.comment(l), p.failure(l):
	case strings.HasPrefix(l.text, resultPrefix):
		p.result(l)
	case p.name != nil && numbersLine.MatchString(l.text), strings.Contains(l.text, "/op") && numbersLine.MatchString(l.text):
		p.numbers(l)
	case unitLine.MatchString(l.text):
		if strings.HasPrefix(l.text, "Unit") {
			p.unitLines = append(p.unitLines, l)
		} else if !strings.HasPrefix(l.text, "#") {
			p.broken(l.at, "a Unit line behind other text cannot be read: %q", clip(l.text))
		}
	case p.hidden(l.text) || gluedNumbers.MatchString(l.text):
		p.broken(l.at, "a result behind other text cannot be read: %q (go test puts a result behind what a program prints without the end of a line)",
			clip(l.text))
	default:
		if key, value, ok := parseSetting(l.text); ok {
			p.r.settings = append(p.r.settings, setting{at: l.at, key: key, value: value})
			if key == "pkg" {
				p.pkg = value
			}
		}
	}
}

// ends reads the line with which go test ends a package. Where it is of another than the results
// before it, these are of who knows which: two runs were printed at once, or something was cut out.
func (p *parser) ends(l textLine) {
	m := packageEnd.FindStringSubmatch(l.text)
	if m == nil {
		return
	}
	if n := len(p.r.lines) - p.since; n > 0 && p.pkg != "" && m[1] != p.pkg {
		p.broken(l.at, "%s before it, in package %s, but this is the end of %s: the lines of two packages are mixed up, or some are "+
			"missing", Plural(n, "result"), clip(p.pkg), clip(m[1]))
	}
	p.since = len(p.r.lines)
}

// hidden reports whether there is a result in a line that does not begin with one. Zero bytes are
// what is left of UTF-16 in the middle of a file.
func (p *parser) hidden(text string) bool {
	return holdsResult(text) || strings.Contains(text, "\x00") && holdsResult(strings.ReplaceAll(text, "\x00", ""))
}

// result reads a line that begins with Benchmark.
func (p *parser) result(l textLine) {
	result, err := p.units.parseResult(l.text)
	_, rest := field(l.text[len(resultPrefix):])
	skip := skipped.MatchString(l.text)
	begun := openName.MatchString(l.text)
	switch {
	case err == nil && l.cut, begun && l.cut && !skip, l.cut && p.hidden(l.text):
		// Whatever is missing, the rest may look like a smaller number or another unit.
		p.closeName()
		p.broken(l.at, "cut short: the last line has no end")
	case err == nil:
		p.closeName()
		p.add(l.at, result)
	case len(result.values) > 0, p.hidden(l.text): // with a number and its unit it is no prose
		p.closeName()
		p.broken(l.at, "%v", err)
	case skip:
	case rest == "" && !begun: // as go test -v says what comes next
	case begun:
		p.closeName()
		name, _ := field(l.text)
		p.name = &named{l.at, name}
	case half.MatchString(l.text):
		p.closeName()
		p.broken(l.at, "%v", err)
	}
}

// numbers reads the end of a result whose name stands some lines before.
func (p *parser) numbers(l textLine) {
	result, err := p.units.parseNumbers(strings.TrimSpace(l.text))
	switch name := p.name; {
	case l.cut:
		p.broken(l.at, "cut short: the last line has no end")
	case err != nil && !measured("", l.text): // a table of a program
		return
	case err != nil:
		p.broken(l.at, "%v", err)
	case name == nil:
		p.broken(l.at, "the numbers of a result without its name: %q", clip(l.text))
	default:
		result.name = name.name[len(resultPrefix):]
		p.add(l.at, result)
	}
	p.name = nil
}

// add keeps a result.
func (p *parser) add(at int, l line) {
	l.at, l.block, l.took, l.settings = at, p.around().block, p.around().took, len(p.r.settings)
	values := l.values
	l.values = values[:0]
	for _, v := range values {
		if p.around().plan != "" {
			v.step = 0 // a duel prints all that it knows
		}
		if _, twice := l.find(v.tidy); twice {
			p.broken(at, "%s twice", v.unit)
			continue
		}
		l.values = append(l.values, v)
	}
	p.r.lines = append(p.r.lines, l)
}

// comment reads what the load experiments write between results.
func (p *parser) comment(l textLine) bool {
	if m := logged.FindStringSubmatch(l.text); m != nil {
		p.logged = m[1]
		return true
	}
	if m := logDoubt.FindStringSubmatch(l.text); m != nil && p.logged != "" {
		p.r.doubts = append(p.r.doubts, doubt{benchmark: p.logged, text: m[1]})
	} else if !strings.HasPrefix(l.text, " ") {
		p.logged = ""
	}
	if strings.Contains(l.text, markPrefix) {
		p.r.mark(l.at, l.text)
	}
	if !strings.HasPrefix(l.text, "#") {
		return false
	}
	if m := fileDoubt.FindStringSubmatch(l.text); m != nil {
		p.r.doubts = append(p.r.doubts, doubt{part: "/" + m[1], text: m[2]})
		return true
	}
	for _, of := range []struct {
		prefix string
		to     *[]string
	}{
		{NotePrefix, &p.r.notes}, {GapPrefix, &p.r.gaps}, {missingPrefix, &p.r.missing}, {failedPrefix, &p.r.broken},
	} {
		if text, ok := strings.CutPrefix(l.text, of.prefix); ok {
			*of.to = append(*of.to, text)
			return true
		}
	}
	if m := sideHeader.FindStringSubmatch(l.text); m != nil && p.r.side == "" {
		p.r.side = m[1]
	}
	if !strings.HasPrefix(l.text, markPrefix) {
		return false
	}
	if p.hidden(l.text) {
		p.broken(l.at, "a result behind the mark of a block cannot be read: %q", clip(l.text))
	}
	return true
}

// around is the mark of the block that this line is in.
func (p *parser) around() blockMark {
	if n := len(p.r.blocks); n > p.marks {
		return p.r.blocks[n-1].blockMark
	}
	return blockMark{}
}

// failure reads what says that something failed.
func (p *parser) failure(l textLine) bool {
	m := failure.FindString(l.text)
	if m == "" {
		if weakFailure.MatchString(l.text) {
			p.weak = append(p.weak, fmt.Sprintf("%s:%d: %s", p.r.path, l.at, l.text))
		}
		return false
	}
	to := &p.r.broken
	if p.around().requests.Failed > 0 && strings.HasPrefix(m, "--- FAIL: Benchmark") {
		to = &p.r.failed
	}
	*to = append(*to, fmt.Sprintf("%s:%d: %s", p.r.path, l.at, strings.ReplaceAll(m, "\t", " ")))
	p.name = nil // which is said
	return true
}

// declare reads the Unit lines.
func (p *parser) declare() {
	var b strings.Builder
	for _, l := range p.unitLines {
		b.WriteString(l.text + "\n")
	}
	reader := benchfmt.NewReader(strings.NewReader(b.String()), p.r.path)
	for reader.Scan() {
		if wrong, ok := reader.Result().(*benchfmt.SyntaxError); ok {
			p.broken(p.unitLines[wrong.Line-1].at, "%s", wrong.Msg)
		}
	}
	if err := reader.Err(); err != nil {
		p.broken(p.unitLines[0].at, "%v", err)
	}
	p.r.units = reader.Units()
}

var (
	// failure is anywhere in a line, because the name of the benchmark is printed before it runs.
	failure     = regexp.MustCompile(`--- FAIL: \S+|^FAIL\t.*|^(panic|fatal error): .*|^# no line for .*|\bpanic: test timed out after .*`)
	packageEnd  = regexp.MustCompile(`^(?:ok  |FAIL)\s+(\S+)\s+(?:\d+\.\d+s|\(cached\))(?:\s|$)`)
	weakFailure = regexp.MustCompile(`^(FAIL|exit status [1-9]\d*|signal: \w+.*)$`)
	unitLine    = regexp.MustCompile(`\bUnit\s+\S+\s.*\b(better|assume)=|^Unit\s+\S+\s+\S+=`)
	half        = regexp.MustCompile(`^Benchmark(?:[^a-z\s:]\S*)?\s+\d+(\s+[-+.]?\d[\d.]*)?\s*$`)
	skipped     = regexp.MustCompile(`--- SKIP: `)
	logged      = regexp.MustCompile(`^--- BENCH: Benchmark(\S+)`)
	logDoubt    = regexp.MustCompile(`^\s.*: doubt: (.*)`)
	sideHeader  = regexp.MustCompile(`^# (?:rampart .*: the )?(baseline|candidate) of a duel\b`)
	fileDoubt   = regexp.MustCompile(`^# doubt at (vus=\d+): (.*)`)
)

// blocks are the marks of blocks in a file, by their lines.
type blocks []blockLine

// blockLine is the mark of a block.
type blockLine struct {
	line int
	blockMark
}
