package gobench

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// stand returns this test binary as one that is measured, and sets what it does.
func stand(t *testing.T, does string) Binary {
	t.Helper()
	t.Setenv(standIn, "on "+does)
	path, err := os.Executable()
	require.NoError(t, err)
	return Binary{Path: path, Dir: t.TempDir()}
}

func begin(t *testing.T, b Binary, name string, iterations, count int) *process {
	t.Helper()
	p, err := startProcess(b, task{name, 1, iterations, count}, 10*time.Second)
	require.NoError(t, err)
	t.Cleanup(p.close)
	return p
}

// TestHeld holds that a process measures when it is told and not before: each time it is told, its
// clock of processor time goes on by one measurement.
func TestHeld(t *testing.T) {
	if !holds {
		t.Skip("processes are not held on this system")
	}
	const iterations, count = 20_000, 4 // some 10 ms
	p := begin(t, stand(t, ""), "BenchmarkSpin", iterations, count)
	for range count {
		m, err := p.next(t.Context())
		require.NoError(t, err)
		require.Equal(t, iterations, m.Iterations)
		var before time.Duration
		require.Eventually(t, func() bool { // it has come to rest
			last := before
			before = used(t, p)
			return before == last
		}, 5*time.Second, 5*time.Millisecond)
		time.Sleep(30 * time.Millisecond)
		require.Less(t, used(t, p)-before, time.Millisecond, "held")
	}
	require.NoError(t, p.finish(t.Context()))
}

func TestMeasurements(t *testing.T) {
	b := stand(t, "")
	for name, units := range map[string]string{
		"BenchmarkLoop":       "ns/op MB/s laps/op B/op allocs/op",
		"BenchmarkSub/size=1": "ns/op B/op allocs/op",
		"BenchmarkSub/a/b_c":  "ns/op B/op allocs/op",
		"BenchmarkSub/ends-2": "ns/op B/op allocs/op",
		"BenchmarkTalk":       "ns/op B/op allocs/op",
		"BenchmarkParallel":   "ns/op B/op allocs/op",
	} {
		p := begin(t, b, name, 10, 3)
		for range 3 {
			m, err := p.next(t.Context())
			require.NoError(t, err, name)
			require.Equal(t, 10, m.Iterations)
			var have []string
			for _, x := range m.Metrics {
				have = append(have, x.Unit)
			}
			require.Equal(t, units, strings.Join(have, " "))
		}
		_, err := p.next(t.Context())
		require.Error(t, err, "there are no more")
		p.close()
	}
}

// TestTidies holds that a process which has measured enough ends as it wants to.
func TestTidies(t *testing.T) {
	b := stand(t, "")
	file := filepath.Join(t.TempDir(), "tidy")
	t.Setenv("GOBENCH_TIDY", file)
	p := begin(t, b, "BenchmarkLoop", 10, 2)
	_, err := p.next(t.Context())
	require.NoError(t, err)
	require.NoError(t, p.finish(t.Context()))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "tidied up\n", string(text))
}

func TestNoMeasurement(t *testing.T) {
	for _, c := range []struct{ does, name, want string }{
		{"", "BenchmarkSkip", "it printed no result: it skips itself"},
		{"", "BenchmarkNowhere", "it printed no result"},
		{"fails", "BenchmarkFatal", "it failed: --- FAIL: BenchmarkFatal\n    main_test.go:"},
		{"panics", "BenchmarkPanic", "it ended with exit status 2, and said:\n(?s).*panic: lost"},
		{"breaks", "BenchmarkSpin", "it ended with exit status 3, and said:\nno database"},
		{"hangs", "BenchmarkHang", `it did not end within 100ms \(-timeout\)`},
	} {
		p := begin(t, stand(t, c.does), c.name, 10, 2)
		if c.does == "hangs" {
			p.timeout = 100 * time.Millisecond
		}
		_, err := p.next(t.Context())
		require.Error(t, err, c.name)
		require.Regexp(t, c.want, err.Error(), c.name)
		p.close()
	}
}

func TestFailsLater(t *testing.T) {
	p := begin(t, stand(t, "tires"), "BenchmarkFatal", 10, 10)
	n := 0
	for ; ; n++ {
		if _, err := p.next(t.Context()); err != nil {
			require.ErrorContains(t, err, "tired")
			break
		}
	}
	require.Equal(t, 1, n)
}

func TestCanceled(t *testing.T) {
	p := begin(t, stand(t, "hangs"), "BenchmarkHang", 10, 10)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := p.next(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestParseNumbers(t *testing.T) {
	for text, want := range map[string]string{
		"     100\t        12.5 ns/op\n":                                           "100: 12.5 ns/op",
		"BenchmarkX-2 \t     100\t 12 ns/op\t  7.00 MB/s\t 8 B/op\t 1 allocs/op\n": "100: 12 ns/op 7 MB/s 8 B/op 1 allocs/op",
		"     100\t     1e+300 x/op\n":                                             "100: 1e+300 x/op",
		"     100\t     NaN x/op\n":                                                "100: NaN x/op",
		"     100\t\n":                                                             "",
		"     100\t     five x/op\n":                                               "",
		"       0\t     5 x/op\n":                                                  "",
		"PASS\n":                                                                   "",
		"BenchmarkTalk is fine: 17 ns/op\n":                                        "",
	} {
		m, ok := parseNumbers(text)
		have := ""
		if ok {
			have = m.String()
		}
		require.Equal(t, want, have, "%q", text)
	}
}

func FuzzParseNumbers(f *testing.F) {
	f.Add("     100\t        12.5 ns/op\t 8 B/op\n")
	f.Add("BenchmarkX \t 1\t5 x\n")
	f.Fuzz(func(t *testing.T, text string) {
		if m, ok := parseNumbers(text); ok {
			require.Positive(t, m.Iterations)
			require.NotEmpty(t, m.Metrics)
		}
	})
}
