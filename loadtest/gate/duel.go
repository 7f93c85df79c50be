package gate

import (
	"fmt"

	"golang.org/x/perf/benchfmt"

	"rampart/loadtest/result"
	"rampart/loadtest/verdict"
)

// JudgeDuel judges a duel by its plan, as [Judge] judges its two files.
func JudgeDuel(d result.Duel) Report {
	sides := sidesOf(d)
	r, err := Judge(sides[0], sides[1], Options{})
	if err != nil { // only flags can be wrong, and there are none
		panic(err)
	}
	return r
}

// sidesOf makes what the files of a duel hold.
func sidesOf(d result.Duel) (sides [2]Results) {
	p := planOf(d)
	gaps := Gaps(d)
	for side, path := range [2]string{d.Baseline, d.Candidate} {
		r := Results{
			path: path, units: benchfmt.UnitMetadataMap{}, counts: make(map[block]verdict.Count), plans: []planLine{{0, p}},
		}
		for _, u := range result.Units() {
			key := benchfmt.UnitMetadataKey{Unit: Tidy(u.Name), Key: "better"}
			r.units[key] = &benchfmt.UnitMetadata{UnitMetadataKey: key, OrigUnit: u.Name, Value: u.Better}
		}
		r.notes, r.gaps = d.Notes(side), gaps
		names := unitNames{}
		for i, s := range d.Samples(side) {
			b := block{d.Seed, s.Block}
			r.counts[b] = verdict.Count{Succeeded: s.Succeeded, Failed: s.Failed.Total()}
			r.blocks = append(r.blocks, blockLine{i, blockMark{
				block: b, plan: p.id, counted: true, requests: r.counts[b], statuses: s.Statuses, limits: s.Limits,
				asked: countsOf(s.Asked),
			}})
			if s.Doubt != "" {
				r.doubts = append(r.doubts, doubt{part: fmt.Sprintf("/vus=%d", d.VUs), text: s.Doubt})
			}
			if s.Metrics == nil {
				continue
			}
			l := line{at: i, name: d.Name(), block: b}
			for _, m := range s.Metrics {
				l.values = append(l.values, value{unitName: names.of(m.Unit), value: m.Value})
			}
			r.lines = append(r.lines, l)
			for _, a := range s.Asked {
				if a.P50 > 0 {
					r.lines = append(r.lines, line{
						at: i, name: result.RequestBenchmark(d.Name(), a.Name), block: b,
						values: []value{{unitName: names.of(result.RequestP50), value: float64(a.P50)}},
					})
				}
			}
		}
		sides[side] = r
	}
	return sides
}
