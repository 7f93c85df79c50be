package gate

import (
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"rampart/loadtest/result"
	"rampart/loadtest/slo"
	"rampart/loadtest/verdict"
)

// The files of a duel say by marks, which are comments, how they belong together and how the duel
// was planned. Both files have the same first mark:
//
//	# rampart duel plan v=1 seed=42 started=2026-11-24T12:00:00Z blocks=8 looks=8,12 alpha=0.05 units=req/s omitted=p50-ns:not-asked margins=req/s:0.02 id=1f2e3d4c
//
// blocks is how many were finished, looks after how many the duel could end with a verdict; margins
// are those that are not the usual. id is the CRC-32 of all before it: a plan that was edited does
// not have it. A mark of its own stands before what was measured in each block:
//
//	# rampart duel seed=42 block=1 requests=1000 failures=0 plan=1f2e3d4c statuses=200:1000
//
// Where both sides are asked several requests, the plan names them,
// requests=GET%20%2Fa,GET%20%2Fb:few, with the reason why the latency of one is not judged, and the
// mark of a block says how many of each succeeded and failed, asked=500:0,500:0.
//
// Versions before the plan, and other programs, write the second kind only, without plan, or
// without requests and failures either. Then nobody knows how often somebody looked. Other keys are
// for others.
const (
	markPrefix  = "# rampart duel "
	planPrefix  = markPrefix + "plan "
	planVersion = "1"
	// mostLook is the highest number of blocks at a look. See [verdict.NewLooks].
	mostLook = 64
)

// NotePrefix begins a comment in the files of a duel that its verdict repeats.
const NotePrefix = "# note: "

// GapPrefix begins a comment in the files of a duel that forbids a pass.
const GapPrefix = "# gap: "

// block names a block of a duel. The zero value is none: the first block is 1.
type block struct {
	seed   uint64
	number int
}

// blockMark is the mark of a block.
type blockMark struct {
	block
	plan     string // id of the plan; empty: none
	counted  bool   // it says how many requests succeeded and failed
	requests verdict.Count
	statuses map[string]uint64 // answers by status; nil: it does not say it
	limits   []result.Limit    // of each objective of the plan
	asked    []verdict.Count   // of each request of the plan
	took     time.Duration     // 0: it does not say it
}

// plan is the mark of a duel.
type plan struct {
	result.Plan
	seed    uint64
	started string
	blocks  int
	of      string // what was compared, where it is not servers
	id      string
}

// planOf is the plan of a duel after the blocks that it has.
func planOf(d result.Duel) plan {
	p := plan{Plan: d.Plan, seed: d.Seed, started: d.Started.UTC().Format(time.RFC3339Nano), blocks: len(d.Blocks)}
	p.id = checksum(p.text())
	return p
}

func checksum(text string) string { return fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(text))) }

// text is the mark without its id.
func (p plan) text() string {
	var looks, omitted, margins []string
	for _, n := range p.Looks {
		looks = append(looks, strconv.Itoa(n))
	}
	for _, o := range p.Omitted {
		omitted = append(omitted, o.Unit+":"+string(o.Why))
	}
	for _, unit := range slices.Sorted(maps.Keys(p.Margins)) {
		margins = append(margins, unit+":"+exact(p.Margins[unit]))
	}
	text := fmt.Sprintf("%sv=%s seed=%d started=%s blocks=%d looks=%s alpha=%s units=%s omitted=%s margins=%s", planPrefix, planVersion,
		p.seed, p.started, p.blocks, strings.Join(looks, ","), exact(p.Alpha), strings.Join(p.Units, ","), strings.Join(omitted, ","),
		strings.Join(margins, ","))
	if p.of != "" {
		text += " of=" + p.of
	}
	if len(p.Require) > 0 {
		text += " require=" + strings.Join(p.Require, ",")
	}
	if p.SLO != "" {
		text += " slo=" + p.SLO
	}
	if len(p.Requests) > 0 {
		text += " requests=" + requestList(p.Requests)
	}
	switch {
	case p.AnyAnswer:
		text += " answers=none"
	case p.Strict:
		text += " answers=strict"
	}
	return text
}

// exact prints a number that reads back equal.
func exact(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

// PlanMark is the mark of both files of a duel.
func PlanMark(d result.Duel) string {
	p := planOf(d)
	return p.text() + " id=" + p.id
}

// BlockMark is the mark before what was measured in a block.
func BlockMark(d result.Duel, s result.Sample) string {
	text := fmt.Sprintf("%sseed=%d block=%d requests=%d failures=%d plan=%s", markPrefix, d.Seed, s.Block, s.Succeeded, s.Failed.Total(),
		planOf(d).id)
	if len(s.Statuses) > 0 {
		text += " statuses=" + statusList(s.Statuses)
	}
	if len(s.Limits) > 0 {
		text += " slo=" + limitList(s.Limits)
	}
	if len(s.Asked) > 0 {
		text += " asked=" + countList(countsOf(s.Asked))
	}
	return text
}

// parsePlan parses the mark of a duel. ok is false where the line is none.
func parsePlan(line string) (p plan, ok bool, err error) {
	if !strings.HasPrefix(line, planPrefix) && line != strings.TrimSpace(planPrefix) {
		return p, false, nil
	}
	bad := func(format string, args ...any) (plan, bool, error) {
		return plan{}, true, fmt.Errorf("the plan of the duel: %s; use the files as they were written", fmt.Sprintf(format, args...))
	}
	text, id, _ := strings.Cut(line, " id=")
	given := make(map[string]string)
	for field := range strings.FieldsSeq(strings.TrimPrefix(text, strings.TrimSpace(planPrefix))) {
		key, value, _ := strings.Cut(field, "=")
		if _, twice := given[key]; twice {
			return bad("%s twice", key)
		}
		given[key] = value
	}
	if v := given["v"]; v != planVersion {
		return bad("version %q: this program knows %s", v, planVersion)
	}
	if id != checksum(text) {
		return bad("it was edited or cut, for its id is not %q", id)
	}
	for _, key := range []string{"seed", "started", "blocks", "looks", "alpha", "units", "omitted", "margins"} {
		if _, ok := given[key]; !ok {
			return bad("no %s", key)
		}
	}
	if p.id, p.started, p.of = id, given["started"], given["of"]; p.of != "" && p.of != ofBenchmarks {
		return bad("of=%s: this program knows of=%s", p.of, ofBenchmarks)
	}
	p.Require = list(given["require"])
	if p.SLO = given["slo"]; p.SLO != "" {
		if _, err := slo.Parse(p.SLO); err != nil {
			return bad("slo=%s: %v", p.SLO, err)
		}
	}
	if p.Requests, err = parseRequests(given["requests"]); err != nil {
		return bad("%v", err)
	}
	switch answers := given["answers"]; answers {
	case "":
	case "none":
		p.AnyAnswer = true
	case "strict":
		p.Strict = true
	default:
		return bad("answers=%s: this program knows none and strict", answers)
	}
	if p.seed, err = strconv.ParseUint(given["seed"], 10, 64); err != nil {
		return bad("seed=%s: want a number", given["seed"])
	}
	for _, s := range list(given["looks"]) {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > mostLook || len(p.Looks) > 0 && n <= p.Looks[len(p.Looks)-1] {
			return bad("looks=%s: want growing numbers from 1 to %d", given["looks"], mostLook)
		}
		p.Looks = append(p.Looks, n)
	}
	if len(p.Looks) == 0 {
		return bad("looks=: want growing numbers from 1 to %d", mostLook)
	}
	if p.blocks, err = strconv.Atoi(given["blocks"]); err != nil || p.blocks < 0 ||
		p.of == "" && p.blocks > p.Looks[len(p.Looks)-1] {
		return bad("blocks=%s: want a number up to that of the last look", given["blocks"])
	}
	if p.Alpha, err = strconv.ParseFloat(given["alpha"], 64); err != nil || !(p.Alpha > 0 && p.Alpha < 0.5) {
		return bad("alpha=%s: want more than 0 and less than 0.5", given["alpha"])
	}
	if p.Units = list(given["units"]); p.of == "" {
		p.Units = append([]string{}, p.Units...)
	}
	for _, s := range list(given["omitted"]) {
		unit, why, _ := strings.Cut(s, ":")
		p.Omitted = append(p.Omitted, result.Omitted{Unit: unit, Why: result.WhyOmitted(why)})
	}
	for _, s := range list(given["margins"]) {
		unit, margin, _ := strings.Cut(s, ":")
		x, err := strconv.ParseFloat(margin, 64)
		if unit == "" || err != nil || !(x >= 0 && x < 1) {
			return bad("margins=%s: want numbers from 0 to below 1", given["margins"])
		}
		if p.Margins == nil {
			p.Margins = make(map[string]float64)
		}
		p.Margins[unit] = x
	}
	return p, true, nil
}

func list(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

// blockKeys are those that the mark of a block may have once.
var blockKeys = []string{"seed", "block", "plan", "requests", "failures", "statuses", "slo", "asked"}

// parseBlock parses the mark of a block. ok is false where the line is none.
func parseBlock(line string) (b blockMark, ok bool, err error) {
	fields, ok := strings.CutPrefix(line, markPrefix)
	if !ok {
		return b, false, nil
	}
	given := make(map[string]bool)
	for field := range strings.FieldsSeq(fields) {
		key, value, _ := strings.Cut(field, "=")
		if _, twice := given[key]; twice && slices.Contains(blockKeys, key) {
			return b, true, fmt.Errorf("%q: %s twice", line, key)
		}
		var bad error
		switch key {
		case "seed":
			b.seed, bad = strconv.ParseUint(value, 10, 64)
		case "block":
			if b.number, bad = strconv.Atoi(value); b.number < 1 {
				b.number = 0
			}
		case "plan":
			b.plan = value
		case "took":
			b.took, _ = time.ParseDuration(value) // a remark
		case "statuses":
			b.statuses, bad = parseStatuses(value)
			if bad != nil {
				return b, true, fmt.Errorf("%q: %w", line, bad)
			}
		case "slo":
			b.limits, bad = parseLimits(value)
			if bad != nil {
				return b, true, fmt.Errorf("%q: %w", line, bad)
			}
		case "asked":
			b.asked, bad = parseCounts(value)
			if bad != nil {
				return b, true, fmt.Errorf("%q: %w", line, bad)
			}
		case "requests":
			b.requests.Succeeded, bad = strconv.ParseUint(value, 10, 32)
		case "failures":
			b.requests.Failed, bad = strconv.ParseUint(value, 10, 32)
		}
		given[key] = bad == nil
	}
	_, requests := given["requests"]
	_, failures := given["failures"]
	b.counted = given["requests"] && given["failures"]
	switch {
	case !given["seed"] || b.number == 0:
		err = fmt.Errorf("%q: want %sseed=42 block=1", line, markPrefix)
	case (requests || failures) && !b.counted:
		err = fmt.Errorf("%q: want both requests=1000 and failures=0, or none of them", line)
	}
	return b, true, err
}

// planLine is the mark of a duel in a file.
type planLine struct {
	line int
	plan
}

// mark reads a line if it is a mark, or should be one.
func (r *Results) mark(at int, text string) {
	bad := func(err error) { r.unmarked = append(r.unmarked, fmt.Sprintf("%s:%d: %v", r.path, at, err)) }
	if !strings.HasPrefix(text, "#") {
		if strings.Contains(text, markPrefix) {
			bad(fmt.Errorf("the mark of a duel with something before it: use the files as they were written"))
		}
		return
	}
	if p, ok, err := parsePlan(text); err != nil {
		bad(err)
	} else if ok {
		r.plans = append(r.plans, planLine{at, p})
	} else if b, ok, err := parseBlock(text); err != nil {
		bad(err)
	} else if ok {
		r.blocks = append(r.blocks, blockLine{at, b})
		if b.counted {
			r.counts[b.block] = b.requests
		}
	}
}

// checkMarks returns what is wrong with the marks of a file: what they say of the duel has to be
// said by all of them.
func (r Results) checkMarks() []string {
	if len(r.unmarked) > 0 {
		return r.unmarked
	}
	bad := func(at int, format string, args ...any) []string {
		return []string{fmt.Sprintf("%s:%d: %s", r.path, at, fmt.Sprintf(format, args...))}
	}
	if len(r.plans) == 0 {
		for _, b := range r.blocks {
			if b.plan != "" {
				return bad(b.line, "block %d is of a duel whose plan, a line %q, is not in the file: it was cut", b.number, planPrefix+"…")
			}
		}
		return nil
	}
	p := r.plans[0]
	if len(r.plans) > 1 {
		return bad(r.plans[1].line, "a second duel, or the same again, in one file: each has its own looks; judge each for itself")
	}
	if p.of == ofBenchmarks {
		return r.checkBenchmarks(p, bad)
	}
	for i, b := range r.blocks {
		switch {
		case b.seed != p.seed || b.plan != p.id || !b.counted:
			return bad(b.line, "block %d is not of the duel in line %d: judge each duel for itself", b.number, p.line)
		case b.number != i+1:
			return bad(b.line, "block %d where block %d should be: use the files as they were written", b.number, i+1)
		}
	}
	if n := len(r.blocks); n != p.blocks {
		return bad(p.line, "%d blocks of the duel's %d are in the file: it was cut", n, p.blocks)
	}
	objectives, _ := slo.Parse(p.SLO)
	for _, b := range r.blocks {
		if len(b.limits) != len(objectives) {
			return bad(b.line, "block %d says nothing of slo=%s, or of something else: use the files as they were written", b.number, p.SLO)
		}
		if len(b.asked) != len(p.Requests) {
			return bad(b.line, "block %d says nothing of the %d requests of the plan, or of others: use the files as they "+
				"were written", b.number, len(p.Requests))
		}
	}
	var in block
	var seen set
	for _, l := range r.lines {
		switch {
		case l.block == block{} || !p.has(l.name, r.lines[0].name):
			return bad(l.at, "%s is no result of the duel in line %d: judge it for itself", l.name, p.line)
		case l.block != in:
			in, seen = l.block, set{}
		}
		if !seen.add(l.name) {
			return bad(l.at, "a second result in block %d: use the files as they were written", l.block.number)
		}
	}
	return nil
}

// plan returns the plan of a file, nil where it has none.
func (r Results) plan() *plan {
	if len(r.plans) == 0 {
		return nil
	}
	return &r.plans[0].plan
}
