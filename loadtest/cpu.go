package loadtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"rampart/loadtest/host"
	"rampart/loadtest/inject"
	"rampart/loadtest/result"
)

// A CPUMeter returns the processor time, user and system, that something has used so far.
type CPUMeter = host.Meter

// usage meters processor time between the edges of a window. The zero value of meter: nothing is
// known.
type usage struct {
	meter CPUMeter
	since time.Time // when the window opened
	begun time.Duration
	spent *result.CPU // set when the window has closed
	err   error
}

// edge takes a reading; the first opens the window, the second closes it. What the first one
// complains of was before the window, so it is asked again.
func (u *usage) edge() {
	if u.meter == nil || u.err != nil {
		return
	}
	used, err := u.meter()
	if err != nil && u.since.IsZero() {
		used, err = u.meter()
	}
	now := time.Now()
	switch {
	case err != nil:
		u.err = err
	case u.since.IsZero():
		u.since, u.begun = now, used
	case used < u.begun:
		u.err = fmt.Errorf("it went back, from %v to %v", u.begun, used)
	case now.After(u.since):
		u.spent = &result.CPU{Used: used - u.begun, Elapsed: now.Sub(u.since)}
	}
}

// unknown says why nothing is known of what was spent; empty: it is known, or nobody asked.
func (u *usage) unknown() string {
	if u.err == nil {
		return ""
	}
	return u.err.Error()
}

// errNoMeter says that a server does not tell its processor time.
var errNoMeter = errors.New("no process_cpu_seconds_total")

// cpuMetric is the name under which Prometheus clients in all languages export processor time.
const cpuMetric = "process_cpu_seconds_total"

// metricsCPU meters the server that c leads to, at address, by its /metrics page: where a name
// leads to several servers, that of another one would be wrong.
func metricsCPU(ctx context.Context, c inject.HTTPConfig, address string) CPUMeter {
	page := *c.URL
	page.Path, page.RawPath, page.RawQuery = "/metrics", "", ""
	network := "tcp"
	if c.Socket != "" {
		network = "unix"
	}
	name := c.Header.Get("Host")
	transport := &http.Transport{
		DisableKeepAlives: true, // an idle connection would occupy a worker of the server
		TLSClientConfig:   c.TLS(cmp.Or(c.ServerName, (&url.URL{Host: name}).Hostname())),
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}
	client := &http.Client{
		Timeout: 5 * time.Second, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // to another server
	}
	return func() (time.Duration, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, page.String(), nil)
		if err != nil {
			return 0, err
		}
		req.Host = name
		resp, err := client.Do(req)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return 0, errNoMeter
		}
		seconds, err := sumMetric(resp.Body, cpuMetric)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", inject.Display(&page), err)
		}
		if seconds == 0 {
			return 0, errNoMeter
		}
		return time.Duration(seconds * float64(time.Second)), nil
	}
}

// serverCPU returns a meter for the server that c leads to, at address: by its processes where they
// are on this machine and can be seen, else by its metrics. Where neither is possible, the meter
// says why. told: it is by the metrics.
func serverCPU(ctx context.Context, c inject.HTTPConfig, address string) (meter CPUMeter, told bool) {
	meter = host.ServerCPU(address, host.Launch{})
	_, unseen := meter()
	if unseen == nil {
		return meter, false
	}
	meter = metricsCPU(ctx, c, address)
	_, untold := meter()
	if untold == nil {
		return meter, true
	}
	return unknownCPU(fmt.Errorf("%w; at /metrics: %w", unseen, untold)), false
}

// Metered returns e with what can be known of the processors that its server uses. Target is one of
// [HTTP], or of [inject.NewHTTP], and has answered, as Probe shows; e stays as it is with another
// one. A nil ServerCPU becomes the time of the server's processes where they are on this machine
// and can be seen, else what the server has at /metrics as process_cpu_seconds_total, for which it
// is asked until ctx ends. Where neither can be had, each level says why. A server on another
// machine is not taken for one of the programs that use this one beside the injector.
func (e Experiment) Metered(ctx context.Context) Experiment {
	target, is := e.Target.(*inject.HTTP)
	if !is {
		return e
	}
	if e.ServerCPU == nil {
		e.ServerCPU, e.told = serverCPU(ctx, target.Config(), target.Address())
	}
	e.apart = host.Elsewhere(target.Address())
	return e
}

// unknownCPU meters what cannot be known.
func unknownCPU(reason error) CPUMeter {
	return func() (time.Duration, error) { return 0, reason }
}
