//go:build linux

package prefork

import (
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func testBoard(t *testing.T, slots, gauges, counters int) (*scoreboard, *os.File) {
	t.Helper()
	b, file, err := newScoreboard(slots, gauges, counters)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, b.close())
		file.Close()
	})
	return b, file
}

func TestScoreboardLayout(t *testing.T) {
	b, _ := testBoard(t, 3, 2, 20)
	require.Equal(t, 0, headAccepts/8-headCPU/8, "what changes shares a line")
	require.NotEqual(t, headGrace/8, headCPU/8, "with each other only")
	require.Equal(t, 64, b.stride, "30 words, 2 gauges, 20 counters, rounded up to lines")
	require.Len(t, b.words, headWords+3*64)
	// No word belongs to two owners, and none is outside of its slot's lines.
	seen := map[*atomic.Uint64]bool{}
	for i := range b.slots {
		begin := uintptr(unsafe.Pointer(&b.slot(i)[0]))
		require.Zero(t, begin%(8*lineWords), "slot %d starts in the middle of a line", i)
		owned := append([]*atomic.Uint64{}, pointers(b.slot(i)[:slotWords])...)
		owned = append(owned, pointers(b.gaugesOf(i))...)
		owned = append(owned, pointers(b.countersOf(i))...)
		require.Len(t, owned, slotWords+22)
		for _, w := range owned {
			require.False(t, seen[w])
			seen[w] = true
			require.Less(t, uintptr(unsafe.Pointer(w))-begin, uintptr(8*b.stride))
		}
	}
	// What the application gets cannot grow into what is not its own.
	require.Equal(t, 2, cap(b.gaugesOf(0)))
	require.Equal(t, 20, cap(b.countersOf(0)))
}

func pointers(words []atomic.Uint64) []*atomic.Uint64 {
	var ps []*atomic.Uint64
	for i := range words {
		ps = append(ps, &words[i])
	}
	return ps
}

func TestScoreboardIsShared(t *testing.T) {
	b, file := testBoard(t, 2, 1, 1)
	other, err := openScoreboard(file)
	require.NoError(t, err)
	defer other.close()
	b.countersOf(1)[0].Store(42)
	b.setState(1, stateReady)
	require.Equal(t, uint64(42), other.countersOf(1)[0].Load())
	require.Equal(t, stateReady, other.state(1))
	require.Len(t, other.all(other.countersOf), 2)
	require.ErrorIs(t, file.Truncate(0), unix.EPERM, "nobody can take the memory away")
}

func TestOpenScoreboardRefuses(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/file")
	require.NoError(t, err)
	defer file.Close()
	_, err = openScoreboard(file)
	require.ErrorContains(t, err, "no scoreboard")
	require.NoError(t, file.Truncate(8*headWords))
	_, err = openScoreboard(file)
	require.ErrorContains(t, err, "not a scoreboard of this version")
	b, board := testBoard(t, 1, 0, 0)
	b.words[headSlots].Store(2)
	_, err = openScoreboard(board)
	require.ErrorContains(t, err, "not a scoreboard of this version")
}

func TestScoreboardRetire(t *testing.T) {
	b, _ := testBoard(t, 1, 2, 2)
	s := b.slot(0)
	for i := range s {
		s[i].Store(7)
	}
	b.retire(0)
	kept := map[int]bool{slotState: true, slotPID: true, slotRequests: true, slotCPU: true, slotRestarts: true}
	for i := range b.end(0) {
		kept[slotEnd+i] = true
	}
	for i := range slotWords {
		require.Equal(t, kept[i], s[i].Load() == 7, "word %d", i)
	}
	require.Zero(t, b.gaugesOf(0)[0].Load()+b.gaugesOf(0)[1].Load())
	require.Equal(t, uint64(14), b.countersOf(0)[0].Load()+b.countersOf(0)[1].Load())
}

func TestLoads(t *testing.T) {
	b, _ := testBoard(t, 4, 0, 0)
	b.setState(0, stateReady)
	b.slot(0)[slotConnections].Store(3)
	b.setState(1, stateDraining)
	b.setState(2, stateReady)
	b.slot(2)[slotMissed].Store(1)
	loads := make([]load, 4)
	loads = b.loads(loads)
	require.Empty(t, cmp.Diff([]load{{open: 3}, {out: true}, {out: true}}, loads, cmp.AllowUnexported(load{})))
}

func TestCPUTimeNeverGoesBackwards(t *testing.T) {
	b, _ := testBoard(t, 2, 0, 0)
	require.Zero(t, b.cpuTime())
	b.slot(1)[slotCPU].Store(uint64(time.Second))
	require.Equal(t, time.Second, b.cpuTime())
	b.slot(0)[slotPID].Store(uint64(os.Getpid()))
	own, err := processCPU(os.Getpid())
	require.NoError(t, err)
	require.Positive(t, own)
	high := b.cpuTime()
	require.GreaterOrEqual(t, high, time.Second+own)
	b.slot(0)[slotPID].Store(0) // it died, and its time is not yet added
	require.Equal(t, high, b.cpuTime())
	b.slot(0)[slotCPU].Store(uint64(time.Minute))
	require.Equal(t, time.Minute+time.Second, b.cpuTime())
	b.slot(0)[slotPID].Store(1 << 22) // more than any pid
	require.Equal(t, time.Minute+time.Second, b.cpuTime())
}

func TestMonotonicIsTheKernels(t *testing.T) {
	var ts unix.Timespec
	require.NoError(t, unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts))
	require.InDelta(t, float64(ts.Nano()), float64(monotonic()), float64(time.Second)) // measured with an interruption
}

func TestStatus(t *testing.T) {
	b, _ := testBoard(t, 4, 0, 0)
	b.words[headMaster].Store(99)
	b.words[headStarted].Store(uint64(1e9))
	s := b.slot(1)
	for w, n := range map[int]uint64{
		slotState: uint64(stateReady), slotPID: 11, slotGeneration: 1, slotConnections: 2, slotInFlight: 3,
		slotOldest: uint64(monotonic() - int64(time.Minute)), slotRequests: 5, slotStarted: 6e9, slotRestarts: 7,
	} {
		s[w].Store(n)
	}
	b.setState(3, stateWaiting)
	b.slot(3)[slotRestarts].Store(1)
	b.end(3).set("signal: killed")
	b.words[headGeneration].Store(2)
	b.words[headWanted].Store(2)
	b.words[headReloadEnd].Store(uint64(3e9))
	b.reload().set("it was broken")
	got := Fleet{b}.Status()
	require.InDelta(t, 60, got.Workers[0].OldestRequestSeconds, 5)
	got.Workers[0].OldestRequestSeconds = 60
	require.InDelta(t, time.Since(time.Unix(6, 0)).Seconds(), got.Workers[0].AgeSeconds, 5)
	got.Workers[0].AgeSeconds = 0
	want := Status{
		MasterPID: 99, Started: time.Unix(1, 0), Restarts: 8, Generation: 2, Wanted: 2,
		LastReload: &ReloadStatus{Ended: time.Unix(3, 0), Error: "it was broken"},
		Workers: []WorkerStatus{
			{Slot: 1, PID: 11, Generation: 1, State: "ready", Connections: 2, InFlight: 3, Requests: 5, Restarts: 7,
				OldestRequestSeconds: 60, Started: time.Unix(6, 0)},
			{Slot: 3, State: "waiting", Restarts: 1, LastEnd: "signal: killed"},
		},
	}
	require.Empty(t, cmp.Diff(want, got))
}

// A picture is not one worker before it took over and another one after it was replaced.
func TestStatusIsOnePicture(t *testing.T) {
	board, file, err := newScoreboard(3, 0, 0)
	require.NoError(t, err)
	defer file.Close()
	defer board.close()
	board.setState(0, stateStarting)
	board.setState(1, stateReady)
	board.setState(2, stateReady)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for young, old := 0, 1; ; young, old = old, young {
			board.setState(young, stateReady)
			board.setState(old, stateDraining)
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Microsecond):
			}
		}
	}()
	for range 20_000 {
		ready := 0
		for _, w := range (Fleet{board}).Status().Workers {
			if w.State == "ready" {
				ready++
			}
		}
		require.GreaterOrEqual(t, ready, 2)
	}
	close(stop)
	<-stopped
}

func TestText(t *testing.T) {
	words := make(text, 3)
	require.Empty(t, words.get())
	for in, out := range map[string]string{
		"":                        "",
		"short":                   "short",
		"sixteen bytes it":        "sixteen bytes it",
		"more than sixteen bytes": "more than sixtee",
		"fifteen bytes.äh":        "fifteen bytes.ä",
		"15 bytes here..äh":       "15 bytes here..",
	} {
		words.set(in)
		require.Equal(t, out, words.get())
	}
	words[0].Add(1) // its writer died
	require.Empty(t, words.get())
}

// Who reads while it is written gets one or the other.
func TestTextIsNeverTorn(t *testing.T) {
	words := make(text, 5)
	texts := []string{strings.Repeat("a", 32), strings.Repeat("b", 32), ""}
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
				words.set(texts[n%len(texts)])
			}
		}
	})
	for range 20000 {
		if text := words.get(); !slices.Contains(texts, text) {
			require.FailNow(t, "torn", text)
		}
	}
	close(stop)
	writer.Wait()
}

// Requests that end in another order than they began.
func TestInflight(t *testing.T) {
	b, _ := testBoard(t, 1, 0, 0)
	s := b.slot(0)
	full := 0
	f := &inflight{slot: s, limit: 3, full: func() { full++ }}
	check := func(running uint64, oldest *request) {
		t.Helper()
		want := uint64(0)
		if oldest != nil {
			want = uint64(oldest.start)
		}
		require.Equal(t, running, s[slotInFlight].Load())
		require.Equal(t, want, s[slotOldest].Load())
	}
	check(0, nil)
	r1, r2, r3 := f.begin(), f.begin(), f.begin()
	check(3, r1)
	f.end(r2)
	check(2, r1)
	f.end(r1)
	check(1, r3)
	require.Zero(t, full)
	r4 := f.begin()
	f.end(r4)
	require.Equal(t, 1, full, "on reaching the limit")
	check(1, r3)
	f.end(r3)
	check(0, nil)
	require.Equal(t, 1, full, "only once")
	require.Equal(t, uint64(4), s[slotRequests].Load())
}
