//go:build !load

package loadtest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/inject"
	"rampart/loadtest/report"
)

func TestDoubts(t *testing.T) {
	// 4 VUs for 10 s: 40 s of latency, if the law holds.
	level := func(latencies, connects time.Duration, cores float64) Level {
		return Level{
			Measurement: inject.Measurement{
				VUs: 4, Window: 10 * time.Second, Requests: 4000, Latencies: latencies, Connects: connects,
			},
			ClientCPU: &report.CPU{Used: time.Duration(cores * float64(10*time.Second)), Elapsed: 10 * time.Second},
		}
	}
	failed := level(20*time.Second, 0, 1)
	failed.Failures[inject.Timeout] = 1
	silent := level(0, 0, 1)
	silent.Requests = 0
	few := level(26*time.Second, 0, 1) // four requests of 6.5 s: the ends of the window can hide as much
	few.Requests = 4
	for _, tt := range []struct {
		name  string
		level Level
		want  []string
	}{
		{"calm", level(40*time.Second, 0, 1), nil},
		{"4 % off", level(38400*time.Millisecond, 0, 1), nil},
		{"connecting counts", level(10*time.Second, 30*time.Second, 1), nil},
		{"a VU stood still", level(30*time.Second, 0, 1), []string{DoubtLittle}},
		{"the clock ran away", level(45*time.Second, 0, 1), []string{DoubtLittle}},
		{"failures have no latency", failed, nil},
		{"nothing ended", silent, nil},
		{"few long requests", few, nil},
		{"1.6 of 2 cores", level(40*time.Second, 0, 1.6), nil},
		{"1.7 of 2 cores", level(40*time.Second, 0, 1.7), []string{DoubtInjector}},
		{"both", level(30*time.Second, 0, 2), []string{DoubtLittle, DoubtInjector}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var kinds []string
			for _, d := range doubts(tt.level, 2) {
				kinds = append(kinds, d.Kind)
				require.NotEmpty(t, d.Text)
			}
			require.Equal(t, tt.want, kinds)
		})
	}
}
