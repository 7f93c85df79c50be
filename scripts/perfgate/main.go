// Command perfgate judges two benchmark files: did the candidate become worse than the baseline by
// more than allowed? It answers with a table, an exit code, and what to do. Run it with -h for
// everything that it knows.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"rampart/loadtest/gate"
	"rampart/loadtest/report"
)

func main() { os.Exit(run(os.Args[1:], os.Getenv, os.Stdout, os.Stderr)) }

// run is the command: arguments and environment in, output and exit code out.
func run(args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	command, explanation := judgeFiles, help
	if len(args) > 0 {
		rest := args[1:]
		switch args[0] {
		case "run":
			command, explanation, args = measure, runHelp, rest
		case "bench":
			command, explanation, args = benchmarks, benchHelp, rest
		case "prove":
			command, explanation, args = proveServer, proveHelp, rest
		}
	}
	code, err := command(args, getenv("GITHUB_STEP_SUMMARY"), stdout, stderr)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, explanation)
		return gate.ExitPass
	}
	if err != nil {
		fmt.Fprintf(stderr, "perfgate: %v\n", err)
		return gate.ExitUnjudged
	}
	return code
}

// judgeFiles reads, judges and writes. An error says what was wrong with the files, the flags or
// the output.
func judgeFiles(args []string, summary string, stdout, _ io.Writer) (int, error) {
	o, err := parseOptions(args)
	if err != nil {
		return 0, err
	}
	if err := o.checkOutput(summary); err != nil {
		return 0, err
	}
	baseline, err := gate.Read(o.baseline)
	if err != nil {
		return 0, fmt.Errorf("baseline: %w", err)
	}
	candidate, err := gate.Read(o.candidate)
	if err != nil {
		return 0, fmt.Errorf("candidate: %w", err)
	}
	judged, err := gate.Judge(baseline, candidate, o.Options)
	if err != nil {
		return 0, err
	}
	return judged.Exit, o.write(stdout, summary, judged)
}

// checkOutput says which flags contradict each other, and what cannot be written, before anything
// is read or measured.
func (o options) checkOutput(summary string) error {
	if o.md && o.json && summary == "" {
		return errors.New("-md and -json both want standard output: set GITHUB_STEP_SUMMARY to a file for the Markdown, or " +
			"use one of them")
	}
	if info, err := os.Stat(o.comment); err == nil {
		for _, input := range []string{o.baseline, o.candidate} {
			if other, err := os.Stat(input); err == nil && os.SameFile(info, other) {
				return fmt.Errorf("-comment %s: it is one of the files to judge, and would be overwritten", o.comment)
			}
		}
	}
	// At once, and empty: after minutes of measuring it is too late to be told, and the verdict of
	// another day is none.
	return o.comments(nil)
}

// write writes a report in the ways that are asked for.
func (o options) write(stdout io.Writer, summary string, judged gate.Report) error {
	write := report.GateText
	switch {
	case o.json:
		write = report.GateJSON
	case o.md && summary == "":
		write = func(w io.Writer, r gate.Report) error { return report.GateMarkdown(w, r, report.SummaryBytes) }
	}
	if err := write(stdout, judged); err != nil {
		return err
	}
	if o.md && summary != "" {
		markdown := func(w io.Writer, most int) error { return report.GateMarkdown(w, judged, most) }
		if err := appendSummary(summary, markdown); err != nil {
			return err
		}
	}
	if o.comment != "" {
		var text bytes.Buffer
		return errors.Join(report.GateMarkdown(&text, judged, report.CommentBytes), o.comments(text.Bytes()))
	}
	return nil
}

// comments writes the file for a comment, where one is asked for.
func (o options) comments(text []byte) error {
	if o.comment == "" {
		return nil
	}
	if err := os.WriteFile(o.comment, text, 0o666); err != nil {
		return fmt.Errorf("-comment: %w", err)
	}
	return nil
}

// appendSummary adds Markdown to the summary of a step, of which it may have so many bytes at most.
func appendSummary(path string, write func(w io.Writer, most int) error) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return fmt.Errorf("GITHUB_STEP_SUMMARY: %w", err)
	}
	most := report.SummaryBytes
	if info, err := f.Stat(); err == nil {
		most -= int(info.Size()) // what the step has said already counts
	}
	if err := errors.Join(write(f, most), f.Close()); err != nil {
		return fmt.Errorf("GITHUB_STEP_SUMMARY: %w", err)
	}
	return nil
}
