package report

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"golang.org/x/perf/benchfmt"
)

// Metric is a value with a unit of the Go benchmark format.
type Metric struct {
	Value float64
	Unit  string
}

// units holds every unit that a result may have, and in which direction it is better.
var units = []struct{ name, better string }{
	{"ns/op", "lower"},
	{"req/s", "higher"},
	{"p50-ns", "lower"},
	{"p95-ns", "lower"},
	{"p99-ns", "lower"},
	{"server-cpu-ns/op", "lower"},
	{"client-cpu-ns/op", "lower"},
	{"knee-vus", "higher"},
}

// Units writes the unit metadata of the Go benchmark format (https://go.dev/design/14313-benchmark-format), by which
// tools learn that more req/s are better.
func Units(w io.Writer) error {
	bw := benchfmt.NewWriter(w)
	for _, u := range units {
		if err := bw.Write(&benchfmt.UnitMetadata{
			UnitMetadataKey: benchfmt.UnitMetadataKey{Unit: u.name, Key: "better"}, OrigUnit: u.name, Value: u.better,
		}); err != nil {
			return err
		}
	}
	return nil
}

// LevelMetrics returns what the benchmark of a level reports. ns/op is the reciprocal of throughput, for tools that only
// know that smaller is better; it is no latency.
func LevelMetrics(l Level) []Metric {
	x := l.Throughput()
	metrics := append(throughputMetrics(x),
		Metric{float64(l.Quantile(0.50)), "p50-ns"},
		Metric{float64(l.Quantile(0.95)), "p95-ns"},
		Metric{float64(l.Quantile(0.99)), "p99-ns"})
	if l.ServerCPU != nil {
		metrics = append(metrics, Metric{float64(l.ServerCPU.PerRequest(x)), "server-cpu-ns/op"})
	}
	if l.ClientCPU != nil {
		metrics = append(metrics, Metric{float64(l.ClientCPU.PerRequest(x)), "client-cpu-ns/op"})
	}
	return metrics
}

// RampMetrics returns what the benchmark of a whole ramp reports: its capacity, and its knee where one was found.
func RampMetrics(r Result) []Metric {
	best, _ := r.Capacity()
	metrics := throughputMetrics(best.Throughput())
	if knee, ok := r.Knee(); ok {
		metrics = append(metrics, Metric{float64(knee), "knee-vus"})
	}
	return metrics
}

func throughputMetrics(x float64) []Metric {
	return []Metric{{1e9 / x, "ns/op"}, {x, "req/s"}}
}

// Bench writes the result in the Go benchmark format: a line for each level without failures, named as the benchmark of
// that level is, and one for a ramp. What may differ between two runs that should be compared is in comments, because
// benchstat would put the runs into different tables for a configuration line that differs.
func Bench(w io.Writer, r Result) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# rampart %s, %s\n# target: %s\n", r.Version, r.Started.UTC().Format(time.RFC3339), r.Target)
	fmt.Fprintf(&b, "# injector: %s, %s/%s, %d CPUs, %s\n", r.Machine.Host, r.Machine.OS, r.Machine.Arch, r.Machine.CPUs,
		r.Machine.CPU)
	for _, s := range r.Settings {
		fmt.Fprintf(&b, "# %s=%s\n", s.Name, s.Value)
	}
	if err := Units(&b); err != nil {
		return err
	}
	bw := benchfmt.NewWriter(&b)
	write := func(name string, iterations int, metrics []Metric) error {
		return bw.Write(benchmark(name, iterations, metrics))
	}
	for _, l := range r.Levels {
		for _, d := range l.Doubts {
			fmt.Fprintf(&b, "# doubt at vus=%d: %s\n", l.VUs, d.Text)
		}
		switch {
		case l.Failures.Total() > 0:
			fmt.Fprintf(&b, "# no line for vus=%d: requests failed: %s\n", l.VUs, failures(l.Failures))
		case l.Partial:
			fmt.Fprintf(&b, "# no line for vus=%d: cut short\n", l.VUs)
		case l.Requests == 0:
			fmt.Fprintf(&b, "# no line for vus=%d: no request ended in the window\n", l.VUs)
		default:
			if err := write(fmt.Sprintf("Level/vus=%d", l.VUs), int(l.Requests), LevelMetrics(l)); err != nil {
				return err
			}
		}
	}
	if _, ok := r.Capacity(); ok && r.Kind == KindRamp {
		if err := write("Ramp", 1, RampMetrics(r)); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// benchmark makes a line as package testing would print it, with GOMAXPROCS at the end of the name.
func benchmark(name string, iterations int, metrics []Metric) *benchfmt.Result {
	if n := runtime.GOMAXPROCS(0); n > 1 {
		name = fmt.Sprintf("%s-%d", name, n)
	}
	res := &benchfmt.Result{Name: benchfmt.Name(name), Iters: iterations}
	for _, m := range metrics {
		res.Values = append(res.Values, benchfmt.Value{Value: m.Value, Unit: m.Unit})
	}
	return res
}
