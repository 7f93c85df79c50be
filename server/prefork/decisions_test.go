//go:build linux

package prefork

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDelay(t *testing.T) {
	for _, c := range []struct {
		failures    int
		least, most time.Duration
	}{
		{-1, 0, 0},
		{0, 0, 0},
		{1, 50 * time.Millisecond, 100 * time.Millisecond},
		{2, 100 * time.Millisecond, 200 * time.Millisecond},
		{5, 800 * time.Millisecond, 1600 * time.Millisecond},
		{9, 12800 * time.Millisecond, 25600 * time.Millisecond},
		{10, 15 * time.Second, 30 * time.Second},
		{1000, 15 * time.Second, 30 * time.Second},
	} {
		require.Equal(t, c.most, delay(c.failures, 0), "%d failures", c.failures)
		require.InDelta(t, float64(c.least), float64(delay(c.failures, 0.999999999)), 100, "%d failures", c.failures)
	}
}

func TestDiagnose(t *testing.T) {
	const boot, timeout = 30 * time.Second, 10 * time.Second
	for _, c := range []struct {
		name    string
		v       vitals
		timeout time.Duration
		kind    string
	}{
		{"starts", vitals{age: boot - 1}, timeout, ""},
		{"does not come up", vitals{age: boot}, timeout, hangStart},
		{"does not come up, without a timeout of requests", vitals{age: boot}, 0, hangStart},
		{"serves", vitals{ready: true, age: time.Hour, silence: time.Second, oldest: timeout}, timeout, ""},
		{"a request is too old", vitals{ready: true, oldest: timeout + 1}, timeout, hangStuck},
		{"it may be", vitals{ready: true, oldest: time.Hour, silence: time.Hour}, 0, ""},
		{"silent", vitals{ready: true, silence: timeout - 1}, timeout, ""},
		{"too silent", vitals{ready: true, silence: timeout}, timeout, hangFrozen},
		{"and so its request is old", vitals{ready: true, silence: timeout, oldest: timeout + 1}, timeout, hangFrozen},
		{"a short timeout is no reason to be called frozen", vitals{ready: true, silence: leastSilence - 1}, time.Millisecond,
			""},
		{"but longer silence is", vitals{ready: true, silence: leastSilence}, time.Millisecond, hangFrozen},
	} {
		kind, why := diagnose(c.v, boot, c.timeout)
		require.Equal(t, c.kind, kind, c.name)
		require.Equal(t, kind == "", why == "", c.name)
	}
}

func TestYields(t *testing.T) {
	at := func(open ...uint64) []load {
		loads := make([]load, len(open))
		for i, n := range open {
			loads[i].open = n
		}
		return loads
	}
	without := func(loads []load, slots ...int) []load {
		for _, i := range slots {
			loads[i].out = true
		}
		return loads
	}
	for _, c := range []struct {
		name   string
		loads  []load
		queued int
		turns  []int // who does not yield
	}{
		{"one alone", at(7), 1, []int{0}},
		{"nobody has any: the lowest slot", at(0, 0, 0), 1, []int{0}},
		{"fewest", at(2, 1, 2), 1, []int{1}},
		{"fewest, lowest slot of two", at(2, 1, 1), 1, []int{1}},
		{"two for two", at(0, 0, 0), 2, []int{0, 1}},
		{"two for the one that is behind", at(3, 1, 3), 2, []int{1}},
		{"three: the one behind twice, then the lowest", at(3, 1, 3), 3, []int{0, 1}},
		{"more than workers", at(0, 0, 0), 9, []int{0, 1, 2}},
		{"not counted on: the next", without(at(0, 1, 1), 0), 1, []int{0, 1}}, // it does not pass itself over
		{"nobody else", without(at(0, 5), 0), 1, []int{0, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var turns []int
			for self := range c.loads {
				if !yields(self, c.loads, c.queued) {
					turns = append(turns, self)
				}
			}
			require.Equal(t, c.turns, turns)
		})
	}
}

// The rule in words: hand out one connection after the other, each to the worker with the fewest.
func TestYieldsIsHandingOut(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		loads := make([]load, 1+rnd.IntN(6))
		for i := range loads {
			loads[i].open = uint64(rnd.IntN(4))
		}
		queued := 1 + rnd.IntN(8)
		got := make([]int, len(loads))
		open := append([]load(nil), loads...)
		for range queued {
			to := first(-1, open)
			got[to]++
			open[to].open++
		}
		for self := range loads {
			require.Equal(t, got[self] == 0, yields(self, loads, queued), "slot %d of %v, %d queued", self, loads, queued)
		}
	}
}

func TestFirst(t *testing.T) {
	require.Equal(t, -1, first(0, []load{{open: 1}}))
	require.Equal(t, -1, first(0, []load{{}, {out: true}}))
	require.Equal(t, 1, first(0, []load{{}, {open: 3}, {open: 3}}))
	require.Equal(t, 2, first(0, []load{{}, {open: 3}, {open: 2}}))
}

func TestPlan(t *testing.T) {
	const (
		f = stateFree
		w = stateWaiting
		s = stateStarting
		r = stateReady
		d = stateDraining
	)
	crew := func(states ...state) []post {
		posts := make([]post, len(states))
		for i, st := range states {
			posts[i].state = st
		}
		return posts
	}
	retiring := func(posts []post, slots ...int) []post {
		for _, i := range slots {
			posts[i].retire = true
		}
		return posts
	}
	for _, c := range []struct {
		name  string
		posts []post
		do    verb
		slot  int
	}{
		{"nobody yet", crew(f, f, f, f), start, 0},
		{"one missing", crew(s, f, f, f), start, 1},
		{"all there", crew(r, s, f, f), rest, -1},
		{"one is to be started again", crew(r, w, f, f), rest, -1},
		{"one retires: another one first", retiring(crew(r, r, f, f), 0), start, 2},
		{"its successor starts", retiring(crew(r, r, s, f), 0), rest, -1},
		{"its successor could not be started yet", retiring(crew(r, r, w, f), 0), rest, -1},
		{"its successor is ready", retiring(crew(r, r, r, f), 0), leave, 0},
		{"it drains", crew(d, r, r, f), rest, -1},
		{"all retire: one by one", retiring(crew(r, r, r, f), 0, 1), leave, 0},
		{"then the next", retiring(crew(d, r, r, f), 1), start, 3},
		{"no slot for a successor: it stays", retiring(crew(d, r, r, d), 1), rest, -1},
		{"it wants to retire before it is ready", retiring(crew(s, r, f, f), 0), rest, -1},
		{"it died while its successor starts", crew(w, r, s, f), cancel, 0},
		{"it died and so did its successor", crew(w, r, w, f), cancel, 2},
		{"more than wanted: the last goes", crew(r, r, r, f), leave, 2},
		{"more than wanted, one of them retires", retiring(crew(r, r, r, f), 1), leave, 1},
		{"more than wanted, one is not ready", crew(r, s, r, f), leave, 1},
		{"more than wanted, one waits to be started", crew(r, r, w, f), cancel, 2},
		{"another one died: it is needed first", retiring(crew(r, w, r, f), 0), rest, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			do, slot := plan(c.posts, 2)
			require.Equal(t, c.do, do)
			require.Equal(t, c.slot, slot)
		})
	}
}
