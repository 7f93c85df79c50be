package app

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseWork(t *testing.T) {
	w, err := ParseWork("it1=52250&it2=123")
	require.NoError(t, err)
	require.Equal(t, Work{52250, 123}, w)
	w, err = ParseWork("other=1&it2=0&it1=100000000000")
	require.NoError(t, err)
	require.Equal(t, Work{MaxIterations, 0}, w)

	for query, want := range map[string]string{
		"":                                       "it1 is missing: want a whole number from 0 to 100000000000",
		"it1=5":                                  "it2 is missing: want a whole number",
		"it1=&it2=1":                             `it1="": want a whole number`,
		"it1=-1&it2=1":                           `it1="-1": want a whole number from 0`,
		"it1=1&it2=abc":                          `it2="abc": want a whole number`,
		"it1=1.5&it2=1":                          `it1="1.5": want`,
		"it1=%2B5&it2=1":                         `it1="+5": want`,
		"it1=+5&it2=1":                           `it1=" 5": want`,
		"it1=1e5&it2=1":                          `it1="1e5": want`,
		"it1=0x10&it2=1":                         `it1="0x10": want`,
		"it1=1_000&it2=1":                        `it1="1_000": want`,
		"it1=100000000001&it2=1":                 `it1="100000000001": want a whole number from 0 to 100000000000`,
		"it1=1&it2=99999999999999":               `it2="99999999999999": want`,
		"it1=1000000&it2=1000000":                "it1=1000000 and it2=1000000: want a product from 0 to 100000000000",
		"it1=1&it1=2&it2=1":                      "it1 is given 2 times: want it once",
		"it1=%zz":                                `query "it1=%zz": want it1=A&it2=B, escaped as in a URL`,
		"it1=1%0d%0aX:%20y&it2=1":                `it1="1\r\nX: y": want`,
		"it1=1&it2=" + strings.Repeat("9", 1000): `it2="` + strings.Repeat("9", 40) + `"...: want`,
	} {
		_, err := ParseWork(query)
		require.ErrorContains(t, err, want, query)
		require.NotContains(t, err.Error(), "\n")
	}
}

func FuzzParseWork(f *testing.F) {
	for _, s := range []string{"it1=1&it2=2", "it1=-1", "it1=%00&it2=%ff", "it1=1;it2=2",
		"it2=99999999999999999999&it1=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		w, err := ParseWork(query)
		if err != nil {
			require.Contains(t, err.Error(), "want")
			require.Less(t, len(err.Error()), 500)
			for _, c := range err.Error() {
				require.True(t, ' ' <= c && c <= '~', "%q", err)
			}
			return
		}
		require.LessOrEqual(t, w.It1, uint64(MaxIterations))
		require.LessOrEqual(t, w.It2, uint64(MaxIterations))
		if w.It1 > 0 {
			require.LessOrEqual(t, w.It2, MaxIterations/w.It1)
		}
	})
}

// naive is the loop as ORIGINAL has it, with the hash, and nothing else.
func naive(it1, it2 uint64) (c, hash uint64) {
	for i := uint64(0); i < it1; i++ {
		for j := uint64(0); j < max(it2, 1); j++ {
			if i%554 == 0 && it2 > 0 {
				c = c + (c + j)
			}
			hash ^= i + j + 1
			hash *= 0x100000001b3
		}
	}
	return c, hash
}

func TestRun(t *testing.T) {
	stay := func() bool { return false }
	seen := map[string]Work{}
	for _, w := range []Work{
		{0, 0}, {0, 5}, {1, 1}, {5, 0}, {1, 3}, {554, 2}, {555, 2}, {60000, 1}, {60001, 1}, {52250, 123}, {1, 100000},
		{chunk, 1}, {chunk + 1, 3}, {3, chunk - 1}, {100000, 0},
	} {
		got, err := w.Run(stay)
		require.NoError(t, err)
		c, hash := naive(w.It1, w.It2)
		require.Equal(t, Outcome{c, hash}, got, "%+v", w)
		require.Regexp(t, "^[0-9a-f]{16}$", got.Checksum())
		if w.It1 > 0 && w.It2 > 0 {
			require.NotContains(t, seen, got.Checksum(), "%+v and %+v", w, seen[got.Checksum()])
			seen[got.Checksum()] = w
		}
	}
	got, _ := Work{1109, 4}.Run(stay)
	// by hand: i = 0, 554 and 1108, in each c = 2c + j for j = 0..3: 11, then 11·16 + 11, then again
	require.EqualValues(t, (11*16+11)*16+11, got.C)
}

func TestRunEnds(t *testing.T) {
	for _, w := range []Work{{1, MaxIterations}, {MaxIterations, 1}, {MaxIterations, 0}, {100000, 100000}} {
		begun, asked := time.Now(), 0
		_, err := w.Run(func() bool { asked++; return asked == 3 })
		require.True(t, errors.Is(err, errGone))
		require.GreaterOrEqual(t, time.Since(begun), 3*checkInterval, "asks no more often than it says")
	}
}

func TestPythonSeconds(t *testing.T) {
	// from Python 3.11: repr(timedelta(microseconds=n).total_seconds())
	for d, want := range map[time.Duration]string{
		0:                           "0.0",
		400:                         "0.0",
		time.Microsecond:            "1e-06",
		10 * time.Microsecond:       "1e-05",
		15 * time.Microsecond:       "1.5e-05",
		99 * time.Microsecond:       "9.9e-05",
		100 * time.Microsecond:      "0.0001",
		123 * time.Microsecond:      "0.000123",
		5282 * time.Microsecond:     "0.005282",
		5282499 * time.Nanosecond:   "0.005282",
		1692090 * time.Microsecond:  "1.69209",
		1672230 * time.Microsecond:  "1.67223",
		time.Second:                 "1.0",
		1500 * time.Millisecond:     "1.5",
		61 * time.Second:            "61.0",
		12345678 * time.Microsecond: "12.345678",
	} {
		require.Equal(t, want, pythonSeconds(d), "%v", d)
	}
}

func BenchmarkWork(b *testing.B) {
	for b.Loop() {
		_, _ = Work{60000, 1}.Run(func() bool { return false })
	}
}
