package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"rampart/loadtest/verdict"
	"rampart/scripts/proof"
)

// kind is what the outcomes of a line of the table have in common.
type kind struct {
	usual, neighbour bool
	more             float64
}

// writeTable writes how often each verdict came, as Markdown.
func writeTable(w io.Writer, all []outcome) {
	groups := make(map[kind][]outcome)
	for _, o := range all {
		k := kind{o.Usual, o.Neighbour, o.More}
		groups[k] = append(groups[k], o)
	}
	var kinds []kind
	for k := range groups {
		kinds = append(kinds, k)
	}
	slices.SortFunc(kinds, func(a, b kind) int {
		return cmp.Or(one(a.usual)-one(b.usual), cmp.Compare(a.more, b.more), one(a.neighbour)-one(b.neighbour))
	})
	fmt.Fprintln(w, "| comparison | more work | neighbour | regressed | pass | inconclusive | mean estimate | "+
		"interval holds it | median s |")
	fmt.Fprintln(w, "|---|---:|---|---|---:|---:|---:|---|---:|")
	for _, k := range kinds {
		writeRow(w, k, groups[k])
	}
	writeSum(w, all)
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

func writeRow(w io.Writer, k kind, group []outcome) {
	n, neighbour := len(group), "no"
	if k.neighbour {
		neighbour = "yes"
	}
	verdicts := make(map[string]int)
	plain, held, sum := 0, 0, 0.0
	var seconds []float64
	for _, o := range group {
		verdicts[o.Verdict]++
		plain += one(o.Plain == string(verdict.Regressed))
		held += one(o.holds())
		sum += o.Estimate
		seconds = append(seconds, o.Seconds)
	}
	slices.Sort(seconds)
	regressed, passed := verdicts[string(verdict.Regressed)], verdicts[string(verdict.Pass)]
	if k.usual {
		fmt.Fprintf(w, "| usual way, benchstat at 0.05 | %g %% | %s | %s | %d | | %+.2f %% | | %.1f |\n", k.more, neighbour,
			proof.Rate(regressed, n), passed, 100*sum/float64(n), seconds[n/2])
		fmt.Fprintf(w, "| usual way, limit of 5 %% | %g %% | %s | %s | %d | | | | |\n", k.more, neighbour,
			proof.Rate(plain, n), n-plain)
		return
	}
	fmt.Fprintf(w, "| perfgate bench | %g %% | %s | %s | %d | %d | %+.2f %% | %d/%d | %.1f |\n", k.more, neighbour,
		proof.Rate(regressed, n), passed, n-regressed-passed, 100*sum/float64(n), held, n, seconds[n/2])
}

// holds reports whether the interval holds the change that was injected. More work takes as much
// more time, less what an iteration costs beside its work, which is next to nothing.
func (o outcome) holds() bool { return o.Low <= o.More/100 && o.More/100 <= o.High }

// writeSum writes what all duels of equals have in common.
func writeSum(w io.Writer, all []outcome) {
	alarms, equals, found, fives := 0, 0, 0, 0
	benchmarks := make(map[name]bool)
	for _, o := range all {
		switch {
		case o.Usual:
		case o.More == 0:
			equals++
			alarms += one(o.Verdict == string(verdict.Regressed))
			benchmarks[o.name] = true
		case o.More == 5:
			fives++
			found += one(o.Verdict == string(verdict.Regressed))
		}
	}
	if equals > 0 {
		fmt.Fprintf(w, "\nOf %d duels of a benchmark with itself (%d benchmarks), %s were called slower.", equals,
			len(benchmarks), proof.Rate(alarms, equals))
	}
	if fives > 0 {
		fmt.Fprintf(w, " Of those with 5 %% more work, %s were.", proof.Rate(found, fives))
	}
	fmt.Fprintln(w)
}
