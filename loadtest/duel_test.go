//go:build !load

package loadtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"rampart/loadtest/gate"
	"rampart/loadtest/host"
	"rampart/loadtest/inject"
	"rampart/loadtest/report"
	"rampart/loadtest/result"
	"rampart/loadtest/verdict"
)

// contenderEnv makes this test binary a server of a duel: it holds what is wrong with it.
const contenderEnv = "RAMPART_TEST_CONTENDER"

// serveAsContender serves at the addresses in the arguments. A request spins for the microseconds
// in its query.
func serveAsContender(flaw string) {
	var served atomic.Int64
	first := sync.OnceValue(time.Now)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := served.Add(1)
		spin, _ := time.ParseDuration(r.URL.Query().Get("spin"))
		spin = time.Duration(float64(spin) * cold(flaw, time.Since(first())))
		for begun := time.Now(); time.Since(begun) < spin; {
		}
		switch {
		case flaw == "errs":
			fmt.Fprint(w, "Sorry. Try again later.")
			return
		case "fails-at"+strings.ReplaceAll(r.URL.Path, "/", "-") == flaw:
			w.WriteHeader(http.StatusTeapot)
		case flaw == "pages":
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
		case flaw == "sleeps" && n%100 == 0:
			time.Sleep(30 * time.Millisecond)
		case flaw == "fails" && n%50 == 0:
			fmt.Fprintln(os.Stderr, "I am tired")
			http.Error(w, "tired", http.StatusServiceUnavailable)
		case flaw == "hangs" && n > 5, flaw == "stalls" && n%500 == 0:
			<-r.Context().Done()
		case flaw == "errs-at-times" && n%100 == 0:
			fmt.Fprint(w, "Sorry. Try again later.")
			return
		case flaw == "lies-at-times" && n%100 == 0:
			fmt.Fprint(w, strings.Repeat("An answer that took no work.   ", 100))
			return
		case flaw == "redirects" && n%10 == 0:
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(http.StatusFound)
		case flaw == "leaks":
			kept := make([]byte, leak)
			for i := range kept {
				kept[i] = 1
			}
			leakedLock.Lock()
			leaked = append(leaked, kept)
			leakedLock.Unlock()
		case flaw == "dies" && n == 50:
			fmt.Fprintln(os.Stderr, "out of memory")
			os.Exit(7)
		}
		fmt.Fprint(w, strings.Repeat("An answer that took some work. ", 100))
	})
	for _, address := range os.Args[2:] {
		go func() { must(http.ListenAndServe(address, handler)) }()
	}
	must(http.ListenAndServe(os.Args[1], handler))
}

// leaked is what a server that leaks never forgets, so many bytes of each request.
const leak = 8 << 10

var (
	leakedLock sync.Mutex
	leaked     [][]byte
)

// contender is the command of a server with a flaw.
func contender(flaw string) Contender {
	return Contender{Command: fmt.Sprintf("%s=%s exec %s {addr}", contenderEnv, flaw, os.Args[0])}
}

// always are the duels of real servers that run in each test. The others need SLOW: most of a
// minute, and from one duel to the next nearly all that is different happens in other processes.
var always = []string{"TestDuelOfEquals", "TestDuelIsCanceled", "TestDuelWithAServerThatDies"}

// shortDuel is a duel of a second or two, with few blocks and not much load.
func shortDuel(t *testing.T, baseline, candidate Contender) Duel {
	t.Helper()
	if os.Getenv("SLOW") == "" && !slices.Contains(always, t.Name()) {
		t.Skip("SKIPPED: one of many duels of real servers: make test SLOW=1")
	}
	return Duel{
		Baseline: baseline, Candidate: candidate, Request: requestOf(t, "/?spin=100us"),
		Side: 30 * time.Millisecond, Looks: []int{6}, Timeout: 5 * time.Second, Seed: 7,
		Warmup: 10 * time.Millisecond,
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
	d.OnBlock = func(r DuelResult) { lines = append(lines, report.DuelLine(r.Duel, r.Report)) }
	result, err := d.Run(t.Context())
	require.NoError(t, err)
	require.Len(t, result.Blocks, 6)
	require.Len(t, lines, 6)
	// Not the verdict, which may be wrong once in twenty times, and only short blocks on a busy
	// machine stand behind it.
	require.InDelta(t, 0, result.Report.Rows[0].Comparison.Estimate, 0.5)
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
			require.Positive(t, s.Requests)
			require.EqualValues(t, s.Requests, s.Latency.TotalCount())
		}
	}
	require.NotContains(t, []int{0, 6}, first, "who starts first is drawn")
	requireNoContender(t)

	for side := range sideNames {
		var file bytes.Buffer
		require.NoError(t, report.DuelBench(&file, result.Duel, side))
		text := file.String()
		require.Equal(t, 6, strings.Count(text, "\nBenchmarkDuel/vus="), "%s", text)
		require.Contains(t, text, "\n# rampart duel seed=7 block=6 requests=")
	}
}

// TestDuelWithWaste holds that a loss that is made is the one that was asked for, by counts and not
// by the clock.
func TestDuelWithWaste(t *testing.T) {
	const share = 0.2
	candidate := contender("none")
	candidate.Waste = share
	d := shortDuel(t, contender("none"), candidate)
	d.Looks = []int{2}
	result, err := d.Run(t.Context())
	require.NoError(t, err)
	require.Contains(t, result.Candidate, "(20 % of its requests count for nothing)")
	require.NotContains(t, result.Baseline, "count for nothing")
	for _, b := range result.Blocks {
		x, y := b.Sides[0], b.Sides[1]
		require.Zero(t, x.Wasted)
		require.InDelta(t, share*float64(y.Requests+y.Wasted), y.Wasted, float64(d.VUs+1)+1)
		spent := y.LatencySum + y.WastedSum + y.ConnectSum
		require.InEpsilon(t, float64(y.VUs)*float64(y.Requests)/spent.Seconds(), y.Throughput(), 1e-9)
		require.Positive(t, y.WastedSum)
	}

	candidate.Waste = 1
	_, err = shortDuel(t, contender("none"), candidate).Run(t.Context())
	require.ErrorContains(t, err, "block 1: the candidate: a share of 1 of the requests to count for nothing: want 0 or more")
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
	require.Equal(t, verdict.Regressed, result.Report.Verdict, report.DuelLine(result.Duel, result.Report))
}

// TestDuelSeesAWrongAnswer holds that a page of errors is no fast answer, even if its server calls
// it a success.
func TestDuelSeesAWrongAnswer(t *testing.T) {
	d := shortDuel(t, contender("none"), contender("errs"))
	d.Looks, d.Units = []int{5}, []string{"req/s"}
	d.Margins = map[string]float64{"req/s": 0.9} // passes
	result, err := d.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, verdict.Inconclusive, result.Report.Verdict, result.Report.Meaning)
	require.Equal(t, verdict.Pass, result.Report.Rows[0].Verdict)
	require.Contains(t, result.Report.Rows[1].Reason, "the answers differ: 3100 bytes on average, and 23 of the candidate")
	both := report.DuelAnswers(result.Duel, result.Report)
	require.Contains(t, both, `baseline:  HTTP/1.1 200 text/plain "An answer that took some work.`)
	require.Contains(t, both, `candidate: HTTP/1.1 200 text/plain "Sorry. Try again later."`)

	d.AnyAnswer = true
	result, err = d.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, verdict.Pass, result.Report.Verdict, result.Report.Meaning)
	require.Empty(t, report.DuelAnswers(result.Duel, result.Report))
}

// TestDuelSeesAnotherKindOfAnswer holds that answers of one length have to be of one type as well,
// and that the files say so.
func TestDuelSeesAnotherKindOfAnswer(t *testing.T) {
	d := shortDuel(t, contender("none"), contender("pages"))
	d.Looks, d.Units = []int{5}, []string{"req/s"}
	d.Margins = map[string]float64{"req/s": 0.9} // passes
	result, err := d.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, verdict.Inconclusive, result.Report.Verdict, result.Report.Meaning)
	require.Regexp(t, `answers of the candidate are of a kind of which the baseline has none: \d+ × "200 text/html", such as "An answer.*`+
		`; those of the baseline: \d+ × "200 text/plain"`, result.Report.Meaning)
	require.Contains(t, report.DuelAnswers(result.Duel, result.Report), `candidate: HTTP/1.1 200 text/html "An answer`)
	var files [2]gate.Results
	for side := range files {
		var text bytes.Buffer
		require.NoError(t, report.DuelBench(&text, result.Duel, side))
		files[side], err = gate.Parse(sideNames[side], text.Bytes())
		require.NoError(t, err)
	}
	again, err := gate.Judge(files[0], files[1], gate.Options{})
	require.NoError(t, err)
	require.Equal(t, result.Report.Gaps, again.Gaps)
	require.Equal(t, result.Report.Verdict, again.Verdict)
}

// TestDuelSeesFewWrongAnswers holds that a candidate that is wrong in every hundredth answer does
// not pass, by its length, by its content where that is compared, and by what is expected of it.
// Its first answers are right.
func TestDuelSeesFewWrongAnswers(t *testing.T) {
	expect := func(text string) inject.Expect {
		e, err := inject.ParseExpect(text)
		require.NoError(t, err)
		return e
	}
	for name, tt := range map[string]struct {
		flaw    string
		strict  bool
		expect  string
		want    verdict.Verdict
		meaning string
	}{
		"of another length":        {"errs-at-times", false, "", verdict.Inconclusive, `× 23 bytes, such as "Sorry. Try again later."`},
		"of the same length":       {"lies-at-times", false, "", verdict.Pass, ""},
		"compared":                 {"lies-at-times", true, "", verdict.Inconclusive, `such as "An answer that took no work. `},
		"with something expected":  {"lies-at-times", false, "body~some work", verdict.Regressed, "the candidate fails more often"},
		"a redirect":               {"redirects", false, "", verdict.Regressed, "the candidate fails more often"},
		"a redirect that is meant": {"redirects", false, "status=2xx,302", verdict.Inconclusive, `× "302`},
	} {
		t.Run(name, func(t *testing.T) {
			d := shortDuel(t, contender("none"), contender(tt.flaw))
			d.Looks, d.Units, d.Side = []int{5}, []string{"req/s"}, 50*time.Millisecond
			d.Margins = map[string]float64{"req/s": 0.9} // passes
			d.StrictAnswers, d.Request.Expect = tt.strict, expect(tt.expect)
			result, err := d.Run(t.Context())
			require.NoError(t, err)
			require.Equal(t, tt.want, result.Report.Verdict, result.Report.Meaning)
			require.Contains(t, result.Report.Meaning, tt.meaning)
			require.Positive(t, result.Report.Statuses.Candidate["200"])
			require.Equal(t, tt.flaw == "redirects", result.Report.Statuses.Candidate["302"] > 0)
		})
	}
}

// TestDuelSeesALeak holds that a candidate that keeps something of each request does not pass,
// though that is less than the margin of its memory in a block, and that one that does not leak is
// not blamed.
func TestDuelSeesALeak(t *testing.T) {
	for flaw, leaks := range map[string]bool{"none": false, "leaks": true} {
		t.Run(flaw, func(t *testing.T) {
			d := shortDuel(t, contender("none"), contender(flaw))
			d.Looks, d.Side = []int{7}, 100*time.Millisecond // the fewest of which one of three can be shown
			d.Units = []string{"req/s", result.MemorySize}
			d.Margins = map[string]float64{"req/s": 0.9, result.MemorySize: 0.9} // both pass
			found, err := d.Run(t.Context())
			require.NoError(t, err)
			for _, b := range found.Blocks {
				for side, s := range b.Sides {
					if s.NoMemory != "" {
						rollup, _ := os.ReadFile("/proc/self/smaps_rollup")
						require.NotContains(t, string(rollup), "\nPss:", "the kernel tells it: %s", s.NoMemory)
						t.Skip("SKIPPED: " + s.NoMemory)
					}
					require.Greater(t, s.Memory.Peak, int64(1<<20))
					if side == 1 && leaks {
						require.Greater(t, s.Growth(), leak/2.0, "%+v", s.Memory)
					}
				}
			}
			gaps := strings.Join(found.Report.Gaps, "\n")
			if leaks {
				require.NotEqual(t, verdict.Pass, found.Report.Verdict)
				require.Contains(t, gaps, "memory that does not grow with each request: that of the candidate grows by")
			} else {
				require.NotContains(t, gaps, "memory that does not grow")
			}
		})
	}
}

// TestDuelSeesATail holds that nothing is left out that few requests take long for: a candidate of
// which every hundredth sleeps for 30 ms serves a fraction of what the baseline does. Such requests
// hit fewer than a tenth of the slices.
func TestDuelSeesATail(t *testing.T) {
	d := shortDuel(t, contender("none"), contender("sleeps"))
	d.Looks, d.Side = []int{5}, 300*time.Millisecond
	d.Units = []string{"req/s"}
	result, err := d.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, verdict.Regressed, result.Report.Verdict, report.DuelLine(result.Duel, result.Report))
	// Each waits 30 ms for a hundred requests of a VU: 0.3 ms more than some tenths of a millisecond.
	require.Less(t, *result.Report.Rows[0].Change, -0.15, report.DuelLine(result.Duel, result.Report))
}

// TestDuelWithFailures holds that a server that answers some requests with 503 is regressed where
// the other does not, and a pass nowhere.
func TestDuelWithFailures(t *testing.T) {
	for side, want := range []verdict.Verdict{verdict.Inconclusive, verdict.Regressed} {
		contenders := [2]Contender{contender("none"), contender("none")}
		contenders[side] = contender("fails")
		d := shortDuel(t, contenders[0], contenders[1])
		d.Looks = []int{5} // the fewest that can be significant
		var outputs []string
		d.OnBlock = func(r DuelResult) { outputs = append(outputs, report.DuelOutput(r.Duel)) }
		result, err := d.Run(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, result.Report.Verdict, result.Report.Failures)
		require.Equal(t, 5, result.Report.Failures.Blocks)
		counts := [2]verdict.Count{countOf(result, 0), countOf(result, 1)}
		require.Zero(t, counts[1-side].Failed)
		require.Positive(t, counts[1-side].Succeeded)
		require.InEpsilon(t, 0.02, float64(counts[side].Failed)/float64(counts[side].Total()), 0.5)
		for _, b := range result.Blocks {
			require.Positive(t, b.Sides[side].Failures[inject.Status])
		}
		require.Contains(t, report.DuelLine(result.Duel, result.Report), sideNames[side]+": ")
		require.Contains(t, outputs[0], "the last words of the "+sideNames[side]+":\n")
		require.Contains(t, outputs[0], "I am tired")
		require.NotContains(t, outputs[1], "I am tired", "once is enough")
	}
}

func TestDuelWithAServerThatDies(t *testing.T) {
	result, err := shortDuel(t, contender("none"), contender("dies")).Run(t.Context())
	require.ErrorContains(t, err, "the candidate")
	require.ErrorContains(t, err, "it ended by itself (exit status 7)")
	require.ErrorContains(t, err, "out of memory")
	require.Empty(t, result.Blocks)
	require.NotEqual(t, verdict.Pass, result.Report.Verdict)
	requireNoContender(t)
}

// TestDuelWithAServerThatHangs holds that a duel does not wait for every one of its slices to time
// out.
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

// TestDuelWithAServerThatStalls holds that a block ends with the first slice in which a request
// hung.
func TestDuelWithAServerThatStalls(t *testing.T) {
	d := shortDuel(t, contender("none"), contender("stalls"))
	d.Looks, d.Side, d.Slice, d.Timeout = []int{5}, 200*time.Millisecond, time.Millisecond, 300*time.Millisecond
	result, err := d.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, verdict.Regressed, result.Report.Verdict, result.Report.Failures)
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

// TestInterruptedStartBlamesNobody: an interrupt while a server was starting showed that server's
// last words, of which there were none.
func TestInterruptedStartBlamesNobody(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	time.AfterFunc(100*time.Millisecond, func() { cancel(why) })
	never := Contender{Command: "sleep 1000 # {addr}"}
	_, err := never.start(ctx, host.Affinity{}, inject.HTTPConfig{URL: requestOf(t, "/").URL}, time.Second)
	require.ErrorIs(t, err, why)
	require.NotContains(t, err.Error(), "last words")
}

// TestStartCommandEndsItsGroup holds that what a shell started ends with it.
func TestStartCommandEndsItsGroup(t *testing.T) {
	server, err := startCommand(host.Affinity{}, "sleep 1000 & echo $!; wait")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return server.output.String() != "" }, 30*time.Second, time.Millisecond)
	pid := strings.TrimSpace(server.output.String())
	require.NoError(t, server.end())
	require.Eventually(t, func() bool { return exec.Command("kill", "-0", pid).Run() != nil }, 30*time.Second, time.Millisecond)
}

// TestStartCommandEndsWhatItDetached holds that nothing is left of a command, in whatever session
// it went, and that what ends by itself is not killed.
func TestStartCommandEndsWhatItDetached(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ended")
	server, err := startCommand(host.Affinity{}, "setsid sleep 1000 & echo $!; "+
		"setsid sh -c 'trap \"sleep 0.2; echo well >"+file+"; exit\" TERM; while :; do sleep 0.01; done' & "+
		"trap \"kill $!; exit\" TERM; echo ready; while :; do sleep 0.01; done")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return strings.Contains(server.output.String(), "ready") }, 30*time.Second,
		time.Millisecond)
	pid, _, _ := strings.Cut(server.output.String(), "\n")
	require.NoError(t, exec.Command("kill", "-0", pid).Run())
	time.Sleep(100 * time.Millisecond) // its trap is set
	require.NoError(t, server.end())
	require.Eventually(t, func() bool { return exec.Command("kill", "-0", pid).Run() != nil }, 30*time.Second,
		time.Millisecond)
	well, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "well\n", string(well))
}

// TestDuelRefusesOneServerForBoth holds that a duel never compares a server with itself, whatever
// sends it there: it would pass.
func TestDuelRefusesOneServerForBoth(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	other := path + "-link"
	require.NoError(t, os.Symlink(path, other))
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Listener.Close()
	server.Listener = l
	server.Start()
	defer server.Close()
	tcp := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer tcp.Close()
	address := tcp.Listener.Addr().String()
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	everywhere, err := net.Listen("tcp", "0.0.0.0:0")
	require.NoError(t, err)
	defer everywhere.Close()
	go http.Serve(everywhere, tcp.Config.Handler)
	_, wide, err := net.SplitHostPort(everywhere.Addr().String())
	require.NoError(t, err)
	at := func(s string) Contender { return Contender{Address: s} }
	for name, tt := range map[string]struct {
		baseline, candidate Contender
		change              func(*inject.HTTPConfig)
		want                string
	}{
		"a socket":           {contender("none"), contender("none"), func(c *inject.HTTPConfig) { c.Socket = path }, "the load of both sides would go there"},
		"an address":         {contender("none"), contender("none"), func(c *inject.HTTPConfig) { c.Address = address }, "the load of both sides would go there"},
		"the same address":   {at(address), at(address), nil, "one and the same server"},
		"by another name":    {at(address), at("http://localhost:" + port), nil, "one and the same server"},
		"mapped to IPv6":     {at(address), at("[::ffff:127.0.0.1]:" + port), nil, "one and the same server"},
		"any address":        {at("0.0.0.0:" + port), at(address), nil, "one and the same server"},
		"one of a network":   {at("127.0.0.1:" + wide), at("127.0.0.2:" + wide), nil, "one and the same server"},
		"the same socket":    {at("unix:" + path), at("unix:" + path), nil, "one and the same server"},
		"a link to a socket": {at("unix:" + path), at("unix:" + other), nil, "one and the same server"},
	} {
		t.Run(name, func(t *testing.T) {
			d := shortDuel(t, tt.baseline, tt.candidate)
			if tt.change != nil {
				tt.change(&d.Request)
			}
			result, err := d.Run(t.Context())
			require.ErrorContains(t, err, tt.want)
			require.Empty(t, result.Blocks)
		})
	}
	requireNoContender(t)
}

// TestDuelOfRunningServers compares servers that run already, at a socket and behind TLS, by a name
// of their own, and asks each for what both are asked.
func TestDuelOfRunningServers(t *testing.T) {
	var asked [2]atomic.Int64
	serve := func(side int) *httptest.Server {
		return httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user, password, _ := r.BasicAuth()
			if r.Host != "app.example" || user != "me" || password != "pw" || r.RequestURI != "/x?y" ||
				r.TLS != nil && r.TLS.ServerName != "app.example" {
				w.WriteHeader(http.StatusTeapot)
			}
			asked[side].Add(1)
		}))
	}
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	socket, secure := serve(0), serve(1)
	socket.Listener.Close()
	socket.Listener = l
	socket.Start()
	defer socket.Close()
	secure.StartTLS()
	defer secure.Close()
	d := shortDuel(t, Contender{Address: "unix:" + path}, Contender{Address: "https://" + secure.Listener.Addr().String()})
	u, _, err := inject.ParseAddress("http://me:pw@elsewhere/x?y")
	require.NoError(t, err)
	d.Request = inject.HTTPConfig{URL: u, Header: http.Header{"Host": {"app.example"}}, Insecure: true}
	result, err := d.Run(t.Context())
	require.NoError(t, err)
	require.Zero(t, result.Report.Failures.BaselineFailed+result.Report.Failures.CandidateFailed)
	for side := range asked {
		require.Positive(t, asked[side].Load())
	}
}

// TestOneProcessServesBothSides holds that a side's processor time is not known where it has the
// other one's in it.
func TestOneProcessServesBothSides(t *testing.T) {
	var sides [2]Contender
	for side := range sides {
		var err error
		sides[side].Address, err = freeAddress()
		require.NoError(t, err)
	}
	server, err := startCommand(host.Affinity{}, fmt.Sprintf("%s=none exec %s %s %s", contenderEnv, os.Args[0], sides[0].Address,
		sides[1].Address))
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Stop() }) // it is killed
	for _, c := range sides {
		require.Eventually(t, func() bool {
			conn, err := net.Dial("tcp", c.Address)
			return err == nil && conn.Close() == nil
		}, 10*time.Second, 10*time.Millisecond)
	}
	result, err := shortDuel(t, sides[0], sides[1]).Run(t.Context())
	require.NoError(t, err)
	for _, b := range result.Blocks {
		for _, s := range b.Sides {
			require.Nil(t, s.ServerCPU)
			require.Contains(t, s.NoServerCPU, "one process serves both sides")
		}
	}
	require.NotContains(t, result.Plan.Units, "server-cpu-ns/op")
	require.Contains(t, strings.Join(result.Report.Notes, "\n"), "one process serves both sides")

	// Of a process for each side it is known, and what others used as well.
	result, err = shortDuel(t, contender("none"), contender("none")).Run(t.Context())
	require.NoError(t, err)
	for _, b := range result.Blocks {
		for _, s := range b.Sides {
			require.Empty(t, s.NoServerCPU)
			require.NotNil(t, s.ServerCPU)
		}
		_, err := host.BusyTime()
		require.Equal(t, err == nil, b.Others != nil)
	}
}

// asking makes a duel ask several requests.
func asking(d *Duel, paths ...string) {
	for _, path := range paths {
		u, err := url.Parse(path)
		must(err)
		d.Request.Requests = append(d.Request.Requests, inject.Request{URL: u})
	}
}

// TestDuelJudgesEachRequest holds that one of twenty requests that takes 30 % longer is found, in
// the duel and in its files, though all together pass.
func TestDuelJudgesEachRequest(t *testing.T) {
	serve := func(slow string) Contender {
		server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			spin := 150 * time.Microsecond
			if r.URL.Path == slow {
				spin = spin * 13 / 10
			}
			for begun := time.Now(); time.Since(begun) < spin; {
			}
		}))
		t.Cleanup(server.Close)
		return Contender{Address: server.Listener.Addr().String()}
	}
	d := shortDuel(t, serve("none"), serve("/7"))
	d.VUs = 1 // else most of the time of a request is that of those before it
	var paths []string
	for i := range 20 {
		paths = append(paths, fmt.Sprintf("/%d", i))
	}
	asking(&d, paths...)
	d.Looks, d.Side, d.Units = []int{9}, 60*time.Millisecond, []string{"req/s", result.RequestP50}
	d.Margins = map[string]float64{"req/s": 0.2}
	found, err := d.Run(t.Context())
	require.NoError(t, err)
	rows := map[string]gate.Row{}
	for _, row := range found.Report.Rows {
		rows[row.Request+row.Unit] = row
	}
	line := report.DuelLine(found.Duel, found.Report)
	slow := rows["GET /7"+result.RequestP50]
	require.Equal(t, verdict.Regressed, slow.Verdict, line)
	require.InDelta(t, 0.3, *slow.Change, 0.15, line)
	require.Equal(t, verdict.Pass, rows["req/s"].Verdict, line)
	for _, b := range found.Blocks {
		for _, s := range b.Sides {
			require.Len(t, s.Asked, 20)
			completed := uint64(0)
			for _, a := range s.Asked {
				completed += a.Completed
				require.Positive(t, a.P50)
				require.Nil(t, a.Latency, "a duel keeps no histograms of single requests")
			}
			require.Equal(t, s.Completed, completed)
		}
	}
	requireFilesAlike(t, found)
}

// TestDuelSeesOneFailingRequest holds that a request that fails now is not hidden by one that
// failed before.
func TestDuelSeesOneFailingRequest(t *testing.T) {
	d := shortDuel(t, contender("fails-at-1"), contender("fails-at-2"))
	asking(&d, "/0", "/1", "/2", "/3")
	d.Looks, d.Units = []int{8}, []string{"req/s"}
	found, err := d.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, verdict.Regressed, found.Report.Verdict, found.Report.Meaning)
	require.Contains(t, found.Report.Meaning, "the candidate fails more often in 1 of 4 requests: GET /2 (")
	require.Equal(t, verdict.Inconclusive, found.Report.Failures.Verdict)
	requireFilesAlike(t, found)
}

// requireFilesAlike holds that the files of a duel have the same verdict as the duel.
func requireFilesAlike(t *testing.T, found DuelResult) {
	t.Helper()
	var files [2]gate.Results
	for side := range files {
		var text bytes.Buffer
		require.NoError(t, report.DuelBench(&text, found.Duel, side))
		var err error
		files[side], err = gate.Parse([2]string{found.Baseline, found.Candidate}[side], text.Bytes())
		require.NoError(t, err)
	}
	again, err := gate.Judge(files[0], files[1], gate.Options{})
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(found.Report, again))
}

// countOf is how many requests of a side succeeded and failed.
func countOf(r DuelResult, side int) (c verdict.Count) {
	for _, b := range r.Blocks {
		c.Succeeded += b.Sides[side].Completed
		c.Failed += b.Sides[side].Failures.Total()
	}
	return c
}
