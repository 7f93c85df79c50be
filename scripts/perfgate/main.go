// Command perfgate judges two benchmark files: did the candidate become worse than the baseline by more than allowed? It
// answers with a table, an exit code, and what to do. Run it with -h for everything that it knows.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

// Exit codes.
const (
	exitPass         = 0
	exitRegressed    = 1
	exitUnjudged     = 2
	exitInconclusive = 3
)

func main() { os.Exit(run(os.Args[1:], os.Getenv, os.Stdout, os.Stderr)) }

// run is the command: arguments and environment in, output and exit code out.
func run(args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	parse, explanation := parseOptions, help
	if len(args) > 0 && args[0] == "run" {
		parse, explanation = func(args []string) (options, error) { return measure(args[1:], stderr) }, runHelp
	}
	options, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, explanation)
		return exitPass
	}
	if err == nil {
		var code int
		if code, err = judgeFiles(options, getenv("GITHUB_STEP_SUMMARY"), stdout); err == nil {
			return code
		}
	}
	fmt.Fprintf(stderr, "perfgate: %v\n", err)
	return exitUnjudged
}

// judgeFiles reads, judges and writes. An error says what was wrong with the files, the flags or the output.
func judgeFiles(o options, summary string, stdout io.Writer) (int, error) {
	if o.md && o.json && summary == "" {
		return 0, errors.New("-md and -json both want standard output: set GITHUB_STEP_SUMMARY to a file for the Markdown, or use one of them")
	}
	baseline, err := read(o.baseline)
	if err != nil {
		return 0, fmt.Errorf("baseline: %w", err)
	}
	candidate, err := read(o.candidate)
	if err != nil {
		return 0, fmt.Errorf("candidate: %w", err)
	}
	report, err := gate(baseline, candidate, o)
	if err != nil {
		return 0, err
	}
	write := writeText
	switch {
	case o.json:
		write = writeJSON
	case o.md && summary == "":
		write = writeMarkdown
	}
	if err := write(stdout, report); err != nil {
		return 0, err
	}
	if o.md && summary != "" {
		if err := appendSummary(summary, report); err != nil {
			return 0, fmt.Errorf("GITHUB_STEP_SUMMARY: %w", err)
		}
	}
	return report.Exit, nil
}

func appendSummary(path string, r Report) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	return errors.Join(writeMarkdown(f, r), f.Close())
}
