package result

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"rampart/loadtest/capacity"
	"rampart/loadtest/inject"
)

// JSONVersion is the version of the document that [JSON] writes. It changes when a field changes
// its meaning or goes away, not when one is added.
const JSONVersion = 1

// The document. Field names carry their units; loadtest/README.md describes it.
type (
	document struct {
		Version  int             `json:"version"`
		Kind     string          `json:"kind"`
		Rampart  string          `json:"rampart"`
		Started  time.Time       `json:"started"`
		Elapsed  time.Duration   `json:"elapsed_ns"`
		Target   string          `json:"target"`
		Address  string          `json:"address,omitempty"`
		Others   []string        `json:"other_addresses,omitempty"`
		Settings []Setting       `json:"settings"`
		Machine  Machine         `json:"machine"`
		Stop     *documentStop   `json:"stop,omitempty"`
		Capacity *documentBest   `json:"capacity,omitempty"`
		KneeVUs  int             `json:"knee_vus,omitempty"`
		KneeLow  int             `json:"knee_vus_lower,omitempty"`
		KneeHigh int             `json:"knee_vus_upper,omitempty"`
		Doubts   *Doubts         `json:"doubts,omitempty"` // of the whole ramp
		Model    *documentModel  `json:"scalability,omitempty"`
		Seed     uint64          `json:"seed,omitempty"`
		NextVUs  int             `json:"next_vus,omitempty"`
		Levels   []documentLevel `json:"levels"`
	}
	documentStop struct {
		Reason capacity.StopReason `json:"reason"`
		Detail string              `json:"detail"`
	}
	documentBest struct {
		VUs        int      `json:"vus"`
		Throughput float64  `json:"req_per_s"`
		Lower      *float64 `json:"lower,omitempty"`
		Upper      *float64 `json:"upper,omitempty"`
		Rounds     int      `json:"rounds,omitempty"` // only a confident ramp has them
	}
	// documentModel has the reason why there is no model, or the model.
	documentModel struct {
		Refused        string             `json:"refused,omitempty"`
		Lambda         *documentParameter `json:"lambda,omitempty"`
		Sigma          *documentParameter `json:"sigma,omitempty"`
		Kappa          *documentParameter `json:"kappa,omitempty"`
		Peak           *documentParameter `json:"peak_vus,omitempty"`
		PeakThroughput *documentParameter `json:"peak_req_per_s,omitempty"`
		NoPeak         string             `json:"no_peak,omitempty"`
	}
	documentParameter struct {
		Value float64 `json:"value"`
		Lower float64 `json:"lower"`
		Upper float64 `json:"upper"`
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
		Lower      *float64          `json:"lower,omitempty"`
		Upper      *float64          `json:"upper,omitempty"`
		Failed     uint64            `json:"failed"`
		Failures   map[string]uint64 `json:"failures"`
		Statuses   map[string]uint64 `json:"statuses,omitempty"` // of all complete answers
		Latency    documentLatency   `json:"latency"`
		ServerCPU  *float64          `json:"server_cpu_ns_per_op,omitempty"`
		NoServer   string            `json:"server_cpu_unknown,omitempty"`
		ClientCPU  *float64          `json:"client_cpu_ns_per_op,omitempty"`
		Injector   documentInjector  `json:"injector"`
		Doubts     Doubts            `json:"doubts"`
		Rounds     []documentRound   `json:"rounds,omitempty"`
		ByRequest  []documentAsked   `json:"by_request,omitempty"` // of single requests, where there are several
		Clients    []documentLevel   `json:"clients,omitempty"`
	}
	documentRound struct {
		Round      int           `json:"round"`
		At         time.Duration `json:"at_ns"`
		Length     time.Duration `json:"window_ns"`
		Requests   uint64        `json:"requests"`
		Throughput float64       `json:"req_per_s"`
		P95        time.Duration `json:"p95_ns"`
	}
	documentInjector struct {
		Busy   float64       `json:"busy"`
		Delay  time.Duration `json:"delay_ns"`
		CPU    *float64      `json:"cpu_cores,omitempty"`
		Stolen *float64      `json:"stolen_cores,omitempty"`
		Others *float64      `json:"others_cores,omitempty"`
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

// JSON writes the result as one versioned document. Latency histograms, in microseconds, are in it
// in the compressed V2 encoding of HdrHistogram, which keeps what percentiles lose: results can be
// merged, and other tools can read them.
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
		Address:  r.Address,
		Others:   r.Others,
		Settings: r.Settings,
		Machine:  r.Machine,
		NextVUs:  r.NextVUs,
		Seed:     r.Seed,
		Levels:   []documentLevel{},
	}
	if r.Stop.Reason != "" {
		d.Stop = &documentStop{r.Stop.Reason, r.Stop.Detail}
	}
	if best, ok := r.Capacity(); ok && r.Kind == KindRamp {
		d.Capacity = &documentBest{VUs: best.VUs, Throughput: r.CapacityThroughput()}
	}
	d.KneeVUs, _ = r.Knee()
	if e := r.Estimate; e != nil && d.Capacity != nil {
		d.Capacity.Lower, d.Capacity.Upper = bounds(e.Lower, e.Upper)
		d.Capacity.Rounds = e.Rounds
		d.KneeLow, d.KneeHigh = e.KneeLower, e.KneeUpper
	}
	if r.Kind == KindRamp {
		all := append(Doubts{}, r.Doubts...)
		d.Doubts = &all
	}
	if r.Scalability != nil {
		d.Model = newDocumentModel(*r.Scalability)
	}
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

func newDocumentModel(s capacity.Scalability) *documentModel {
	if s.Refused != "" {
		return &documentModel{Refused: s.Refused}
	}
	of := func(p capacity.Parameter) *documentParameter {
		d := documentParameter(p)
		return &d
	}
	d := &documentModel{Lambda: of(s.Lambda), Sigma: of(s.Sigma), Kappa: of(s.Kappa), NoPeak: s.NoPeak}
	if s.NoPeak == "" {
		d.Peak, d.PeakThroughput = of(s.Peak), of(s.PeakThroughput)
	}
	return d
}

func (d documentModel) scalability() *capacity.Scalability {
	of := func(p *documentParameter) (q capacity.Parameter) {
		if p != nil {
			q = capacity.Parameter(*p)
		}
		return q
	}
	return &capacity.Scalability{
		Refused: d.Refused, NoPeak: d.NoPeak, Lambda: of(d.Lambda), Sigma: of(d.Sigma), Kappa: of(d.Kappa),
		Peak: of(d.Peak), PeakThroughput: of(d.PeakThroughput),
	}
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
		Statuses:   l.Answers.Statuses(),
		ServerCPU:  perRequest(l.ServerCPU, x),
		NoServer:   l.NoServerCPU,
		ClientCPU:  perRequest(l.ClientCPU, x),
		Injector: documentInjector{
			Busy: l.Strain.Busy, Delay: l.Strain.Delay, CPU: cores(l.ClientCPU), Stolen: cores(l.Stolen),
			Others: cores(l.Others),
		},
		Doubts: append(Doubts{}, l.Doubts...),
	}
	d.Lower, d.Upper = bounds(l.Lower, l.Upper)
	if !l.Started.IsZero() {
		d.Started = l.Started.UnixNano()
	}
	for _, r := range l.Rounds {
		d.Rounds = append(d.Rounds, documentRound(r))
	}
	for _, c := range l.Clients {
		client, err := newDocumentLevel(c)
		if err != nil {
			return d, err
		}
		d.Clients = append(d.Clients, client)
	}
	var err error
	if d.ByRequest, err = askedOfLevel(l.Asked); err != nil {
		return d, err
	}
	d.Latency, err = newDocumentLatency(l.Measurement)
	return d, err
}

func newDocumentLatency(m inject.Measurement) (documentLatency, error) {
	d := documentLatency{
		Mean: m.Mean(),
		P50:  m.Quantile(0.5),
		P95:  m.Quantile(0.95),
		P99:  m.Quantile(0.99),
		Max:  m.Quantile(1),
	}
	if m.Latency == nil {
		return d, nil
	}
	histogram, err := m.Latency.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	d.Histogram = string(histogram)
	return d, err
}

// bounds are those of an interval, of which the lower one may be 0; nil: there is none.
func bounds(lower, upper float64) (*float64, *float64) {
	if upper == 0 {
		return nil, nil
	}
	return &lower, &upper
}

// ends are what [bounds] was given.
func ends(lower, upper *float64) (float64, float64) {
	if lower == nil || upper == nil {
		return 0, 0
	}
	return *lower, *upper
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

// ReadJSON reads what [JSON] or [JSONLine] has written. CPU times are those of the window, with the
// precision that the document has. The error says that it is no result, more than one, or of a
// version that this program does not know.
func ReadJSON(r io.Reader) (Result, error) {
	var d document
	if err := decodeOne(r, "result.json", &d); err != nil {
		return Result{}, err
	}
	switch {
	case d.Version != JSONVersion:
		return Result{}, fmt.Errorf("result.json of version %d: want %d", d.Version, JSONVersion)
	case d.Kind == KindDuel:
		return Result{}, errors.New(
			"a document of kind \"duel\" is no result of levels: want result.json, of kind \"ramp\" or \"levels\"",
		)
	}
	result := Result{
		Kind:     d.Kind,
		Version:  d.Rampart,
		Started:  d.Started,
		Elapsed:  d.Elapsed,
		Target:   d.Target,
		Address:  d.Address,
		Others:   d.Others,
		Settings: d.Settings,
		Machine:  d.Machine,
		NextVUs:  d.NextVUs,
		Seed:     d.Seed,
	}
	if d.Doubts != nil && len(*d.Doubts) > 0 {
		result.Doubts = *d.Doubts
	}
	if c := d.Capacity; c != nil && c.Rounds > 0 {
		result.Estimate = &capacity.Estimate{
			VUs: c.VUs, Throughput: c.Throughput, Rounds: c.Rounds,
			Knee: d.KneeVUs, KneeLower: d.KneeLow, KneeUpper: d.KneeHigh,
		}
		result.Estimate.Lower, result.Estimate.Upper = ends(c.Lower, c.Upper)
		for _, l := range d.Levels {
			if l.Accepted {
				result.Estimate.Accepted = append(result.Estimate.Accepted, l.VUs)
			}
		}
	}
	if d.Model != nil {
		result.Scalability = d.Model.scalability()
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
			VUs:        d.VUs,
			Warmup:     d.Warmup,
			Window:     d.Window,
			Requests:   d.Requests,
			Completed:  d.Completed,
			LatencySum: d.Latency.Mean * time.Duration(d.Requests),
			Strain:     inject.Strain{Busy: d.Injector.Busy, Delay: d.Injector.Delay},
		},
		Accepted: d.Accepted,
		Partial:  d.Partial,
		Doubts:   d.Doubts,

		NoServerCPU: d.NoServer,
		StartSkew:   d.StartSkew,
		ClientCPU:   cpuOf(d.Injector.CPU, d.Window),
		Stolen:      cpuOf(d.Injector.Stolen, d.Window),
		Others:      cpuOf(d.Injector.Others, d.Window),
	}
	l.Lower, l.Upper = ends(d.Lower, d.Upper)
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
	if l.Answers, err = inject.AnswersByStatus(d.Statuses); err != nil {
		return l, err
	}
	if l.Asked, err = askedOf(d.ByRequest); err != nil {
		return l, err
	}
	for _, r := range d.Rounds {
		l.Rounds = append(l.Rounds, Round(r))
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
