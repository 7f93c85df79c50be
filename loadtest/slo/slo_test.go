package slo

import (
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"rampart/loadtest/inject"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]SLO{
		"":                          nil,
		"p99<50ms":                  {{Name: "p99", Limit: 0.05}},
		" p99.9 < 1.5s , mean<2ms ": {{Name: "p99.9", Limit: 1.5}, {Name: "mean", Limit: 0.002}},
		"p99<50ms,failed<0.1%":      {{Name: "p99", Limit: 0.05}, {Name: "failed", Limit: 0.001}},
		"failed<0.25":               {{Name: "failed", Limit: 0.25}},
		"p50.0<1ms":                 {{Name: "p50", Limit: 0.001}},
	} {
		got, err := Parse(in)
		require.NoError(t, err, in)
		require.Empty(t, cmp.Diff(want, got, cmpopts.IgnoreUnexported(Objective{}), cmpopts.EquateApprox(1e-12, 0)), in)
	}
}

func TestParseRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"p99":                "want objectives with commas between",
		"p99<":               "want objectives",
		"p99<50ms,":          "want objectives",
		"p99>50ms":           "want objectives",
		"p99<50":             "want a duration with a unit",
		"p99<-50ms":          "want a duration",
		"p99<1ns":            "at least 1µs",
		"p100<50ms":          "between p0 and p100",
		"p0<50ms":            "between p0 and p100",
		"pNaN<50ms":          "between p0 and p100",
		"p1e1<50ms":          "between p0 and p100",
		"99<50ms":            "such as p99",
		"q99<50ms":           "such as p99",
		"median<50ms":        "want mean, failed, or a percentile",
		"failed<0":           "want a share of all requests",
		"failed<101%":        "want a share",
		"failed<5":           "want a share",
		"failed<1ms":         "want a share",
		"failed<NaN":         "want a share",
		"p99<50ms,p99.0<1ms": "p99 is bounded twice",
	} {
		_, err := Parse(in)
		require.ErrorContains(t, err, want, in)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"p99<50ms,failed<0.1%", "mean<1s", "p99.9<1h,p1<1µs", "failed<1", "p99<<1s", ",", "p.<1s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		slo, err := Parse(in)
		if err != nil {
			require.Nil(t, slo)
			return
		}
		for _, o := range slo {
			require.Greater(t, o.Limit, 0.0)
			_, _, limit := o.Share(inject.Measurement{})
			require.Greater(t, limit, 0.0)
		}
		again, err := Parse(slo.String())
		require.NoError(t, err)
		require.Equal(t, slo, again)
	})
}

// measured is a measurement of latencies in milliseconds.
func measured(failures uint64, ms ...int) inject.Measurement {
	m := inject.Measurement{Latency: hdrhistogram.New(1, 60_000_000, 3)}
	for _, l := range ms {
		m.Requests++
		m.Completed++
		m.LatencySum += time.Duration(l) * time.Millisecond
		_ = m.Latency.RecordValue(int64(l) * 1000)
	}
	m.Failures[inject.Status] = failures
	return m
}

func TestBroken(t *testing.T) {
	ten := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	for _, tt := range []struct {
		slo  string
		m    inject.Measurement
		want []string
	}{
		{"p90<10ms", measured(0, ten...), nil},
		{"p89<10ms", measured(0, ten...), nil},
		{"p96<10ms", measured(0, ten...), []string{"p96 10ms, wanted p96<10ms"}},
		{"p50<5ms", measured(0, ten...), []string{"p50 5ms, wanted p50<5ms"}},
		{"mean<5.5ms", measured(0, ten...), []string{"mean 5.5ms, wanted mean<5.5ms"}},
		{"mean<5.6ms,p99<11ms", measured(0, ten...), nil},
		{"failed<50%", measured(9, ten...), nil},
		{"failed<50%", measured(10, ten...), []string{"failed 50 %, wanted failed<50%"}},
		{"p99<1ms,failed<1%", measured(0), nil},
		{"p99<1ms,failed<1%", measured(1), []string{"failed 100 %, wanted failed<1%"}},
	} {
		slo, err := Parse(tt.slo)
		require.NoError(t, err)
		require.Equal(t, tt.want, slo.Broken(tt.m), tt.slo)
		if tt.want != nil {
			require.ErrorContains(t, slo.Err(tt.m), tt.want[0])
		} else {
			require.NoError(t, slo.Err(tt.m))
		}
	}
}
