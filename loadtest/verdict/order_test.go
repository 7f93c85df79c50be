package verdict

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOrder compares order statistics with those of the list that they save.
func TestOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	sample := func(span int64) []int64 {
		d := make([]int64, 1+random.IntN(12))
		for i := range d {
			d[i] = random.Int64N(2*span+1) - span
		}
		slices.Sort(d)
		return d
	}
	check := func(list []int64, o order) {
		slices.Sort(list)
		require.Equal(t, len(list), o.size)
		for i, want := range list {
			require.Equal(t, want, o.smallest(i+1))
			require.Equal(t, want, o.largest(len(list)-i))
		}
		require.Equal(t, list[(len(list)-1)/2]+list[len(list)/2], o.median())
	}
	for range 300 {
		span := []int64{0, 1, 3, 1 << 50}[random.IntN(4)] // all equal, many ties, hardly any
		x, y := sample(span), sample(span)
		var list []int64
		for i := range x {
			for j := i; j < len(x); j++ {
				list = append(list, x[i]+x[j])
			}
		}
		check(list, sums(x))
		list = nil
		for _, a := range x {
			for _, b := range y {
				list = append(list, b-a)
			}
		}
		check(list, differences(x, y))
	}
}
