package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// header is the first line of the table.
func header(r Report) []string {
	return []string{"benchmark", "unit", "baseline", "candidate", "change", level(1-2*r.Alpha) + " interval", "allowed", "samples",
		"verdict", "benchstat"}
}

// cells are the others.
func cells(r Row) []string {
	interval, change := "?", "?"
	if r.Change != nil {
		change = percent(r.Change)
	}
	if r.ChangeLowest != nil || r.ChangeHighest != nil {
		interval = percent(r.ChangeLowest) + " to " + percent(r.ChangeHighest)
	}
	samples := fmt.Sprintf("%d+%d", r.BaselineSamples, r.CandidateSamples)
	if r.Paired {
		samples = plural(r.BaselineSamples, "pair")
	}
	beside := ""
	if b := r.Benchstat; b != nil {
		beside = fmt.Sprintf("%s p=%.3f %s", b.Delta, b.P, b.Says)
	}
	name := r.Benchmark
	if r.Config != "" {
		name += " (" + r.Config + ")"
	}
	return []string{name, r.Unit, quantity(r.BaselineMedian), quantity(r.CandidateMedian), change, interval, percent(&r.Allowed), samples,
		string(r.Verdict), beside}
}

// cells are the last line of the table: no change is allowed, and none can be said where the baseline has no failures.
func (f *Failures) cells() []string {
	of := func(failed, requests uint64) string { return fmt.Sprintf("%d of %d", failed, requests) }
	return []string{"all requests", "failures", of(f.BaselineFailed, f.BaselineRequests), of(f.CandidateFailed, f.CandidateRequests), "", "", "0",
		plural(f.Blocks, "block"), string(f.Verdict), ""}
}

// lines are those of the table below the header.
func lines(r Report) (lines [][]string) {
	for _, row := range r.Rows {
		lines = append(lines, cells(row))
	}
	if r.Failures != nil {
		lines = append(lines, r.Failures.cells())
	}
	return lines
}

// remarks are what is said below the table, by heading.
func remarks(r Report) []remark {
	var reasons, notGated []string
	for _, row := range r.Rows {
		if row.Reason != "" && row.Verdict != unjudged { // the others are among the problems
			reasons = append(reasons, row.name()+": "+row.Reason)
		}
	}
	if f := r.Failures; f != nil && f.Reason != "" {
		reasons = append(reasons, f.Reason)
	}
	for _, n := range r.NotGated {
		notGated = append(notGated, n.Unit+": "+n.Why)
	}
	return []remark{{"problem", r.Problems}, {"missing", r.Gaps}, {"undecided", reasons}, {"not gated", notGated}, {"note", r.Notes}}
}

type remark struct {
	what  string
	lines []string
}

// writeText writes what people read on a terminal.
func writeText(w io.Writer, r Report) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "baseline   %s, %s\ncandidate  %s, %s\nsamples    %s\n\n", r.Baseline.Path, plural(r.Baseline.Lines, "line"),
		r.Candidate.Path, plural(r.Candidate.Lines, "line"), r.Pairing)
	if lines := lines(r); len(lines) > 0 {
		w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, strings.Join(header(r), "\t"))
		for _, line := range lines {
			fmt.Fprintln(w, strings.Join(line, "\t"))
		}
		if err := w.Flush(); err != nil {
			return err
		}
		b.WriteString("\n")
	}
	for _, remark := range remarks(r) {
		for _, line := range remark.lines {
			fmt.Fprintf(&b, "%s: %s\n", remark.what, line)
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

// writeMarkdown writes the same for a page.
func writeMarkdown(w io.Writer, r Report) error {
	var b bytes.Buffer
	escape := strings.NewReplacer("|", `\|`, "<", "&lt;", "~", `\~`, "*", `\*`, "_", `\_`, "`", "\\`", "[", `\[`)
	fmt.Fprintf(&b, "## perfgate: %s\n\n%s %s\n\n", r.Verdict, escape.Replace(r.Meaning), escape.Replace(r.Advice))
	row := func(cells []string) {
		for _, c := range cells {
			fmt.Fprintf(&b, "| %s ", escape.Replace(c))
		}
		b.WriteString("|\n")
	}
	if lines := lines(r); len(lines) > 0 {
		row(header(r))
		b.WriteString("|---|---|" + strings.Repeat("--:|", 6) + "---|---|\n")
		for _, line := range lines {
			row(line)
		}
		b.WriteString("\n")
	}
	for _, remark := range remarks(r) {
		for _, line := range remark.lines {
			fmt.Fprintf(&b, "- %s: %s\n", remark.what, escape.Replace(line))
		}
	}
	fmt.Fprintf(&b, "- samples: %s\n", escape.Replace(r.Pairing))
	fmt.Fprintf(&b, "- baseline %s (%s), candidate %s (%s)\n\n", escape.Replace(r.Baseline.Path), plural(r.Baseline.Lines, "line"),
		escape.Replace(r.Candidate.Path), plural(r.Candidate.Lines, "line"))
	_, err := b.WriteTo(w)
	return err
}

func writeJSON(w io.Writer, r Report) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
