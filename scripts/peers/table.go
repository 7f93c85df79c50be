package main

import (
	"fmt"
	"strconv"
	"strings"
)

// table is what goes into the README.
type table struct {
	settings settings
	tools    []tool
	missing  []string
	server   string
	machine  string
	rows     []row
}

// String is the table in Markdown, with a paragraph before it that says how it came about.
func (t table) String() string {
	var b strings.Builder
	reference := referenceOf(t.tools)
	var versions, notes []string
	for _, tool := range t.tools {
		versions = append(versions, strings.TrimSpace(tool.name+" "+tool.is))
		notes = append(notes, tool.note)
	}
	fmt.Fprintf(&b, "%s. On the same machine: %s. %s.", t.machine, t.server, strings.Join(versions, ", "))
	if len(t.missing) > 0 {
		fmt.Fprintf(&b, " Not installed: %s.", strings.Join(t.missing, ", "))
	}
	fmt.Fprintf(&b, "\n`%v`\n\n", t.settings)
	fmt.Fprintf(&b, "| VUs | client | throughput / %[1]s's | CPU per request / %[1]s's | "+
		"resident memory / %[1]s's | resident MB | failures |\n", reference)
	b.WriteString("|---:|---|---|---|---:|---:|---|\n")
	for _, r := range t.rows {
		throughput, cpu := ratio(r.throughput, r.rounds), ratio(r.cpu, r.rounds)
		memory, resident := median(r.memory), median(r.resident)
		if r.tool == reference {
			throughput, cpu, memory = "1", "1", "1"
		}
		fmt.Fprintf(&b, "| %d | %s | %s | %s | %s | %s | %s |\n",
			r.vus, r.tool, throughput, cpu, memory, resident, failures(r))
	}
	fmt.Fprintf(&b, "\nRatios are of runs of the same round: median (lowest to highest). "+
		"CPU is user and system time of the whole process from its\n"+
		"start to its end. Memory is the highest it had, median; a MB is 10^6 bytes. Of the tools: %s.\n",
		strings.Join(notes, "; "))
	return b.String()
}

// nothing stands where there is no number.
const nothing = "–"

// median prints the median of a spread.
func median(s spread) string {
	if s.n == 0 {
		return nothing
	}
	return number(s.median)
}

// ratio prints a spread of ratios, with the number of rounds where they are not all.
func ratio(s spread, rounds int) string {
	switch {
	case s.n == 0:
		return nothing
	case s.n < rounds:
		return fmt.Sprintf("%s (%s to %s, %d of %d rounds)", number(s.median), number(s.min), number(s.max), s.n, rounds)
	}
	return fmt.Sprintf("%s (%s to %s)", number(s.median), number(s.min), number(s.max))
}

// failures prints what went wrong, 0 where nothing did.
func failures(r row) string {
	var parts []string
	if r.failed > 0 {
		parts = append(parts, fmt.Sprintf("**%d** in %d of %d rounds", r.failed, r.failedRounds, r.rounds))
	}
	if r.brokenRounds > 0 {
		parts = append(parts, fmt.Sprintf("**not measured** in %d of %d rounds", r.brokenRounds, r.rounds))
	}
	if parts == nil {
		return "0"
	}
	return strings.Join(parts, ", ") + ", left out"
}

// number prints two decimals where they say something.
func number(x float64) string {
	switch {
	case x < 10:
		return strconv.FormatFloat(x, 'f', 2, 64)
	case x < 100:
		return strconv.FormatFloat(x, 'f', 1, 64)
	}
	return strconv.FormatFloat(x, 'f', 0, 64)
}
