package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

func TestTrials(t *testing.T) {
	p := plan{N: 60, Usual: 10, Seed: 1}
	count := make(map[trial]int)
	for _, x := range p.trials() {
		count[x]++
	}
	require.Equal(t, 30, count[trial{Neighbour: true}])
	require.Equal(t, 30, count[trial{Loss: 0.05}])
	require.Equal(t, 5, count[trial{Usual: true}])
	require.Equal(t, 2, count[trial{Loss: 0.1, Neighbour: true}])
	require.Equal(t, 2, count[trial{Loss: -0.05}])
	require.Equal(t, 2, count[trial{Kind: commented, Neighbour: true}])
	require.Equal(t, 2, count[trial{Kind: renamed}])
	for k := range tails {
		require.Equal(t, 2, count[trial{Kind: k}], k)
		require.Equal(t, 2, count[trial{Kind: k, Neighbour: true}], k)
	}
	require.Len(t, p.trials(), 188)
	for i, x := range p.trials() {
		first := !x.Usual && (x.hasTail() || x.Kind == same && (x.Loss == 0 || x.Loss == 0.05))
		require.Equal(t, i < 60+60+4*4, first, x)
	}

	require.Empty(t, cmp.Diff(p.trials(), p.trials()), "a proof in parts needs the same order each time")
	p.Seed = 2
	require.NotEmpty(t, cmp.Diff(p.trials(), plan{N: 60, Usual: 10, Seed: 1}.trials()))
}
