package loadtest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"rampart/loadtest/inject"
	"rampart/loadtest/report"
)

// A CPUMeter returns the processor time, user and system, that something has used so far.
type CPUMeter func() (time.Duration, error)

// usage meters processor time between the edges of a window. The zero value of meter: nothing is known.
type usage struct {
	meter CPUMeter
	since time.Time // when the window opened
	begun time.Duration
	spent *report.CPU // set when the window has closed
	err   error
}

// edge takes a reading; the first opens the window, the second closes it.
func (u *usage) edge() {
	if u.meter == nil || u.err != nil {
		return
	}
	used, err := u.meter()
	now := time.Now()
	switch {
	case err != nil:
		u.err = err
	case u.since.IsZero():
		u.since, u.begun = now, used
	case now.After(u.since):
		u.spent = &report.CPU{Used: used - u.begun, Elapsed: now.Sub(u.since)}
	}
}

// ownCPU meters this process.
func ownCPU() (time.Duration, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, fmt.Errorf("processor time of this process: %w", err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), nil
}

// errNoMeter says that a server does not tell its processor time.
var errNoMeter = errors.New("no process_cpu_seconds_total")

// cpuMetric is the name under which Prometheus clients in all languages export processor time.
const cpuMetric = "process_cpu_seconds_total"

// metricsCPU meters the server that c leads to by its /metrics page.
func metricsCPU(ctx context.Context, c inject.HTTPConfig) CPUMeter {
	page := *c.URL
	page.Path, page.RawPath, page.RawQuery = "/metrics", "", ""
	transport := &http.Transport{
		DisableKeepAlives: true, // an idle connection would occupy a worker of the server
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: c.Insecure},
	}
	if c.Socket != "" {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", c.Socket)
		}
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: transport}
	return func() (time.Duration, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, page.String(), nil)
		if err != nil {
			return 0, err
		}
		resp, err := client.Do(req)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return 0, errNoMeter
		}
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(resp.Body)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", inject.Display(&page), err)
		}
		var seconds float64
		for _, m := range families[cpuMetric].GetMetric() {
			seconds += m.GetCounter().GetValue() + m.GetUntyped().GetValue()
		}
		if seconds == 0 {
			return 0, errNoMeter
		}
		return time.Duration(seconds * float64(time.Second)), nil
	}
}

// serverCPU returns a meter for the server that c leads to, at address: by its processes where they are on this machine and
// can be seen, else by its metrics; nil where neither is possible.
func serverCPU(ctx context.Context, c inject.HTTPConfig, address string) CPUMeter {
	if meter := listenerCPU(address); meter != nil {
		return meter
	}
	meter := metricsCPU(ctx, c)
	if _, err := meter(); err != nil {
		return nil
	}
	return meter
}
