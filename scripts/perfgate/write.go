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

// remarks are what is said below the table, by heading.
func remarks(r Report) []remark {
	var reasons, notGated []string
	for _, row := range r.Rows {
		if row.Reason != "" && row.Verdict != unjudged { // the others are among the problems
			reasons = append(reasons, row.name()+": "+row.Reason)
		}
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
	if len(r.Rows) > 0 {
		table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, strings.Join(header(r), "\t"))
		for _, row := range r.Rows {
			fmt.Fprintln(table, strings.Join(cells(row), "\t"))
		}
		if err := table.Flush(); err != nil {
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
	if len(r.Rows) > 0 {
		head := header(r)
		row(head)
		b.WriteString("|---|---|" + strings.Repeat("--:|", 6) + "---|---|\n")
		for _, r := range r.Rows {
			row(cells(r))
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
