//go:build load

package loadtest_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"rampart/loadtest"
	"rampart/loadtest/report"
	"rampart/loadtest/result"
)

// levelFiles are the files of all levels of a run, with -count of all repetitions.
var levelFiles keeper

// BenchmarkLevel measures one window for each number of virtual users in VUS.
func BenchmarkLevel(b *testing.B) {
	startsAtOnce(b)
	fits(b, "VUS", slices.Max(shared.settings.VUs))
	e := experiment(b)
	if shared.levels.Started.IsZero() {
		shared.levels.Kind = result.KindLevels
		shared.levels.Version = loadtest.Version()
		shared.levels.Machine = loadtest.ThisMachine()
		shared.levels.Started = time.Now()
		levelFiles = newKeeper()
	}
	for _, vus := range shared.settings.VUs {
		b.Run(fmt.Sprintf("vus=%d", vus), func(b *testing.B) {
			for b.Loop() {
				benchmarkLevel(b, e, vus)
			}
		})
	}
}

func benchmarkLevel(b *testing.B, e loadtest.Experiment, vus int) {
	level, err := e.Level(shared.ctx, vus)
	if level.Window > 0 {
		shared.levels.Levels = append(shared.levels.Levels, level)
		shared.levels.Elapsed = time.Since(shared.levels.Started)
		levelFiles.keep(shared.levels)
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
