//go:build !load

package loadtest

import (
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

func TestSumMetric(t *testing.T) {
	for _, test := range []struct {
		page string
		want float64
		err  string
	}{
		{"", 0, ""},
		{"cpu_total 1.5\n", 1.5, ""},
		{"# HELP cpu_total 7\n# TYPE cpu_total counter\ncpu_total 1e3\n", 1000, ""},
		{"cpu_total{worker=\"1\"} 1\n other 5\ncpu_total{worker=\"2\"}\t2 1764000000000\n", 3, ""},
		{"cpu_total {a=\"}\\\" 9\\\\\",b=\"{\"} 4", 4, ""},
		{"cpu_total 2 # {trace_id=\"x\"} 0.5 1764000000.25\n# EOF\n", 2, ""},
		{"cpu_total_sum 1\ncpu_totals 2\nxcpu_total 3\n<html>not found</html>", 0, ""},
		{"cpu_total\n", 0, ""},
		{"cpu_total:rate 1\ncpu_total+2\n", 2, ""},
		{"cpu_total \n", 0, "cpu_total: no value"},
		{"cpu_total{a=\"b\" 1\n", 0, "labels that do not end"},
		{"cpu_total one\n", 0, `"one" is no value of a counter`},
		{"cpu_total NaN\n", 0, `"NaN" is no value of a counter`},
		{"cpu_total -1\n", 0, `"-1" is no value of a counter`},
		{"x" + strings.Repeat(" ", longestMetric), 0, "token too long"},
	} {
		got, err := sumMetric(strings.NewReader(test.page), "cpu_total")
		if test.err != "" {
			require.ErrorContains(t, err, test.err, "%.100q", test.page)
			continue
		}
		require.NoError(t, err, "%.100q", test.page)
		require.Equal(t, test.want, got, "%.100q", test.page)
	}
}

// FuzzSumMetric holds that what the parser of Prometheus reads is read alike.
func FuzzSumMetric(f *testing.F) {
	f.Add("# TYPE cpu_total counter\ncpu_total 12.5\n")
	f.Add("cpu_total{worker=\"1\",x=\"}\\\"\\n\\\\\"} 1 5\ncpu_total { a = \"b\" , } 2\n\t cpu_total\t3\nother 4\n")
	f.Add("cpu_total+1\n")
	f.Add("# HELP a b\\n cpu_total 7\n# TYPE cpu_total gauge\ncpu_total +1e-3\n")
	f.Fuzz(func(t *testing.T, page string) {
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(page))
		if err != nil {
			return
		}
		var want float64
		for _, m := range families["cpu_total"].GetMetric() {
			value := m.GetCounter().GetValue() + m.GetUntyped().GetValue() + m.GetGauge().GetValue()
			if !(value >= 0 && value < 1e300) {
				return // an error here
			}
			want += value
		}
		if len(families["cpu_total"].GetMetric()) > 0 && families["cpu_total"].GetType().String() != "COUNTER" &&
			families["cpu_total"].GetType().String() != "UNTYPED" && families["cpu_total"].GetType().String() != "GAUGE" {
			return
		}
		got, err := sumMetric(strings.NewReader(page), "cpu_total")
		require.NoError(t, err, "%q", page)
		require.Equal(t, want, got, "%q", page)
	})
}
