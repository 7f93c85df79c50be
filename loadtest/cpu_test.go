//go:build !load

package loadtest

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/inject"
)

func TestMetricsCPU(t *testing.T) {
	page := `# HELP process_cpu_seconds_total Total user and system CPU time spent in seconds.
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 12.5
`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" || r.URL.RawQuery != "" {
			http.NotFound(w, r)
			return
		}
		w.Write([]byte(page))
	}))
	defer server.Close()
	u, err := url.Parse(server.URL + "/work?a=b")
	require.NoError(t, err)
	meter := metricsCPU(t.Context(), inject.HTTPConfig{URL: u}, u.Host)

	used, err := meter()
	require.NoError(t, err)
	require.Equal(t, 12500*time.Millisecond, used)

	page = "process_cpu_seconds_total{worker=\"1\"} 1\nprocess_cpu_seconds_total{worker=\"2\"} 2\n"
	used, err = meter()
	require.NoError(t, err)
	require.Equal(t, 3*time.Second, used, "untyped and per worker")

	for _, page = range []string{"", "up 1\n", "<html>not found</html>"} {
		_, err = meter()
		require.Error(t, err, page)
	}
	server.Config.Handler = http.NotFoundHandler()
	_, err = meter()
	require.ErrorIs(t, err, errNoMeter)
}

func TestUsage(t *testing.T) {
	var spent time.Duration
	u := usage{meter: func() (time.Duration, error) { return spent, nil }}
	u.edge()
	spent = 5 * time.Millisecond
	time.Sleep(2 * time.Millisecond)
	u.edge()
	require.Equal(t, 5*time.Millisecond, u.spent.Used)
	require.GreaterOrEqual(t, u.spent.Elapsed, 2*time.Millisecond)

	broken := usage{meter: func() (time.Duration, error) { return 0, errNoMeter }}
	broken.edge()
	broken.edge()
	require.Nil(t, broken.spent)

	var unknown usage
	unknown.edge()
	require.Nil(t, unknown.spent)
}

// TestMetered holds where the processor time of a server comes from, and that a meter that is there
// stays.
func TestMetered(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/metrics" {
			io.WriteString(w, "process_cpu_seconds_total 12.5\n")
		}
	}))
	defer server.Close()
	target, err := HTTP(server.URL + "/work")
	require.NoError(t, err)
	e := Experiment{Target: target}.Metered(t.Context())
	used, err := e.ServerCPU() // not by its processes: this one serves itself
	require.NoError(t, err)
	require.Equal(t, 12500*time.Millisecond, used)
	require.True(t, e.told)
	require.False(t, e.apart)

	own := func() (time.Duration, error) { return time.Second, nil }
	e = Experiment{Target: target, ServerCPU: own}.Metered(t.Context())
	used, err = e.ServerCPU()
	require.NoError(t, err)
	require.Equal(t, time.Second, used)
	require.False(t, e.told)

	e = Experiment{Target: Func(func(context.Context) error { return nil })}.Metered(t.Context())
	require.Nil(t, e.ServerCPU, "there is no server")
}
