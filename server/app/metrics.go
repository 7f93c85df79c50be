package app

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// buckets are the upper bounds of the duration histogram in seconds; one without bound comes after
// the last.
var buckets = [...]float64{
	0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
}

// The words in which a process counts: requests by code and duration, sum of durations.
//
// A request is one word, whose place is its code and its bucket together. With a word for the code
// and another one for the duration, a process that is killed between the two would leave two counts
// of requests that never agree again.
const (
	firstCode, lastCode = 100, 599
	codes, durations    = lastCode - firstCode + 1, len(buckets) + 1

	cellNanos = codes * durations

	// NumCounters is how many counters a process needs. They only grow.
	NumCounters = cellNanos + 1
)

// cell is the word of the requests with a code and a duration.
func cell(code int, took time.Duration) int {
	bucket := 0
	for bucket < len(buckets) && took.Seconds() > buckets[bucket] {
		bucket++
	}
	return (min(max(code, firstCode), lastCode)-firstCode)*durations + bucket
}

const (
	gaugeInFlight = iota
	// NumGauges is how many gauges a process needs. They end with the process.
	NumGauges
)

// metrics counts requests in shared words and shows the sum over all processes.
type metrics struct {
	Options
}

// count counts the requests that next serves. A request is counted when its handler has returned
// and before the end of its answer is sent, so who has an answer finds it counted.
func (m *metrics) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		m.Gauges[gaugeInFlight].Add(1)
		s := &statusWriter{ResponseWriter: w}
		// A handler that panics has no answer sent for it; net/http closes the connection.
		s.code = http.StatusInternalServerError
		defer func() {
			m.add(s.code, time.Since(begun))
			m.Gauges[gaugeInFlight].Add(^uint64(0))
		}()
		next.ServeHTTP(s, r)
		if !s.wrote {
			s.code = http.StatusOK
		}
	})
}

func (m *metrics) add(code int, took time.Duration) {
	m.Counters[cell(code, took)].Add(1)
	m.Counters[cellNanos].Add(uint64(took))
}

// statusWriter keeps the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	code  int
	wrote bool
}

func (s *statusWriter) WriteHeader(code int) {
	if !s.wrote && code >= 200 { // after 1xx the real one is to come
		s.code, s.wrote = code, true
	}
	s.ResponseWriter.WriteHeader(code)
}

func (s *statusWriter) Write(b []byte) (int, error) {
	if !s.wrote {
		s.code, s.wrote = http.StatusOK, true
	}
	return s.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (m *metrics) handler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(m)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// What /metrics shows, under the names that Prometheus clients use where they have one.
var (
	requestsDesc = prometheus.NewDesc("http_requests_total",
		"Requests answered, by code, over all workers; without those to /healthz, /metrics and /admin.", []string{"code"},
		nil)
	durationDesc = prometheus.NewDesc("http_request_duration_seconds",
		"Time from a request's header read to its handler's end, over all workers; of the same requests.", nil, nil)
	inFlightDesc = prometheus.NewDesc("http_requests_in_flight",
		"Requests whose handlers run now, over all workers.", nil, nil)
	cpuDesc = prometheus.NewDesc("process_cpu_seconds_total",
		"User and system CPU time of all workers, also those that are dead.", nil, nil)
	startDesc = prometheus.NewDesc("process_start_time_seconds",
		"Start time of the service since the Unix epoch.", nil, nil)
	restartsDesc = prometheus.NewDesc("rampart_worker_restarts_total",
		"Workers started because another one had died.", nil, nil)
)

// Describe implements prometheus.Collector.
func (m *metrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{requestsDesc, durationDesc, inFlightDesc, cpuDesc, startDesc, restartsDesc} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	sums := sum(m.AllCounters(), NumCounters)
	var byDuration [durations]uint64
	for i := range codes {
		var n uint64
		for bucket, in := range sums[i*durations : (i+1)*durations] {
			n += in
			byDuration[bucket] += in
		}
		if code := firstCode + i; n > 0 || code == http.StatusOK { // from the start, so that a rate knows its first step
			to <- prometheus.MustNewConstMetric(requestsDesc, prometheus.CounterValue, float64(n), strconv.Itoa(code))
		}
	}
	var count uint64
	cumulative := make(map[float64]uint64, len(buckets))
	for i, bound := range buckets {
		count += byDuration[i]
		cumulative[bound] = count
	}
	count += byDuration[len(buckets)]
	to <- prometheus.MustNewConstHistogram(durationDesc, count, time.Duration(sums[cellNanos]).Seconds(), cumulative)
	to <- prometheus.MustNewConstMetric(inFlightDesc, prometheus.GaugeValue,
		float64(sum(m.AllGauges(), NumGauges)[gaugeInFlight]))
	to <- prometheus.MustNewConstMetric(cpuDesc, prometheus.CounterValue, m.CPUTime().Seconds())
	to <- prometheus.MustNewConstMetric(startDesc, prometheus.GaugeValue, float64(m.Started.UnixNano())/1e9)
	to <- prometheus.MustNewConstMetric(restartsDesc, prometheus.CounterValue, float64(m.Restarts()))
}

// sum adds the words of all processes, place by place.
func sum(all [][]atomic.Uint64, n int) []uint64 {
	sums := make([]uint64, n)
	for _, words := range all {
		for i := range sums {
			sums[i] += words[i].Load()
		}
	}
	return sums
}
