package k6

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/inject"
)

func TestParseSummary(t *testing.T) {
	stats := sink([]float64{1, 2, 3})
	text, err := json.Marshal(map[string]any{
		"rampart": 1, "latency": stats, "outside": 2, "connects": 0.25, "failures": map[string]int{"dial": 1, "eof": 0},
	})
	require.NoError(t, err)
	s, err := parseSummary(text)
	require.NoError(t, err)
	m := s.measurement(inject.Load{VUs: 1, Timeout: time.Second})
	require.EqualValues(t, 3, m.Requests)
	require.EqualValues(t, 5, m.Completed)
	require.Equal(t, 6*time.Millisecond, m.LatencySum)
	require.Equal(t, 250*time.Microsecond, m.ConnectSum)
	require.Equal(t, map[string]uint64{"dial": 1}, m.Failures.ByName())
	require.Equal(t, 2*time.Millisecond, m.Quantile(0.5).Round(10*time.Microsecond))

	for text, want := range map[string]string{
		`{}`:                                   "not our script's",
		`{"rampart":2}`:                        "not our script's",
		`{"rampart":1,"outside":-1}`:           "no count",
		`{"rampart":1,"failures":{"eof":1.5}}`: "no count",
		`{"rampart":1,"latency":{"count":1}}`:  "latency avg",
		`{"rampart":1,"latency":{"count":1,"avg":1,"min":-1}}`: "latency min",
		`{"rampart":1} x`: "invalid character",
	} {
		_, err := parseSummary([]byte(text))
		require.ErrorContains(t, err, want, text)
	}
}

func FuzzParseSummary(f *testing.F) {
	f.Add([]byte(`{"rampart":1,"latency":{"count":2,"avg":1,"min":1,"max":1},"outside":2,"failures":{"eof":1}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := parseSummary(b); err == nil && s.count() < 1e5 {
			s.measurement(inject.Load{Timeout: time.Second})
		}
	})
}
