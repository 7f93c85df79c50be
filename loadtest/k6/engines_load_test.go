//go:build load

package k6

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/inject"
)

// TestEnginesAgree loads one server with both engines in turns. Other load on the machine comes and
// goes, so a ratio is one of neighbors in time, and the median of several decides. make engines
// runs it.
func TestEnginesAgree(t *testing.T) {
	needK6(t)
	if testing.Short() {
		t.Skip("takes a minute")
	}
	percent, err := strconv.ParseFloat(cmp.Or(os.Getenv("TOLERANCE"), "10"), 64)
	require.NoError(t, err, "TOLERANCE")
	tolerance := percent / 100
	rounds, err := strconv.Atoi(cmp.Or(os.Getenv("ROUNDS"), "5"))
	require.NoError(t, err, "ROUNDS")
	window, err := time.ParseDuration(cmp.Or(os.Getenv("DURATION"), "1s"))
	require.NoError(t, err, "DURATION")

	u, err := url.Parse(slow(t))
	require.NoError(t, err)
	config := inject.HTTPConfig{URL: u}
	target, err := inject.NewHTTP(config)
	require.NoError(t, err)
	k6, err := New(config)
	require.NoError(t, err)
	engines := []func(context.Context, inject.Load) (inject.Measurement, error){
		func(ctx context.Context, l inject.Load) (inject.Measurement, error) {
			return inject.Run(ctx, target, l)
		},
		k6.Inject,
	}

	rps, p95, own := make(map[int][]float64), make(map[int][]float64), make(map[int][]float64)
	levels := []int{1, 4, 8}
	fmt.Println("round vus builtin/s k6/s ratio p95/ms(builtin) p95/ms(k6) ratio")
	for round := range rounds {
		for i, vus := range levels {
			var m [2]inject.Measurement
			for turn := range m {
				which := (round + i + turn) % 2 // who is first this time is second the next time
				m[which], err = engines[which](t.Context(), inject.Load{
					VUs: vus, Warmup: 200 * time.Millisecond, Window: window, Timeout: 10 * time.Second,
				})
				require.NoError(t, err)
				require.Zero(t, m[which].Failures.Total(), "%v", m[which].Failures.ByName())
			}
			a, b := m[0].Throughput(), m[1].Throughput()
			c, d := m[0].Quantile(0.95).Seconds(), m[1].Quantile(0.95).Seconds()
			rps[vus], p95[vus] = append(rps[vus], b/a), append(p95[vus], d/c)
			// The time of a VU that is in no latency.
			own[vus] = append(own[vus], 1000*(float64(vus)/b-m[1].Mean().Seconds()))
			fmt.Printf("%5d %3d %9.1f %9.1f %.3f %9.3f %9.3f %.3f\n", round+1, vus, a, b, b/a, 1000*c, 1000*d, d/c)
		}
	}
	for _, vus := range levels {
		r, p := median(rps[vus]), median(p95[vus])
		fmt.Printf("%d vus, k6 / builtin, median of %d rounds: throughput %.3f, p95 %.3f; "+
			"k6 itself between two requests: %.3f ms\n",
			vus, rounds, r, p, median(own[vus]))
		if max(r, 1/r, p, 1/p) > 1+tolerance {
			t.Errorf("%d vus: the engines differ by more than %v %%", vus, percent)
		}
	}
}

func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// slow starts a server in a process of its own, so that its scheduler is not the injector's, and
// returns its URL.
func slow(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	server := exec.Command(self)
	server.Env = append(slices.Clone(os.Environ()), actAs+"=server")
	server.Stderr = os.Stderr
	stdin, err := server.StdinPipe()
	require.NoError(t, err)
	stdout, err := server.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, server.Start())
	t.Cleanup(func() { stdin.Close(); server.Wait() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(line)
}
