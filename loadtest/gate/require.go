package gate

import (
	"slices"

	"rampart/loadtest/verdict"
)

// requires reports whether a unit, by its tidy name, has to be shown to be better.
func (j *judge) requires(unit string) bool {
	return slices.ContainsFunc(j.Require, func(u string) bool { return Tidy(u) == unit })
}

// require makes the verdict of rows that have to be shown to be better: pass where all of the
// interval is, regressed where nothing of it is, and else inconclusive. The interval of a row that
// is better is wrong as rarely as any other, at each look. That all such rows have to be better
// needs no correction, as it needs none that all have to pass. It returns the names of rows that
// are shown not to be better, and whether there are some of which nothing is shown.
func (j *judge) require(between bool) (notBetter []string, unshown bool) {
	r := &j.report
	tested := make(map[int]int) // a row's place among those that were tested
	for i, at := range j.at {
		tested[at] = i
	}
	for at := range r.Rows {
		row := &r.Rows[at]
		if row.Required = j.requires(Tidy(row.Unit)); !row.Required || row.Improved || row.Verdict == Unjudged || between ||
			row.Verdict == verdict.Regressed {
			continue
		}
		i, is := tested[at]
		switch {
		case row.Exact, is && !j.rows[i].Doubted && j.rows[i].Lower >= 0:
			row.Verdict, row.Reason = verdict.Regressed, ""
			notBetter = append(notBetter, row.Name())
		case row.Verdict == verdict.Pass:
			row.Verdict, row.Reason = verdict.Inconclusive,
				"no worse than allowed, but not shown "+
					"to be better either, as -require-better asks"
			unshown = true
		}
	}
	if j.plan != nil && j.plan.of == ofBenchmarks { // whose benchmarks need not all have it
		return notBetter, unshown
	}
	for _, unit := range j.Require {
		if len(r.Rows) > 0 && !slices.ContainsFunc(r.Rows, func(row Row) bool { return Tidy(row.Unit) == Tidy(unit) }) {
			j.gap("%s: -require-better asks for it, and there is no row of it", unit)
		}
	}
	return notBetter, unshown
}

// requiredRows are the names of rows that had to be better.
func (j *judge) requiredRows() (names []string) {
	for _, row := range j.report.Rows {
		if row.Required {
			names = append(names, row.Name())
		}
	}
	return names
}
