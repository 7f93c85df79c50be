package capacity

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

func TestClassic(t *testing.T) {
	first := Level{}
	const plenty = 4096
	for _, tt := range []struct {
		name       string
		prev, this Level
		maxVUs     int
		want       Decision
	}{
		{"first level", first, Level{1, 70, 0}, plenty, Decision{Accepted: true, Next: 2}},
		{"first level, hardly any throughput", first, Level{1, 0.01, 0}, plenty, Decision{Accepted: true, Next: 2}},
		{"first level, no request ended", first, Level{1, 0, 0}, plenty, Decision{Stop: Knee}},
		{"first level, all failed", first, Level{1, 0, 10}, plenty, Decision{Stop: RequestsFailed}},
		{"first level, one failed", first, Level{1, 70, 1}, plenty, Decision{Stop: RequestsFailed}},
		{"exactly 5 %", Level{1, 95, 0}, Level{2, 100, 0}, plenty, Decision{Accepted: true, Next: 4}},
		{"just below 5 %", Level{1, 95.0001, 0}, Level{2, 100, 0}, plenty, Decision{Stop: Knee}},
		{"5 % of the old level are too little", Level{1, 100, 0}, Level{2, 105, 0}, plenty, Decision{Stop: Knee}},
		{"5.27 % of the old level suffice", Level{1, 100, 0}, Level{2, 105.27, 0}, plenty, Decision{Accepted: true, Next: 4}},
		{"doubled", Level{4, 100, 0}, Level{8, 200, 0}, plenty, Decision{Accepted: true, Next: 16}},
		{"flat", Level{4, 100, 0}, Level{8, 100, 0}, plenty, Decision{Stop: Knee}},
		{"shrinking", Level{4, 262.96, 0}, Level{8, 246.27, 0}, plenty, Decision{Stop: Knee}},
		{"down to nothing", Level{4, 262.96, 0}, Level{8, 0, 0}, plenty, Decision{Stop: Knee}},
		{"grew, but one failed", Level{4, 100, 0}, Level{8, 200, 1}, plenty, Decision{Stop: RequestsFailed}},
		{"flat and failed: failure is the news", Level{4, 100, 0}, Level{8, 100, 1}, plenty, Decision{Stop: RequestsFailed}},
		{"at the cap", Level{4, 100, 0}, Level{8, 200, 0}, 8, Decision{Accepted: true, Stop: MaxVUs}},
		{"cap between two levels", Level{4, 100, 0}, Level{8, 200, 0}, 15, Decision{Accepted: true, Stop: MaxVUs}},
		{"next level is the cap", Level{4, 100, 0}, Level{8, 200, 0}, 16, Decision{Accepted: true, Next: 16}},
		{"cap of one", first, Level{1, 200, 0}, 1, Decision{Accepted: true, Stop: MaxVUs}},
		{"flat at the cap", Level{4, 100, 0}, Level{8, 100, 0}, 8, Decision{Stop: Knee}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Empty(t, cmp.Diff(tt.want, Classic(tt.prev, tt.this, tt.maxVUs)))
		})
	}
}

func TestGrowth(t *testing.T) {
	require.Equal(t, 100.0, Growth(0, 70))
	require.Equal(t, 50.0, Growth(50, 100))
	require.Equal(t, -100.0, Growth(200, 100))
	require.Equal(t, 0.0, Growth(100, 0))
}
