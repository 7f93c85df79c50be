package proof

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestInterval holds values that are known without a table: 0 of n has the upper end 1 -
// 0.025^(1/n), and the interval of n - k is the mirror of that of k.
func TestInterval(t *testing.T) {
	low, high := Interval(0, 59)
	require.Zero(t, low)
	require.InDelta(t, 0.0606, high, 0.0001)
	low, high = Interval(59, 59)
	require.InDelta(t, 1-0.0606, low, 0.0001)
	require.Equal(t, 1.0, high)
	a, b := Interval(3, 60)
	c, d := Interval(57, 60)
	require.InDelta(t, a, 1-d, 1e-9)
	require.InDelta(t, b, 1-c, 1e-9)
	require.Equal(t, "0/59 (0.0 to 6.1 %)", Rate(0, 59))
}

// TestAtLeast holds values that are known without a table.
func TestAtLeast(t *testing.T) {
	require.Equal(t, 1.0, AtLeast(0, 10, 0.05))
	require.InDelta(t, 1-math.Pow(0.95, 10), AtLeast(1, 10, 0.05), 1e-12)
	require.InDelta(t, math.Pow(0.05, 10), AtLeast(10, 10, 0.05), 1e-18)
	require.InDelta(t, 0.5, AtLeast(3, 5, 0.5), 1e-12)
}

func TestRecord(t *testing.T) {
	type begins struct{ Seed int }
	type outcome struct{ X int }
	path := filepath.Join(t.TempDir(), "record.jsonl")
	r, err := Open[begins, outcome](path)
	require.NoError(t, err)
	require.Nil(t, r.Beginning)
	require.NoError(t, r.Begin(begins{7}))
	require.NoError(t, r.Add(outcome{1}))
	require.NoError(t, r.Add(outcome{2}))
	require.NoError(t, r.Close())

	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, text[:len(text)-4], 0o666)) // the machine went down
	r, err = Open[begins, outcome](path)
	require.NoError(t, err)
	require.Equal(t, &begins{7}, r.Beginning)
	require.Equal(t, []outcome{{1}}, r.Outcomes)
	require.NoError(t, r.Add(outcome{3}))
	require.NoError(t, r.Close())
	r, err = Open[begins, outcome](path)
	require.NoError(t, err)
	require.Equal(t, []outcome{{1}, {3}}, r.Outcomes)
	require.NoError(t, r.Close())

	require.NoError(t, os.WriteFile(path, []byte(`{"Other":1}`), 0o666))
	_, err = Open[begins, outcome](path)
	require.ErrorContains(t, err, "want one that this program wrote")
}
