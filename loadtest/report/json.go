package report

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"rampart/loadtest/capacity"
	"rampart/loadtest/inject"
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
		Started    int64             `json:"started_unix_ns,omitempty"`
		StartSkew  *time.Duration    `json:"start_skew_ns,omitempty"`
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
		Clients    []documentLevel   `json:"clients,omitempty"`
	}
	documentInjector struct {
		Busy   float64       `json:"busy"`
		Delay  time.Duration `json:"delay_ns"`
		CPU    *float64      `json:"cpu_cores,omitempty"`
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
func JSON(w io.Writer, r Result) error { return writeJSON(w, r, "  ") }

// JSONLine writes the same on one line.
func JSONLine(w io.Writer, r Result) error { return writeJSON(w, r, "") }

func writeJSON(w io.Writer, r Result, indent string) error {
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
	enc.SetIndent("", indent)
	return enc.Encode(d)
}

func newDocumentLevel(l Level) (documentLevel, error) {
	x := l.Throughput()
	d := documentLevel{
		VUs:        l.VUs,
		Accepted:   l.Accepted,
		Partial:    l.Partial,
		StartSkew:  l.StartSkew,
		Warmup:     l.Warmup,
		Window:     l.Window,
		Requests:   l.Requests,
		Completed:  l.Completed,
		Throughput: x,
		Failed:     l.Failures.Total(),
		Failures:   l.Failures.ByName(),
		ServerCPU:  perRequest(l.ServerCPU, x),
		ClientCPU:  perRequest(l.ClientCPU, x),
		Injector: documentInjector{
			Busy: l.Strain.Busy, Delay: l.Strain.Delay, CPU: cores(l.ClientCPU), Stolen: cores(l.Stolen),
		},
		Doubts: append(Doubts{}, l.Doubts...),
	}
	if !l.Started.IsZero() {
		d.Started = l.Started.UnixNano()
	}
	for _, c := range l.Clients {
		client, err := newDocumentLevel(c)
		if err != nil {
			return d, err
		}
		d.Clients = append(d.Clients, client)
	}
	var err error
	d.Latency, err = newDocumentLatency(l.Measurement)
	return d, err
}

func newDocumentLatency(m inject.Measurement) (documentLatency, error) {
	d := documentLatency{Mean: m.Mean(), P50: m.Quantile(0.5), P95: m.Quantile(0.95), P99: m.Quantile(0.99), Max: m.Quantile(1)}
	if m.Latency == nil {
		return d, nil
	}
	histogram, err := m.Latency.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	d.Histogram = string(histogram)
	return d, err
}

func cores(c *CPU) *float64 {
	if c == nil {
		return nil
	}
	n := c.Cores()
	return &n
}

func perRequest(c *CPU, throughput float64) *float64 {
	if c == nil || throughput == 0 {
		return nil
	}
	ns := float64(c.PerRequest(throughput))
	return &ns
}

// ReadJSON reads what [JSON] or [JSONLine] has written. CPU times are those of the window, with the precision that the
// document has. The error says that it is no result, or of a version that this program does not know.
func ReadJSON(r io.Reader) (Result, error) {
	var d document
	if err := json.NewDecoder(r).Decode(&d); err != nil {
		return Result{}, fmt.Errorf("result.json: %w", err)
	}
	if d.Version != JSONVersion {
		return Result{}, fmt.Errorf("result.json of version %d: want %d", d.Version, JSONVersion)
	}
	result := Result{
		Kind:     d.Kind,
		Version:  d.Rampart,
		Started:  d.Started,
		Elapsed:  d.Elapsed,
		Target:   d.Target,
		Settings: d.Settings,
		Machine:  d.Machine,
	}
	if d.Stop != nil {
		result.Stop = Stop(*d.Stop)
	}
	for _, l := range d.Levels {
		level, err := l.level()
		if err != nil {
			return Result{}, fmt.Errorf("result.json: level of %d VUs: %w", l.VUs, err)
		}
		result.Levels = append(result.Levels, level)
	}
	return result, nil
}

func (d documentLevel) level() (Level, error) {
	l := Level{
		Measurement: inject.Measurement{
			VUs:       d.VUs,
			Warmup:    d.Warmup,
			Window:    d.Window,
			Requests:  d.Requests,
			Completed: d.Completed,
			Latencies: d.Latency.Mean * time.Duration(d.Requests),
			Strain:    inject.Strain{Busy: d.Injector.Busy, Delay: d.Injector.Delay},
		},
		Accepted:  d.Accepted,
		Partial:   d.Partial,
		Doubts:    d.Doubts,
		StartSkew: d.StartSkew,
		ClientCPU: cpuOf(d.Injector.CPU, d.Window),
		Stolen:    cpuOf(d.Injector.Stolen, d.Window),
	}
	if d.ServerCPU != nil {
		n := *d.ServerCPU / float64(time.Second) * d.Throughput
		l.ServerCPU = cpuOf(&n, d.Window)
	}
	if d.Started != 0 {
		l.Started = time.Unix(0, d.Started)
	}
	var err error
	if l.Failures, err = inject.FailuresByName(d.Failures); err != nil {
		return l, err
	}
	for _, c := range d.Clients {
		client, err := c.level()
		if err != nil {
			return l, err
		}
		l.Clients = append(l.Clients, client)
	}
	if d.Latency.Histogram == "" {
		return l, nil
	}
	if l.Latency, err = hdrhistogram.Decode([]byte(d.Latency.Histogram)); err != nil {
		return l, fmt.Errorf("histogram: %w", err)
	}
	if n := uint64(l.Latency.TotalCount()); n != d.Requests {
		return l, fmt.Errorf("%d latencies of %d requests in the histogram", n, d.Requests)
	}
	return l, nil
}

func cpuOf(cores *float64, window time.Duration) *CPU {
	if cores == nil {
		return nil
	}
	return &CPU{Used: time.Duration(*cores * float64(window)), Elapsed: window}
}
