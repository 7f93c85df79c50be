//go:build !load

package loadtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/inject"
	"rampart/loadtest/report"
	"rampart/loadtest/verdict"
)

// contenderEnv makes this test binary a server of a duel: it holds what is wrong with it.
const contenderEnv = "RAMPART_TEST_CONTENDER"

// serveAsContender serves at the address in the arguments. A request spins for the microseconds in its query.
func serveAsContender(flaw string) {
	l, err := net.Listen("tcp", os.Args[1])
	must(err)
	var served atomic.Int64
	must(http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := served.Add(1)
		spin, _ := time.ParseDuration(r.URL.Query().Get("spin"))
		for begun := time.Now(); time.Since(begun) < spin; {
		}
		switch {
		case flaw == "fails" && n%50 == 0:
			fmt.Fprintln(os.Stderr, "I am tired")
			http.Error(w, "tired", http.StatusServiceUnavailable)
		case flaw == "hangs" && n > 5, flaw == "stalls" && n%500 == 0:
			<-r.Context().Done()
		case flaw == "dies" && n == 50:
			fmt.Fprintln(os.Stderr, "out of memory")
			os.Exit(7)
		}
	})))
}

// contender is the command of a server with a flaw.
func contender(flaw string) Contender {
	return Contender{Command: fmt.Sprintf("%s=%s exec %s {addr}", contenderEnv, flaw, os.Args[0])}
}

// shortDuel is a duel of a second or two, with few blocks and not much load.
func shortDuel(t *testing.T, baseline, candidate Contender) Duel {
	t.Helper()
	return Duel{
		Baseline: baseline, Candidate: candidate, Request: requestOf(t, "/?spin=100us"),
		Side: 30 * time.Millisecond, Looks: []int{6}, Timeout: 5 * time.Second, Seed: 7,
		warmup: 10 * time.Millisecond,
	}
}

// requireNoContender holds that no server of a duel is left.
func requireNoContender(t *testing.T) {
	t.Helper()
	commands, err := filepath.Glob("/proc/[0-9]*/environ")
	require.NoError(t, err)
	for _, path := range commands {
		environment, _ := os.ReadFile(path)
		require.NotContains(t, string(environment), contenderEnv+"=", path)
	}
}

func TestDuelOfEquals(t *testing.T) {
	d := shortDuel(t, contender("none"), contender("none"))
	var lines []string
	d.OnBlock = func(r DuelResult) { lines = append(lines, report.DuelLine(r)) }
	result, err := d.Run(t.Context())
	require.NoError(t, err)
	require.Len(t, result.Blocks, 6)
	require.Len(t, lines, 6)
	// Not the verdict, which may be wrong once in twenty times, and only short blocks on a busy machine stand behind it.
	require.InDelta(t, 0, result.Rows[0].Estimate, 0.5)
	require.EqualValues(t, 7, result.Seed)
	require.GreaterOrEqual(t, result.Slice, shortestSlice)
	first := 0
	for i, b := range result.Blocks {
		require.Equal(t, i+1, b.Number)
		if b.CandidateFirst {
			first++
		}
		for _, s := range b.Sides {
			require.Zero(t, s.Failures.Total())
			require.Positive(t, s.Kept.Requests)
			require.Less(t, s.Kept.Requests, s.Requests, "a tenth of the pairs is dropped")
			require.EqualValues(t, s.Requests, s.Latency.TotalCount())
		}
	}
	require.NotContains(t, []int{0, 6}, first, "who starts first is drawn")
	requireNoContender(t)

	files, err := NewFiles(t.TempDir(), time.Now())
	require.NoError(t, err)
	require.NoError(t, files.WriteDuel(result))
	for side := range report.SideNames {
		text, err := os.ReadFile(files.DuelPath(side))
		require.NoError(t, err)
		require.Equal(t, 6, strings.Count(string(text), "\nBenchmarkDuel/vus="), "%s", text)
		require.Contains(t, string(text), "\n# rampart duel seed=7 block=6 requests=")
	}
}

// TestDuelIsDrawnFromItsSeed holds that the same seed gives the same order.
func TestDuelIsDrawnFromItsSeed(t *testing.T) {
	var orders [2][]bool
	for i := range orders {
		d := shortDuel(t, contender("none"), contender("none"))
		d.Looks = []int{4}
		result, err := d.Run(t.Context())
		require.NoError(t, err)
		for _, b := range result.Blocks {
			orders[i] = append(orders[i], b.CandidateFirst)
		}
	}
	require.Equal(t, orders[0], orders[1])
}

func TestDuelOfUnequals(t *testing.T) {
	slower := contender("none")
	slower.URI = "/?spin=2ms"
	d := shortDuel(t, contender("none"), slower)
	d.Request = requestOf(t, "/?spin=1ms") // beside which the injector has next to nothing to do
	d.Units, d.Looks = []string{"req/s"}, []int{5}
	result, err := d.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, verdict.Regressed, result.Verdict, report.DuelLine(result))
}

// TestDuelWithFailures holds that a server that answers some requests with 503 is regressed where the other does not, and a
// pass nowhere.
func TestDuelWithFailures(t *testing.T) {
	for side, want := range []verdict.Verdict{verdict.Inconclusive, verdict.Regressed} {
		contenders := [2]Contender{contender("none"), contender("none")}
		contenders[side] = contender("fails")
		d := shortDuel(t, contenders[0], contenders[1])
		d.Looks = []int{5} // the fewest that can be significant
		var outputs []string
		d.OnBlock = func(r DuelResult) { outputs = append(outputs, report.DuelOutput(r)) }
		result, err := d.Run(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, result.Verdict, result.Failures)
		require.Equal(t, 5, result.Failures.Blocks)
		counts := [2]verdict.Count{result.Failures.Baseline, result.Failures.Candidate}
		require.Zero(t, counts[1-side].Failed)
		require.Positive(t, counts[1-side].Succeeded)
		require.InEpsilon(t, 0.02, float64(counts[side].Failed)/float64(counts[side].Total()), 0.5)
		for _, b := range result.Blocks {
			require.Positive(t, b.Sides[side].Failures[inject.Status])
		}
		require.Contains(t, report.DuelLine(result), report.SideNames[side]+": ")
		require.Contains(t, outputs[0], "the last words of the "+report.SideNames[side]+":\n")
		require.Contains(t, outputs[0], "I am tired")
		require.Empty(t, outputs[1], "once is enough")
	}
}

func TestDuelWithAServerThatDies(t *testing.T) {
	result, err := shortDuel(t, contender("none"), contender("dies")).Run(t.Context())
	require.ErrorContains(t, err, "the candidate")
	require.ErrorContains(t, err, "it ended by itself (exit status 7)")
	require.ErrorContains(t, err, "out of memory")
	require.Empty(t, result.Blocks)
	require.NotEqual(t, verdict.Pass, result.Verdict)
	requireNoContender(t)
}

// TestDuelWithAServerThatHangs holds that a duel does not wait for every one of its slices to time out.
func TestDuelWithAServerThatHangs(t *testing.T) {
	d := shortDuel(t, contender("none"), contender("hangs"))
	d.Timeout = 200 * time.Millisecond
	begun := time.Now()
	_, err := d.Run(t.Context())
	require.ErrorContains(t, err, "the candidate answered none of")
	require.ErrorContains(t, err, "timeout:")
	require.Less(t, time.Since(begun), 10*time.Second)
	requireNoContender(t)
}

// TestDuelWithAServerThatStalls holds that a block ends with the first slice in which a request hung.
func TestDuelWithAServerThatStalls(t *testing.T) {
	d := shortDuel(t, contender("none"), contender("stalls"))
	d.Looks, d.Side, d.Slice, d.Timeout = []int{5}, 200*time.Millisecond, time.Millisecond, 300*time.Millisecond
	result, err := d.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, verdict.Regressed, result.Verdict, result.Failures)
	for _, b := range result.Blocks {
		base, candidate := b.Sides[0], b.Sides[1]
		require.Zero(t, base.Failures.Total())
		require.EqualValues(t, 1, candidate.Failures[inject.Timeout])
	}
	requireNoContender(t)
}

func TestDuelIsCanceled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	d := shortDuel(t, contender("none"), contender("none"))
	d.OnBlock = func(r DuelResult) {
		if len(r.Blocks) == 2 {
			time.AfterFunc(50*time.Millisecond, func() { cancel(why) })
		}
	}
	result, err := d.Run(ctx)
	require.ErrorIs(t, err, why)
	require.Len(t, result.Blocks, 2, "finished ones are kept")
	requireNoContender(t)
}

// TestStartCommandEndsItsGroup holds that what a shell started ends with it.
func TestStartCommandEndsItsGroup(t *testing.T) {
	server, err := startCommand(affinity{}, "sleep 1000 & echo $!; wait")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return server.output.String() != "" }, 30*time.Second, time.Millisecond)
	pid := strings.TrimSpace(server.output.String())
	require.NoError(t, server.end())
	require.Eventually(t, func() bool { return exec.Command("kill", "-0", pid).Run() != nil }, 30*time.Second, time.Millisecond)
}
