//go:build !load

package loadtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/require"

	"rampart/loadtest/host"
	"rampart/loadtest/inject"
	"rampart/loadtest/result"
)

// slowClock is an engine whose latencies are taken with a clock that runs at half the speed of the
// one of the window.
type slowClock struct{ builtin }

func (c slowClock) Inject(ctx context.Context, load inject.Load) (inject.Measurement, error) {
	m, err := c.builtin.Inject(ctx, load)
	m.LatencySum /= 2
	return m, err
}

// kinds are those of a level's doubts.
func kinds(l Level) []string {
	var all []string
	for _, d := range l.Doubts {
		all = append(all, d.Kind)
	}
	return all
}

func TestClockThatBreaksLittlesLaw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		right := Experiment{Target: Func(slots(4, 10*time.Millisecond)), Window: time.Second}
		wrong := right
		wrong.Engine = slowClock{builtin{right.Target}}
		for e, want := range map[*Experiment][]string{&right: nil, &wrong: {DoubtLittle}} {
			level, err := e.Level(t.Context(), 4)
			require.NoError(t, err)
			require.Equal(t, want, kinds(level))
		}
	})
}

func TestStolenTimeRaisesDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		level, err := Experiment{
			Target: Func(slots(4, 10*time.Millisecond)), Window: time.Second,
			stolen: func() (time.Duration, error) {
				return time.Since(begun) * time.Duration(runtime.GOMAXPROCS(0)) / 2, nil // half of all
			},
		}.Level(t.Context(), 4)
		require.NoError(t, err)
		require.Equal(t, []string{DoubtStolen}, kinds(level))
	})
}

// TestOthersRaiseDoubt holds what counts as others' processor time: what the machine was busy with,
// less injector and server.
func TestOthersRaiseDoubt(t *testing.T) {
	for name, tt := range map[string]struct {
		machine, server float64 // processors that are busy, of all
		unknown         bool
		told, apart     bool
		want            bool
	}{
		"the server":                      {machine: 0.8, server: 0.75},
		"others":                          {machine: 0.8, server: 0.4, want: true},
		"the server elsewhere":            {machine: 0.05, server: 0.9, apart: true},
		"others, and a server elsewhere":  {machine: 0.5, server: 0.5, apart: true, want: true},
		"others, a server that tells":     {machine: 0.5, server: 0.1, told: true},
		"others, a server that is hidden": {machine: 0.5, unknown: true},
		"others, and nothing is known of a server elsewhere": {machine: 0.5, unknown: true, apart: true, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				uses := func(share float64) CPUMeter {
					return func() (time.Duration, error) {
						return time.Duration(float64(time.Since(begun)) * share * float64(host.MachineCPUs())), nil
					}
				}
				e := Experiment{
					Target: Func(slots(4, 10*time.Millisecond)), Window: time.Second,
					ServerCPU: uses(tt.server), told: tt.told, apart: tt.apart, busy: uses(tt.machine),
				}
				if tt.unknown {
					e.ServerCPU = unknownCPU(errors.New("hidden"))
				}
				level, err := e.Level(t.Context(), 4)
				require.NoError(t, err)
				require.Equal(t, tt.want, slices.Contains(kinds(level), DoubtShared))
			})
		})
	}
}

// answering serves whatever it reads with an empty answer, without looking at it: far less work
// than to ask.
func answering(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				for buf := make([]byte, 4096); ; {
					if _, err := conn.Read(buf); err != nil {
						return
					}
					if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); serving.Wait() })
	return l.Addr().String()
}

// provoke measures short levels until one raises one of the doubts. Beside other tests it may be
// the server that gets no processor.
func provoke(t *testing.T, measure func() []string, doubts ...string) {
	t.Helper()
	const tries = 100
	for range tries {
		for _, kind := range measure() {
			if slices.Contains(doubts, kind) {
				return
			}
		}
	}
	t.Fatalf("none of %d levels raised one of %q", tries, doubts)
}

func TestServerFasterThanTheInjector(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2)) // one event loop, however many processors there are
	target, err := HTTP("http://" + answering(t))
	require.NoError(t, err)
	e := Experiment{Target: target, Window: 50 * time.Millisecond}
	measure := func() []string {
		level, err := e.Level(t.Context(), 64)
		require.NoError(t, err)
		require.Zero(t, level.Failures.Total())
		return kinds(level)
	}
	provoke(t, measure, DoubtCPU)
	// How fast a server that does nothing is, beside other tests, is anybody's guess; what follows
	// from it is not.
	e.ceiling = func() float64 { return 1000 }
	provoke(t, measure, DoubtCeiling)
}

// injectEnv makes this test binary inject one level and print the kinds of its doubts: it holds the
// URL.
const injectEnv = "RAMPART_TEST_INJECT"

func injectAndPrintDoubts(rawURL string) {
	target, err := HTTP(rawURL)
	must(err)
	level, err := Experiment{Target: target, Window: 200 * time.Millisecond}.Level(context.Background(), 64)
	must(err)
	fmt.Println(strings.Join(kinds(level), " "))
}

func TestDoubts(t *testing.T) {
	// 4 VUs for 10 s: 40 s of latency, if the law holds.
	level := func(latencies, connects time.Duration, cores float64) Level {
		return Level{
			Measurement: inject.Measurement{
				VUs: 4, Window: 10 * time.Second, Requests: 4000, LatencySum: latencies, ConnectSum: connects,
			},
			ClientCPU: &result.CPU{Used: time.Duration(cores * float64(10*time.Second)), Elapsed: 10 * time.Second},
		}
	}
	with := func(change func(*Level)) Level {
		l := level(40*time.Second, 0, 1)
		change(&l)
		return l
	}
	others := func(used, elapsed time.Duration) Level {
		return with(func(l *Level) { l.Others = &result.CPU{Used: used, Elapsed: elapsed} })
	}
	failed := level(20*time.Second, 0, 1)
	failed.Failures[inject.Timeout] = 1
	silent := level(0, 0, 1)
	silent.Requests = 0
	few := level(26*time.Second, 0, 1) // four requests of 6.5 s: the ends of the window can hide as much
	few.Requests = 4
	median := hdrhistogram.New(1, 1e6, 3)
	require.NoError(t, median.RecordValue(10_000))
	for _, tt := range []struct {
		name  string
		level Level
		want  []string
	}{
		{"calm", level(40*time.Second, 0, 1), nil},
		{"4 % off", level(38400*time.Millisecond, 0, 1), nil},
		{"connecting counts", level(10*time.Second, 30*time.Second, 1), nil},
		{"a VU stood still", level(30*time.Second, 0, 1), []string{DoubtLittle}},
		{"the clock ran away", level(45*time.Second, 0, 1), []string{DoubtLittle}},
		{"failures have no latency", failed, nil},
		{"nothing ended", silent, nil},
		{"few long requests", few, nil},
		{"1.6 of 2 cores", level(40*time.Second, 0, 1.6), nil},
		{"1.7 of 2 cores", level(40*time.Second, 0, 1.7), []string{DoubtCPU}},
		{"both", level(30*time.Second, 0, 2), []string{DoubtLittle, DoubtCPU}},
		{"a loop with time left", with(func(l *Level) { l.Strain.Busy = 0.85 }), nil},
		{"a loop without", with(func(l *Level) { l.Strain.Busy = 0.95 }), []string{DoubtCPU}},
		{"waited 4 of 10 ms", with(func(l *Level) { l.Latency, l.Strain.Delay = median, 4*time.Millisecond }), nil},
		{"waited 6 of 10 ms", with(func(l *Level) { l.Latency, l.Strain.Delay = median, 6*time.Millisecond }), []string{DoubtDelay}},
		{"far below the ceiling", with(func(l *Level) { l.Requests = 7900 }), nil}, // of 10 s at 1000/s
		{"near the ceiling", with(func(l *Level) { l.Requests = 8100 }), []string{DoubtCeiling}},
		{"a little was stolen", with(func(l *Level) { l.Stolen = &result.CPU{Used: 900 * time.Millisecond, Elapsed: 10 * time.Second} }), nil},
		{"others used 5 %", others(time.Second, 10*time.Second), nil},
		{"others used 12 % of 10 s", others(2400*time.Millisecond, 10*time.Second), nil},
		{"others used 15 % of 10 s", others(3*time.Second, 10*time.Second), []string{DoubtShared}},
		{"others used 12 % of 5 min", others(72*time.Second, 5*time.Minute), []string{DoubtShared}},
		{"others used 25 % of 1 s", others(500*time.Millisecond, time.Second), []string{DoubtShared}},
		{"others used 25 % of 100 ms", others(50*time.Millisecond, 100*time.Millisecond), nil}, // of 20 ticks five
		{"much was stolen", with(func(l *Level) { l.Stolen = &result.CPU{Used: 1100 * time.Millisecond, Elapsed: 10 * time.Second} }), []string{DoubtStolen}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var kinds []string
			for _, d := range doubts(tt.level, limits{cpus: 2, machine: 2, ceiling: 1000}) {
				kinds = append(kinds, d.Kind)
				require.NotEmpty(t, d.Text)
			}
			require.Equal(t, tt.want, kinds)
		})
	}
}
