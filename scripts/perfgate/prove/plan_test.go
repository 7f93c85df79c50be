package prove

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/result"
)

// TestTrials holds that after any number of trials there are as many of equals as of losses, give
// or take one, that the first loss is one of 5 %, and that all is drawn from the seed.
func TestTrials(t *testing.T) {
	for _, slower := range []bool{false, true} {
		p := Plan{Seed: 3, Slower: slower}
		round := 2 * len(losses)
		if slower {
			round += 2
		}
		counts := map[Trial]int{}
		seeds := map[uint64]bool{}
		equals, equalsFirst := 0, 0
		for i := range 100 * round {
			trial := p.Trial(i)
			require.Equal(t, trial, p.Trial(i))
			require.Equal(t, i, trial.Number)
			require.NotZero(t, trial.Seed)
			seeds[trial.Seed] = true
			counts[Trial{Loss: trial.Loss, Slower: trial.Slower}]++
			if trial.Loss == 0 && !trial.Slower {
				equals++
				equalsFirst += 1 - i%2
			}
			require.InDelta(t, float64(i+1)/2, equals, 0.5, "after %d", i+1)
		}
		require.InDelta(t, 25*round, equalsFirst, 5*5*float64(round)/2)
		require.Len(t, seeds, 100*round)
		want := map[Trial]int{{}: 50 * round, {Loss: 0.05}: 200, {Loss: 0.03}: 100, {Loss: 0.1}: 100}
		if slower {
			want[Trial{Slower: true}] = 100
		}
		require.Equal(t, want, counts)
		require.Equal(t, five, p.Trial(0).Loss+p.Trial(1).Loss, "what is first of all")
		require.NotEqual(t, p.Trial(0).Seed, Plan{Seed: 4, Slower: slower}.Trial(0).Seed)
	}
}

func TestBegins(t *testing.T) {
	const longest = 40 * time.Second
	require.True(t, Begins(0, time.Second, 0))
	require.True(t, Begins(1, -time.Second, longest), "one of equals and one with a loss, whatever it takes")
	require.True(t, Begins(2, longest, longest))
	require.False(t, Begins(2, longest-1, longest))

	all := []Outcome{{Blocks: 9, Seconds: 9}, {Blocks: 24, Seconds: 36}, {Blocks: 9, Seconds: 12}}
	require.Equal(t, 36*time.Second, Longest(all, []int{9, 24}))
	require.Equal(t, 19*time.Second, Typical(all))
	require.Zero(t, Longest(nil, []int{9, 24}))
	require.Equal(t, time.Second, Typical(nil))
}

// TestContinue holds that a log is only continued by the same flags, on the same machine.
func TestContinue(t *testing.T) {
	asked := Beginning{Server: "./a {addr}", Request: "/", Side: time.Second, Looks: []int{9}, Alpha: 0.05,
		Margins: map[string]float64{}}
	had := asked
	had.Plan.Seed = 7
	had.Rampart, had.VUs = "v1", 2
	had.Machine = result.Machine{Host: "a", OS: "linux", CPUs: 2}
	line, err := json.Marshal(had)
	require.NoError(t, err)
	var read Beginning
	require.NoError(t, json.Unmarshal(line, &read))
	got, err := asked.Continue(read)
	require.NoError(t, err)
	require.Equal(t, read, got)
	asked.Plan.Seed = 7
	_, err = asked.Continue(read)
	require.NoError(t, err)

	for name, change := range map[string]func(*Beginning){
		"Plan":     func(b *Beginning) { b.Plan.Seed = 8 },
		"Server":   func(b *Beginning) { b.Server = "./b {addr}" },
		"Request":  func(b *Beginning) { b.Request = "/x" },
		"AskedVUs": func(b *Beginning) { b.AskedVUs = 8 },
		"Looks":    func(b *Beginning) { b.Looks = []int{9, 12} },
		"Margins":  func(b *Beginning) { b.Margins = map[string]float64{"req/s": 0.02} },
		"Units":    func(b *Beginning) { b.Units = []string{"req/s"} },
	} {
		other := asked
		change(&other)
		_, err := other.Continue(read)
		require.ErrorContains(t, err, "it was made with another "+name+" (", name)
	}

	duel := result.Duel{Version: "v1", VUs: 2, Machine: result.Machine{Host: "b", OS: "linux", CPUs: 2}}
	require.NoError(t, had.Joins(duel), "a machine by another name")
	for want, change := range map[string]func(*result.Duel){
		"another machine": func(d *result.Duel) { d.Machine.CPUs = 4 },
		"another version": func(d *result.Duel) { d.Version = "v2" },
		"-vus 2":          func(d *result.Duel) { d.VUs = 3 },
	} {
		other := duel
		change(&other)
		require.ErrorContains(t, had.Joins(other), want)
	}
}
