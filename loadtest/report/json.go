package report

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"rampart/loadtest/capacity"
)

// JSONVersion is the version of the document that [JSON] writes. It changes when a field changes its meaning or goes
// away, not when one is added.
const JSONVersion = 1

// The document. Field names carry their units; README.md describes it.
type (
	document struct {
		Version  int             `json:"version"`
		Kind     string          `json:"kind"`
		Rampart  string          `json:"rampart"`
		Started  time.Time       `json:"started"`
		Elapsed  time.Duration   `json:"elapsed_ns"`
		Target   string          `json:"target"`
		Settings []Setting       `json:"settings"`
		Machine  Machine         `json:"machine"`
		Stop     *documentStop   `json:"stop,omitempty"`
		Capacity *documentBest   `json:"capacity,omitempty"`
		KneeVUs  int             `json:"knee_vus,omitempty"`
		Levels   []documentLevel `json:"levels"`
	}
	documentStop struct {
		Reason capacity.StopReason `json:"reason"`
		Detail string              `json:"detail"`
	}
	documentBest struct {
		VUs        int     `json:"vus"`
		Throughput float64 `json:"req_per_s"`
	}
	documentLevel struct {
		VUs        int               `json:"vus"`
		Accepted   bool              `json:"accepted"`
		Partial    bool              `json:"partial,omitempty"`
		Warmup     time.Duration     `json:"warmup_ns"`
		Window     time.Duration     `json:"window_ns"`
		Requests   uint64            `json:"requests"`
		Completed  uint64            `json:"completed"`
		Throughput float64           `json:"req_per_s"`
		Failed     uint64            `json:"failed"`
		Failures   map[string]uint64 `json:"failures"`
		Latency    documentLatency   `json:"latency"`
		ServerCPU  *float64          `json:"server_cpu_ns_per_op,omitempty"`
		ClientCPU  *float64          `json:"client_cpu_ns_per_op,omitempty"`
		Injector   documentInjector  `json:"injector"`
		Doubts     Doubts            `json:"doubts"`
	}
	documentInjector struct {
		Busy   float64       `json:"busy"`
		Delay  time.Duration `json:"delay_ns"`
		Stolen *float64      `json:"stolen_cores,omitempty"`
	}
	documentLatency struct {
		Mean      time.Duration `json:"mean_ns"`
		P50       time.Duration `json:"p50_ns"`
		P95       time.Duration `json:"p95_ns"`
		P99       time.Duration `json:"p99_ns"`
		Max       time.Duration `json:"max_ns"`
		Histogram string        `json:"histogram_us"` // HdrHistogram V2, compressed, base64
	}
)

// JSON writes the result as one versioned document. Latency histograms, in microseconds, are in it in the compressed V2
// encoding of HdrHistogram, which keeps what percentiles lose: results can be merged, and other tools can read them.
func JSON(w io.Writer, r Result) error {
	d := document{
		Version:  JSONVersion,
		Kind:     r.Kind,
		Rampart:  r.Version,
		Started:  r.Started,
		Elapsed:  r.Elapsed,
		Target:   r.Target,
		Settings: r.Settings,
		Machine:  r.Machine,
		Levels:   []documentLevel{},
	}
	if r.Stop.Reason != "" {
		d.Stop = &documentStop{r.Stop.Reason, r.Stop.Detail}
	}
	if best, ok := r.Capacity(); ok && r.Kind == KindRamp {
		d.Capacity = &documentBest{best.VUs, best.Throughput()}
	}
	d.KneeVUs, _ = r.Knee()
	for _, l := range r.Levels {
		level, err := newDocumentLevel(l)
		if err != nil {
			return fmt.Errorf("level of %d VUs: %w", l.VUs, err)
		}
		d.Levels = append(d.Levels, level)
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(d)
}

func newDocumentLevel(l Level) (documentLevel, error) {
	x := l.Throughput()
	d := documentLevel{
		VUs:        l.VUs,
		Accepted:   l.Accepted,
		Partial:    l.Partial,
		Warmup:     l.Warmup,
		Window:     l.Window,
		Requests:   l.Requests,
		Completed:  l.Completed,
		Throughput: x,
		Failed:     l.Failures.Total(),
		Failures:   l.Failures.ByName(),
		Latency: documentLatency{
			Mean: l.Mean(), P50: l.Quantile(0.5), P95: l.Quantile(0.95), P99: l.Quantile(0.99), Max: l.Quantile(1),
		},
		ServerCPU: perRequest(l.ServerCPU, x),
		ClientCPU: perRequest(l.ClientCPU, x),
		Injector:  documentInjector{Busy: l.Strain.Busy, Delay: l.Strain.Delay},
		Doubts:    append(Doubts{}, l.Doubts...),
	}
	if l.Stolen != nil {
		cores := l.Stolen.Cores()
		d.Injector.Stolen = &cores
	}
	if l.Latency == nil {
		return d, nil
	}
	histogram, err := l.Latency.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	d.Latency.Histogram = string(histogram)
	return d, err
}

func perRequest(c *CPU, throughput float64) *float64 {
	if c == nil || throughput == 0 {
		return nil
	}
	ns := float64(c.PerRequest(throughput))
	return &ns
}
