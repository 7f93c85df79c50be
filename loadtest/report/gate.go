package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"rampart/loadtest/gate"
	"rampart/loadtest/verdict"
)

// gateHeader is the first line of the table.
func gateHeader(r gate.Report) []string {
	interval := strconv.FormatFloat(100*(1-2*r.AlphaEach), 'g', 4, 64) + "% interval"
	return []string{"benchmark", "unit", "baseline", "candidate", "change", interval, "allowed", "samples", "verdict",
		"benchstat"}
}

// gateRow are the cells of another.
func gateRow(r gate.Row) []string {
	interval, change := "?", "?"
	if r.Change != nil {
		change = gate.Percent(r.Change)
	}
	if r.ChangeLowest != nil || r.ChangeHighest != nil {
		interval = gate.Percent(r.ChangeLowest) + " to " + gate.Percent(r.ChangeHighest)
	}
	samples := fmt.Sprintf("%d+%d", r.BaselineSamples, r.CandidateSamples)
	if r.Paired {
		samples = gate.Plural(r.BaselineSamples, "pair")
	}
	beside := ""
	if b := r.Benchstat; b != nil {
		beside = fmt.Sprintf("%s p=%.3f %s", b.Delta, b.P, b.Says)
	}
	name := cmp.Or(r.Request, r.Benchmark)
	if r.Config != "" {
		name += " (" + r.Config + ")"
	}
	said := string(r.Verdict)
	if r.Improved {
		said += ", better"
	}
	return []string{name, r.Unit, quantity(r.BaselineMedian), quantity(r.CandidateMedian), change, interval,
		gate.Percent(&r.Allowed), samples, said, beside}
}

// gateFailures are the cells of the last: no change is allowed, and none can be said where the
// baseline has no failures.
func gateFailures(of string, f gate.FailureRow) []string {
	count := func(failed, requests uint64) string { return fmt.Sprintf("%d of %d", failed, requests) }
	return []string{of, "failures", count(f.BaselineFailed, f.BaselineRequests),
		count(f.CandidateFailed, f.CandidateRequests), "", "", "0",
		gate.Plural(f.Blocks, "block"), string(f.Verdict), ""}
}

// gateLimit are the cells of a limit, which is the candidate's alone.
func gateLimit(l gate.LimitRow) []string {
	_, most, _ := strings.Cut(l.Objective, "<")
	return []string{"candidate", l.Objective, l.Texts[0], l.Texts[1], "", l.Texts[2], "<" + most, gate.Plural(l.Blocks,
		"block"),
		string(l.Verdict), ""}
}

// gateStatuses are the cells of the answers by status, which are counted and not judged.
func gateStatuses(s *gate.StatusRow) []string {
	of := func(counts map[string]uint64) string {
		var all []string
		for _, status := range slices.Sorted(maps.Keys(counts)) {
			all = append(all, fmt.Sprintf("%s: %d", status, counts[status]))
		}
		return strings.Join(all, ", ")
	}
	return []string{"all requests", "statuses", of(s.Baseline), of(s.Candidate), "", "", "", gate.Plural(s.Blocks,
		"block"), "", ""}
}

// gateLine is a line of the table below the header.
type gateLine struct {
	cells   []string
	verdict verdict.Verdict
}

// gateRank is the order of verdicts in a table: what fails first.
func gateRank(v verdict.Verdict) int {
	switch v {
	case verdict.Regressed, gate.Unjudged:
		return 0
	case verdict.Inconclusive:
		return 1
	}
	return 2
}

// gateLines are the lines of the table, failing ones first, else as in the files.
func gateLines(r gate.Report) []gateLine {
	lines := make([]gateLine, 0, len(r.Rows)+1)
	for _, row := range r.Rows {
		lines = append(lines, gateLine{gateRow(row), row.Verdict})
	}
	if r.Failures != nil {
		lines = append(lines, gateLine{gateFailures("all requests", *r.Failures), r.Failures.Verdict})
	}
	for _, f := range r.RequestFailures {
		lines = append(lines, gateLine{gateFailures(f.Request, f.FailureRow), f.Verdict})
	}
	for _, l := range r.Limits {
		lines = append(lines, gateLine{gateLimit(l), l.Verdict})
	}
	if r.Statuses != nil {
		lines = append(lines, gateLine{cells: gateStatuses(r.Statuses)})
	}
	slices.SortStableFunc(lines, func(a, b gateLine) int { return cmp.Compare(gateRank(a.verdict), gateRank(b.verdict)) })
	return lines
}

// leftOut says how many lines of a table there are no more, by verdict; empty: none.
func leftOut(lines []gateLine) string {
	counts := map[verdict.Verdict]int{}
	for _, l := range lines {
		counts[l.verdict]++
	}
	var all []string
	for _, of := range []struct {
		verdict verdict.Verdict
		what    string
	}{
		{verdict.Regressed, "that regressed"}, {gate.Unjudged, "without a verdict"},
		{verdict.Inconclusive, "that are inconclusive"}, {verdict.Pass, "that passed"},
	} {
		if n := counts[of.verdict]; n > 0 {
			all = append(all, thousands(n)+" "+strings.TrimPrefix(gate.Plural(n, "row"), strconv.Itoa(n)+" ")+" "+of.what)
		}
	}
	if len(all) == 0 {
		return ""
	}
	return "… and " + strings.Join(all, ", ") + " (-json has all)"
}

// thousands prints a number with blanks between groups of three digits.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}

// As much as people look at, on a terminal, and as GitHub takes for the summary of a step, which it
// else does not show at all.
const (
	terminalLines = 200
	// SummaryBytes is how long the Markdown of all that a step says may be.
	SummaryBytes = 1 << 20
	// CommentBytes is how long a comment on a pull request may be; GitHub takes 65 536 characters.
	CommentBytes = 60_000
	longestText  = 2000
)

// shorten cuts a text that would fill a page by itself.
func shorten(s string) string {
	if len(s) <= longestText {
		return s
	}
	return strings.ToValidUTF8(s[:longestText], "") + "…"
}

// gateRemarks are what is said below the table, by heading.
func gateRemarks(r gate.Report) []gateRemark {
	var reasons, notGated []string
	for _, row := range r.Rows {
		if row.Reason != "" && row.Verdict != gate.Unjudged { // the others are among the problems
			reasons = append(reasons, row.Name()+": "+row.Reason)
		}
	}
	if f := r.Failures; f != nil && f.Reason != "" {
		reasons = append(reasons, f.Reason)
	}
	for _, l := range r.Limits {
		if l.Reason != "" {
			reasons = append(reasons, l.Objective+": "+l.Reason)
		}
	}
	for _, n := range r.NotGated {
		notGated = append(notGated, n.Unit+": "+n.Why)
	}
	return []gateRemark{{"problem", r.Problems}, {"missing", r.Gaps}, {"undecided", reasons}, {"not gated", notGated},
		{"note", r.Notes}}
}

type gateRemark struct {
	what  string
	lines []string
}

// GateText writes a verdict as people read it on a terminal.
func GateText(w io.Writer, r gate.Report) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "baseline   %s, %s\ncandidate  %s, %s\nsamples    %s\n\n", r.Baseline.Path,
		gate.Plural(r.Baseline.Lines, "line"),
		r.Candidate.Path, gate.Plural(r.Candidate.Lines, "line"), r.Pairing)
	if lines := gateLines(r); len(lines) > 0 {
		w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, strings.Join(gateHeader(r), "\t"))
		n := min(len(lines), terminalLines)
		for _, line := range lines[:n] {
			fmt.Fprintln(w, strings.Join(line.cells, "\t"))
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if left := leftOut(lines[n:]); left != "" {
			b.WriteString(left + "\n")
		}
		b.WriteString("\n")
	}
	for _, remark := range gateRemarks(r) {
		n := min(len(remark.lines), terminalLines)
		for _, line := range remark.lines[:n] {
			fmt.Fprintf(&b, "%s: %s\n", remark.what, line)
		}
		if left := len(remark.lines) - n; left > 0 {
			fmt.Fprintf(&b, "%s: … and %s more (-json has all)\n", remark.what, thousands(left))
		}
	}
	if len(r.Rows) > 0 {
		b.WriteString("benchstat: its numbers, computed by golang.org/x/perf/benchmath, which it uses\n")
	}
	fmt.Fprintf(&b, "\n%s: %s\n", strings.ToUpper(string(r.Verdict)), r.Meaning)
	if r.Advice != "" {
		fmt.Fprintln(&b, r.Advice)
	}
	_, err := b.WriteTo(w)
	return err
}

// GateMarkdown writes the same for a page, in at most so many bytes as far as the verdict itself
// allows.
func GateMarkdown(w io.Writer, r gate.Report, most int) error {
	var b bytes.Buffer
	replacer := strings.NewReplacer("|", `\|`, "<", "&lt;", "~", `\~`, "*", `\*`, "_", `\_`, "`", "\\`", "[", `\[`)
	escape := func(s string) string { return replacer.Replace(shorten(s)) }
	fmt.Fprintf(&b, "## perfgate: %s\n\n%s %s\n\n", r.Verdict, escape(r.Meaning), escape(r.Advice))
	end := fmt.Sprintf("- samples: %s\n- baseline %s (%s), candidate %s (%s)\n\n", escape(r.Pairing),
		escape(r.Baseline.Path),
		gate.Plural(r.Baseline.Lines, "line"), escape(r.Candidate.Path), gate.Plural(r.Candidate.Lines, "line"))
	const counts = 1000 // for what says how much is left out
	room := most - len(end) - counts
	row := func(cells []string) string {
		var line strings.Builder
		for _, c := range cells {
			fmt.Fprintf(&line, "| %s ", escape(c))
		}
		return line.String() + "|\n"
	}
	if lines := gateLines(r); len(lines) > 0 {
		b.WriteString(row(gateHeader(r)) + "|---|---|" + strings.Repeat("--:|", 6) + "---|---|\n")
		for i, line := range lines {
			text := row(line.cells)
			if b.Len()+len(text) > room*3/4 { // the rest is for remarks
				fmt.Fprintf(&b, "\n%s\n", leftOut(lines[i:]))
				break
			}
			b.WriteString(text)
		}
		b.WriteString("\n")
	}
	for _, remark := range gateRemarks(r) {
		for i, line := range remark.lines {
			text := fmt.Sprintf("- %s: %s\n", remark.what, escape(line))
			if b.Len()+len(text) > room {
				fmt.Fprintf(&b, "- %s: … and %s more (-json has all)\n", remark.what, thousands(len(remark.lines)-i))
				break
			}
			b.WriteString(text)
		}
	}
	b.WriteString(end)
	_, err := b.WriteTo(w)
	return err
}

// GateJSON writes the same for programs.
func GateJSON(w io.Writer, r gate.Report) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// quantity prints a measured value with four digits or all that are before the point.
func quantity(x *float64) string {
	switch {
	case x == nil:
		return "?"
	case math.Abs(*x) >= 1000 && math.Abs(*x) < 1e15:
		return strconv.FormatFloat(*x, 'f', 0, 64)
	}
	return strconv.FormatFloat(*x, 'g', 4, 64)
}
