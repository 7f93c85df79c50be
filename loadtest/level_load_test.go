//go:build load

package loadtest

import (
	"fmt"
	"testing"
	"time"

	"rampart/loadtest/report"
)

// levelFiles are the files of all levels of a run, with -count of all repetitions.
var levelFiles keeper

// BenchmarkLevel measures one window for each number of virtual users in VUS.
func BenchmarkLevel(b *testing.B) {
	startsAtOnce(b)
	e := experiment(b)
	if lab.levels.Started.IsZero() {
		lab.levels.Kind = report.KindLevels
		lab.levels.Version = version()
		lab.levels.Machine = thisMachine()
		lab.levels.Started = time.Now()
		levelFiles = newKeeper()
	}
	for _, vus := range lab.settings.VUs {
		b.Run(fmt.Sprintf("vus=%d", vus), func(b *testing.B) {
			for b.Loop() {
				benchmarkLevel(b, e, vus)
			}
		})
	}
}

func benchmarkLevel(b *testing.B, e Experiment, vus int) {
	level, err := e.Level(lab.ctx, vus)
	if level.Window > 0 {
		lab.levels.Levels = append(lab.levels.Levels, level)
		lab.levels.Elapsed = time.Since(lab.levels.Started)
		levelFiles.keep(lab.levels)
	}
	switch {
	case err != nil:
		b.Fatal(err)
	case level.Failures.Total() > 0:
		b.Fatalf("%d requests failed: %v", level.Failures.Total(), level.Failures.ByName())
	case level.Requests == 0:
		b.Fatalf("no request ended in the window of %v: use a longer DURATION", level.Window)
	}
	for _, d := range level.Doubts {
		b.Logf("doubt: %s", d.Text)
	}
	for _, m := range report.LevelMetrics(level) {
		b.ReportMetric(m.Value, m.Unit)
	}
}
