//go:build !load

package loadtest

import (
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/capacity"
	"rampart/loadtest/slo"
)

// TestObjectiveOfARealServer has a server that serves 16 requests at a time, each for 5 ms. The
// ramp finds the most load with p99 < 20 ms within 5 %. With how many VUs that is depends on the
// tail that the machine adds.
func TestObjectiveOfARealServer(t *testing.T) {
	if os.Getenv("TRUTH") == "" {
		t.Skip("holds on a machine that does nothing else: make truth")
	}
	const slots, service = 16, 5 * time.Millisecond
	var spent, served atomic.Int64
	free := make(chan struct{}, slots)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		free <- struct{}{}
		begun := time.Now()
		time.Sleep(service)
		spent.Add(int64(time.Since(begun)))
		served.Add(1)
		<-free
	}))
	defer server.Close()
	target, err := HTTP(server.URL)
	require.NoError(t, err)
	objectives, err := slo.Parse("p99<20ms")
	require.NoError(t, err)
	res, err := Ramp{
		Rule: RuleConfident, SLO: objectives, MaxVUs: 1024,
		Experiment: Experiment{Target: target, Window: 2 * time.Second, Warmup: 200 * time.Millisecond},
	}.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, capacity.SLO, res.Stop.Reason, res.Stop.Detail)

	took := time.Duration(spent.Load() / served.Load()) // the server's own record
	wanted := slots / took.Seconds()
	kept := 0
	for _, l := range res.Levels {
		if objectives.Err(l.Measurement) == nil {
			kept = max(kept, l.VUs)
		}
	}
	t.Logf("a service took %v; up to %d vus keep it; %.0f requests/s (%.0f to %.0f), %.0f are known", took, kept,
		res.Estimate.Throughput, res.Estimate.Lower, res.Estimate.Upper, wanted)
	require.InEpsilon(t, wanted, res.Estimate.Throughput, 0.05)
	require.GreaterOrEqual(t, kept, slots)
}
