package report

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"golang.org/x/perf/benchfmt"

	"rampart/loadtest/result"
)

// Metric is a value with a unit of the Go benchmark format.
type Metric = result.Metric

// Units writes the unit metadata of the Go benchmark format
// (https://go.dev/design/14313-benchmark-format), by which tools learn that more req/s are better.
func Units(w io.Writer) error {
	bw := benchfmt.NewWriter(w)
	for _, u := range result.Units() {
		if err := bw.Write(&benchfmt.UnitMetadata{
			UnitMetadataKey: benchfmt.UnitMetadataKey{Unit: u.Name, Key: "better"}, OrigUnit: u.Name, Value: u.Better,
		}); err != nil {
			return err
		}
	}
	return nil
}

// LevelMetrics returns what the benchmark of a level reports. ns/op is the reciprocal of
// throughput, for tools that only know that smaller is better; it is no latency.
func LevelMetrics(l result.Level) []Metric {
	x := l.Throughput()
	metrics := append(throughputMetrics(x),
		Metric{Value: float64(l.Quantile(0.50)), Unit: "p50-ns"},
		Metric{Value: float64(l.Quantile(0.95)), Unit: "p95-ns"},
		Metric{Value: float64(l.Quantile(0.99)), Unit: "p99-ns"})
	if l.ServerCPU != nil {
		metrics = append(metrics, Metric{Value: float64(l.ServerCPU.PerRequest(x)), Unit: "server-cpu-ns/op"})
	}
	if l.ClientCPU != nil {
		metrics = append(metrics, Metric{Value: float64(l.ClientCPU.PerRequest(x)), Unit: "client-cpu-ns/op"})
	}
	return metrics
}

// RampMetrics returns what the benchmark of a whole ramp reports: its capacity, and its knee where
// one was found.
func RampMetrics(r result.Result) []Metric {
	metrics := throughputMetrics(r.CapacityThroughput())
	if knee, ok := r.Knee(); ok {
		metrics = append(metrics, Metric{Value: float64(knee), Unit: "knee-vus"})
	}
	return metrics
}

func throughputMetrics(x float64) []Metric {
	return []Metric{{Value: 1e9 / x, Unit: "ns/op"}, {Value: x, Unit: "req/s"}}
}

// Bench writes the result in the Go benchmark format: a line for each level without failures, or
// for each sample of it where it has some, named as the benchmark of that level is, and one for a
// ramp. What may differ between two runs that should be compared is in comments, because benchstat
// would put the runs into different tables for a configuration line that differs.
func Bench(w io.Writer, r result.Result) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# rampart %s, %s\n# target: %s\n", r.Version, r.Started.UTC().Format(time.RFC3339), r.Target)
	if len(r.Others) > 0 {
		fmt.Fprintf(&b, "# address: %s, and no load to %s\n", r.Address, strings.Join(r.Others, ", "))
	}
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
	for _, d := range r.Doubts {
		fmt.Fprintf(&b, "# doubt: %s\n", d.Text)
	}
	for _, l := range r.Levels {
		for _, d := range l.Doubts {
			fmt.Fprintf(&b, "# doubt at vus=%d: %s\n", l.VUs, d.Text)
		}
		if l.NoServerCPU != "" {
			fmt.Fprintf(&b, "# no server-cpu-ns/op at vus=%d: %s\n", l.VUs, oneLine(l.NoServerCPU))
		}
		if all := statuses(l.Answers.Statuses()); all != "" {
			fmt.Fprintf(&b, "# answers at vus=%d: %s\n", l.VUs, all)
		}
		switch {
		case l.Failures.Total() > 0:
			fmt.Fprintf(&b, "# no line for vus=%d: requests failed: %s\n", l.VUs, failures(l.Failures))
		case l.Partial:
			fmt.Fprintf(&b, "# no line for vus=%d: cut short\n", l.VUs)
		case l.Requests == 0:
			fmt.Fprintf(&b, "# no line for vus=%d: no request ended in the window\n", l.VUs)
		default:
			for _, s := range samples(l) {
				if err := write(fmt.Sprintf("Level/vus=%d", l.VUs), int(s.Requests), LevelMetrics(s)); err != nil {
					return err
				}
			}
		}
	}
	if _, ok := r.Capacity(); ok && r.Kind == result.KindRamp {
		if err := write("Ramp", 1, RampMetrics(r)); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// samples are those of a level, which is the only one where it has no other.
func samples(l result.Level) []result.Level {
	if len(l.Samples) == 0 {
		return []result.Level{l}
	}
	return l.Samples
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
