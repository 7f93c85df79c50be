package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"rampart/loadtest"
	"rampart/scripts/proof"
)

// writeTable writes how well ramps repeat, as Markdown: a line for each server, neighbour and rule.
func writeTable(w io.Writer, all []outcome) {
	groups := make(map[trial][]outcome)
	var kinds []trial
	for _, o := range all {
		if groups[o.trial] == nil {
			kinds = append(kinds, o.trial)
		}
		groups[o.trial] = append(groups[o.trial], o)
	}
	slices.SortStableFunc(kinds, func(a, b trial) int {
		if a.Server != b.Server {
			return strings.Compare(a.Server, b.Server)
		}
		if a.Neighbour != b.Neighbour {
			return 2*one(a.Neighbour) - 1
		}
		return -strings.Compare(a.Rule, b.Rule)
	})
	fmt.Fprintln(w, "| server | neighbour | rule | ramps | CV of capacity | half the interval | "+
		"it holds the next ramp's | knees | within a doubling of the middle one | SD of growth, levels | in doubt | mean s |")
	fmt.Fprintln(w, "|---|---|---|---:|---:|---:|---|---|---|---|---:|---:|")
	for _, k := range kinds {
		writeRow(w, k, groups[k])
	}
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

func writeRow(w io.Writer, k trial, group []outcome) {
	neighbour := "no"
	if k.Neighbour {
		neighbour = "yes"
	}
	var capacities, halves, seconds []float64
	var knees []int
	held, pairs, doubted := 0, 0, 0
	for i, o := range group {
		seconds = append(seconds, o.Seconds)
		doubted += one(len(o.Doubts) > 0)
		if o.Capacity > 0 {
			capacities = append(capacities, o.Capacity)
		}
		if o.Upper > 0 {
			halves = append(halves, (o.Upper-o.Lower)/2/o.Capacity)
			if i+1 < len(group) {
				pairs++
				held += one(o.Lower <= group[i+1].Capacity && group[i+1].Capacity <= o.Upper)
			}
		}
		if o.Knee > 0 {
			knees = append(knees, o.Knee)
		}
	}
	interval, holds := "", ""
	if k.Rule == loadtest.RuleConfident {
		interval, holds = fmt.Sprintf("%.1f %%", 100*mean(halves)), proof.Rate(held, pairs)
	}
	mid, sd := mean(capacities), deviation(capacities)
	fmt.Fprintf(w, "| %s | %s | %s | %d | %.1f %% | %s | %s | %s | %s | %s | %d | %.1f |\n", k.Server, neighbour, k.Rule,
		len(group), 100*sd/mid, interval, holds, spread(knees), near(knees, len(group)), growth(group), doubted,
		mean(seconds))
}

// spread says from where to where knees lie.
func spread(knees []int) string {
	if len(knees) == 0 {
		return "none"
	}
	if low, high := slices.Min(knees), slices.Max(knees); low != high {
		return fmt.Sprintf("%d to %d", low, high)
	}
	return fmt.Sprint(knees[0])
}

// near says how many of so many ramps have a knee within a factor of two of the middle one.
func near(knees []int, ramps int) string {
	if len(knees) == 0 {
		return fmt.Sprintf("0 of %d", ramps)
	}
	sorted := slices.Sorted(slices.Values(knees))
	middle := sorted[len(sorted)/2]
	n := 0
	for _, k := range knees {
		n += one(k <= 2*middle && middle <= 2*k)
	}
	return fmt.Sprintf("%d of %d", n, ramps)
}

// growth says by how many percentage points the growth from level to level scatters between ramps:
// the mean over the doublings that most of the ramps measured, and the most.
func growth(group []outcome) string {
	by := make(map[int][]float64)
	for _, o := range group {
		at := make(map[int]float64)
		for _, l := range o.Levels {
			at[l.VUs] = l.Throughput
		}
		for vus, x := range at {
			if next := at[2*vus]; next > 0 && x > 0 && vus&(vus-1) == 0 {
				by[vus] = append(by[vus], 100*(next/x-1))
			}
		}
	}
	var all []float64
	for _, found := range by {
		if 2*len(found) > len(group) && len(found) > 1 {
			all = append(all, deviation(found))
		}
	}
	if len(all) == 0 {
		return "none"
	}
	slices.Sort(all)
	return fmt.Sprintf("%.1f, at most %.1f, %d", mean(all), all[len(all)-1], len(all))
}

func mean(x []float64) (m float64) {
	for _, v := range x {
		m += v / float64(len(x))
	}
	return m
}

func deviation(x []float64) float64 {
	m, sum := mean(x), 0.0
	for _, v := range x {
		sum += (v - m) * (v - m)
	}
	return math.Sqrt(sum / float64(max(len(x)-1, 1)))
}
