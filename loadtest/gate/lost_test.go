package gate

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/stretchr/testify/require"
	"golang.org/x/perf/benchfmt"

	"rampart/loadtest/internal/race"
)

func wide(s string, big bool) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		if big {
			b.Write([]byte{byte(u >> 8), byte(u)})
		} else {
			b.Write([]byte{byte(u), byte(u >> 8)})
		}
	}
	return b.String()
}

// TestNoSampleIsLost reads files as terminals, shells, logs and CI make them: each result is read
// right, or named with its line.
func TestNoSampleIsLost(t *testing.T) {
	const x, y = "BenchmarkX-8   \t     100\t       123.0 ns/op\n", "BenchmarkY-8   \t     100\t       456.0 ns/op\n"
	event := func(pkg, output string) string {
		return fmt.Sprintf(`{"Time":"2026-01-01T00:00:00Z","Action":"output","Package":%q,"Output":%q}`+"\n", pkg, output)
	}
	for _, tt := range []struct {
		name, content string
		read          string // name:value of what is read, in order
		named         string // line numbers of problems
	}{
		{"plain", x + y, "X-8:123 Y-8:456", ""},
		{"text before the name", x + "loading fixtures... " + y, "X-8:123", "2"},
		{"text before the name, no blank", "done" + x, "", "1"},
		{"text between name and numbers, in later lines", "BenchmarkX-8   \tlog line\nmore\n     100\t       123.0 ns/op\n" +
			y, "X-8:123 Y-8:456", ""},
		{"a line end between name and numbers", "BenchmarkX-8   \t\n     100\t       123.0 ns/op\n", "X-8:123", ""},
		{"text between name and numbers, in the line", "BenchmarkX-8   \tlog     100\t  123.0 ns/op\n" + y, "Y-8:456", "1"},
		{"numbers never come", "BenchmarkX-8   \tlog line\n" + y + "PASS\n", "Y-8:456", "1"},
		{"name alone at the end", y + "BenchmarkX-8   \tlog line\nPASS\n", "Y-8:456", "2"},
		{"numbers without a name", "     100\t       123.0 ns/op\n" + y, "Y-8:456", "1"},
		{"text before the name, and between it and the numbers",
			"loading BenchmarkX-8   \tlog\nmore     100\t       123.0 ns/op\n" + y, "Y-8:456", "2"},
		{"text before the name, and numbers of a rate alone",
			"loading BenchmarkX-8   \tlog\nmore     100\t  5.000e+03 req/s\n" + y, "Y-8:456", "2"},
		{"behind a mark", "# rampart duel seed=42 block=1\n" + x + "# rampart duel seed=42 block=2 " + y, "X-8:123", "3"},
		{"verbose", "=== RUN   BenchmarkX\nBenchmarkX\nlog\n" + x, "X-8:123", ""},
		{"text after", "BenchmarkX-8 100 123 ns/op and more\n" + y, "Y-8:456", "1"},
		{"text glued to the unit", "BenchmarkX-8 100 123 ns/opDone\n" + y, "Y-8:456", "1"},
		{"a dot glued to the unit", "BenchmarkX-8 100 123 ns/op.\n" + y, "Y-8:456", "1"},
		{"cut after the count", "BenchmarkX-8 100\n" + y, "Y-8:456", "1"},
		{"cut in the number", "BenchmarkX-8 100 12\n3 ns/op\n" + y, "Y-8:456", "1"},
		{"cut at the end", x + "BenchmarkY-8   \t     100\t       456.0 ns/op", "X-8:123", "2"},
		{"two in a line", strings.TrimSuffix(x, "\n") + y, "", "1"},
		{"byte-order mark", "\uFEFF" + x + y, "X-8:123 Y-8:456", ""},
		{"two byte-order marks", "\uFEFF" + x + "\uFEFF" + y, "X-8:123 Y-8:456", ""},
		{"UTF-16 little", "\xff\xfe" + wide(x+y, false), "X-8:123 Y-8:456", ""},
		{"UTF-16 big", "\xfe\xff" + wide(x+y, true), "X-8:123 Y-8:456", ""},
		{"UTF-16 without a mark", wide(x+y, false), "X-8:123 Y-8:456", ""},
		{"UTF-16 big without a mark", wide(x+y, true), "X-8:123 Y-8:456", ""},
		{"UTF-16 appended to ASCII", strings.Repeat(x, 200) + wide(y, false),
			strings.TrimSpace(strings.Repeat("X-8:123 ", 200)), "201"},
		{"CRLF", strings.ReplaceAll(x+y, "\n", "\r\n"), "X-8:123 Y-8:456", ""},
		{"CR only", strings.ReplaceAll(x+y, "\n", "\r"), "X-8:123 Y-8:456", ""},
		{"zero byte in a name", "Benchmark\x00X-8 100 123 ns/op\n" + y, "Y-8:456", "1"},
		{"zero bytes before", "\x00\x00\x00" + x + y, "Y-8:456", "1"},
		{"colours", "\x1b[32mBenchmarkX-8\x1b[0m \t 100\t \x1b[1m123\x1b[m ns/op\n", "X-8:123", ""},
		{"cursor", "\x1b[2K\x1b[1GBenchmarkX-8\x1b[4C100\x1b[2C123 ns/op\x1b[K\n", "X-8:123", ""},
		{"title", "\x1b]0;tests\x07" + x, "X-8:123", ""},
		{"progress bar", " 10 %\r 90 %\r" + x, "X-8:123", ""},
		{"progress bar over a result", strings.TrimSuffix(x, "\n") + "\r 90 %\n" + y, "X-8:123 Y-8:456", ""},
		{"progress bar within a result", "BenchmarkX-8   \t 10 %\r 90 %\r     100\t       123.0 ns/op\n", "X-8:123", ""},
		{"backspaces", "|\b/\b" + x + y, "Y-8:456", "1"},
		{"json", event("p", "pkg: p\n") + event("p", "BenchmarkX-8 \t") + event("p", "     100\t 123 ns/op\n"), "X-8:123",
			""},
		{
			"json, interleaved packages", event("p", "BenchmarkX-8 \t") + event("q", "BenchmarkY-8 \t") +
				event("p", "     100\t 123 ns/op\n") +
				event("q", "     100\t 456 ns/op\n"), "X-8:123 Y-8:456", "",
		},
		{"json beside text", x + event("p", strings.TrimSpace(y)+"\n"), "X-8:123 Y-8:456", ""},
		{"json, cut", event("p", x) + event("p", y)[:90], "X-8:123", "2"},
		{"json, no end of line", event("p", x) + event("p", strings.TrimSpace(y)), "X-8:123", "2"},
		{"json, failed", event("p", x) + `{"Action":"fail","Package":"p"}` + "\n", "X-8:123", "2"},
		{"GitHub", "2026-01-01T00:00:00.0000000Z " + x + "2026-01-01T00:00:01.0000000Z " + y, "X-8:123 Y-8:456", ""},
		{"GitHub, some lines", "2026-01-01T00:00:00.0000000Z " + x + y, "Y-8:456", "1"},
		{"gh run view", "job\tstep\t2026-01-01T00:00:00.0000000Z " + x + "job\tstep\t2026-01-01T00:00:01.0000000Z " + y,
			"X-8:123 Y-8:456", ""},
		{"GitLab", "2026-01-01T00:00:00.000000Z 00O " + x, "X-8:123", ""},
		{"GitLab section", "section_start:1560896352:bench\r\x1b[0K" + x, "X-8:123", ""},
		{"job", "[bench] " + x + "[bench] " + y, "X-8:123 Y-8:456", ""},
		{"Buildkite", "\x1b_bk;t=1767225600000\a" + x, "X-8:123", ""},
		{"two jobs", "[one] " + x + "[two] " + y, "", "1 2"},
		{"compose", "Attaching to bench\nbench  | " + x + "bench  | " + y, "X-8:123 Y-8:456", ""},
		{"two services", "a  | " + x + "b  | " + y, "", "1 2"},
		{"ts", "Jan 01 00:00:00 " + x, "X-8:123", ""},
		{"long log line", strings.Repeat("x", 100_000) + "\n" + x, "X-8:123", ""},
		{"long name", "Benchmark" + strings.Repeat("X", 100_000) + " 100 123 ns/op\n" + y,
			strings.Repeat("X", 100_000) + ":123 Y-8:456", ""},
		{"prose", "Benchmark results: 5 of them\nBenchmarkFoo is 10 % faster\nBenchmarks took 5 s\n* BenchmarkFoo\n" + x,
			"X-8:123", ""},
		{"prose with numbers", "Benchmarking localhost (be patient)\nrequests took 100 ns/op\n[2026] 5 req/s\n" + x,
			"X-8:123", ""},
		{"table that quotes", "| BenchmarkX-8 | 123 ns/op |\n" + y, "Y-8:456", "1"},
		{"list that quotes", "- BenchmarkX-8 100 123 ns/op\n" + y, "Y-8:456", "1"},
		{"out-commented", "# BenchmarkX-8 100 123 ns/op\n" + y, "Y-8:456", "1"},
		{"logged", "    x_test.go:1: BenchmarkX-8 100 123 ns/op\n" + y, "Y-8:456", "1"},
		{"decimal comma", "BenchmarkX-8 100 123,4 ns/op\n" + y, "Y-8:456", "1"},
		{"thousands", "BenchmarkX-8 100 1,234 ns/op\nBenchmarkX-8 1,000 1234 ns/op\nBenchmarkX-8 100 1'234 ns/op\n" + y,
			"Y-8:456", "1 2 3"},
		{"exponents", "BenchmarkX-8 100 1e+06 ns/op\nBenchmarkY-8 100 0x1p-2 ns/op\n", "X-8:1e+06 Y-8:0.25", ""},
		{"no numbers", "BenchmarkX-8 100 NaN ns/op\nBenchmarkY-8 100 -5 ns/op\n", "X-8:NaN Y-8:-5", ""},
		{"out of range", "BenchmarkX-8 100 1e999 ns/op\nBenchmarkX-8 99999999999999999999 5 ns/op\nBenchmarkX-8 0 5 ns/op\n",
			"", "1 2 3"},
		{"blank in a name", "BenchmarkX/a b-8 100 123 ns/op\n" + y, "Y-8:456", "1"},
		{"blank in a unit", "BenchmarkX-8 100 123 ns / op\n" + y, "Y-8:456", "1"},
		{"number stuck to its unit", "BenchmarkX-8 100 123ns/op\n" + y, "Y-8:456", "1"},
		{"Unicode", "BenchmarkÄ/größe=1-8 100 123 ns/op\n", "Ä/größe=1-8:123", ""},
		{"no name at all", "Benchmark \t 100\t 123 ns/op\n", ":123", ""},
		{"unit twice", "BenchmarkX-8 100 123 ns/op 124 ns/op\n", "X-8:123", "1"},
		{"contradictory units", "Unit ns/op better=lower\n" + x + "Unit ns/op better=higher\n", "X-8:123", "3"},
		{"Unit behind text", "foo Unit ns/op better=higher\n" + x, "X-8:123", "1"},
		{"Unit in prose", "Unit tests passed\n" + x, "X-8:123", ""},
		{"skipped", "BenchmarkX-8 \t--- SKIP: BenchmarkX-8\n" + y, "Y-8:456", ""},
		{"failed", "BenchmarkX-8 \t--- FAIL: BenchmarkX-8\n" + y, "Y-8:456", "1"},
		{"killed", x + "signal: killed\n", "X-8:123", "2"},
		{"panic", "BenchmarkX-8 \tpanic: test timed out after 1s\n" + y, "Y-8:456", "1"},
		{"fatal", x + "fatal error: all goroutines are asleep - deadlock!\n", "X-8:123", "2"},
		{"failed as a whole", x + "FAIL\n", "X-8:123", "2"},
		{"end of the package", "pkg: p\n" + x + "PASS\nok  \tp\t1.234s\n", "X-8:123", ""},
		{"end of another package", "pkg: p\n" + x + "PASS\nok  \tq\t1.234s\n", "X-8:123", "4"},
		{"failed end of another package", "pkg: p\n" + x + "FAIL\tq\t1.234s\n", "X-8:123", "3 3"},
		{"end of another package, cached and with blanks", "pkg: p\n" + x + "ok      q       (cached)\n", "X-8:123", "3"},
		{"two runs at once", "pkg: p\npkg: q\n" + x + y + "ok  \tp\t1.2s\nok  \tq\t1.2s\n", "X-8:123 Y-8:456", "5"},
		{
			"a package whose head is missing", "pkg: p\n" + x + "ok  \tp\t1.2s\tcoverage: 1.0% of statements\n" + y +
				"ok  \tq\t1.2s\n",
			"X-8:123 Y-8:456", "5",
		},
		{
			"packages without benchmarks", "pkg: p\n" + x +
				"ok  \tp\t1.2s\nPASS\nok  \tq\t0.1s\n?   \tr\t[no test files]\npkg: s\nok  \tt\t0.1s\n",
			"X-8:123", "",
		},
		{"end of a package that no line names", x + "ok  \tp\t1.2s\n", "X-8:123", ""},
		{"prose like an end", "pkg: p\n" + x + "ok  then, took 5s\n", "X-8:123", ""},
		{"json, end", event("p", "pkg: p\n") + event("p", x) + event("p", "ok  \tp\t1.2s\n") + event("q", "ok  \tq\t1.2s\n"),
			"X-8:123", ""},
		{"chatty", x + "error: no route to 10.0.0.1: 100 req/s lost\nwarning: 5 ns/op\n" + y, "X-8:123 Y-8:456", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := Parse("f", []byte(tt.content))
			require.NoError(t, err)
			var read, named []string
			for _, l := range r.lines {
				read = append(read, fmt.Sprintf("%s:%v", l.name, l.values[0].value))
			}
			for _, b := range r.broken {
				named = append(named, strings.Split(b, ":")[1])
			}
			require.Equal(t, tt.read, strings.Join(read, " "))
			require.Equal(t, tt.named, strings.Join(named, " "), "%q", r.broken)
		})
	}
}

// TestPackedFileIsNamed: what is no text says so.
func TestPackedFileIsNamed(t *testing.T) {
	_, err := Parse("old.txt", []byte("\x1f\x8b\x08\x00..."))
	require.EqualError(t, err, "old.txt: compressed with gzip: unpack it first")
}

// TestEncodingsAreNotMixed: what PowerShell began and another shell goes on with is not lost.
func TestEncodingsAreNotMixed(t *testing.T) {
	const x = "BenchmarkX-8 \t 100\t 123.0 ns/op\n"
	little, big := wide(x, false), wide(x, true)
	for name, content := range map[string]string{
		"ASCII after little": "\xff\xfe" + little + x, "ASCII after big": "\xfe\xff" + big + x,
		"big after little": "\xff\xfe" + little + big, "little after big": "\xfe\xff" + big + "\xff\xfe" + little,
		"off by one": "\xff\xfe" + little + "\n" + little,
	} {
		_, err := Parse("old.txt", []byte(content))
		require.EqualError(t, err, "old.txt: UTF-16, and results in another encoding or byte order among it: "+
			"write all of the file in one", name)
	}
	r, err := Parse("old.txt", []byte("\xff\xfe"+little+"\xff\xfe"+little))
	require.NoError(t, err)
	require.Len(t, r.lines, 2)
}

// TestLongLinesTakeNoTime: a log line of a megabyte is looked through once.
func TestLongLinesTakeNoTime(t *testing.T) {
	for _, piece := range []string{"Benchmark", "BenchmarkA ", "BenchmarkA 5 ", "Benchmark\t5 "} {
		begun := time.Now()
		_, err := Parse("f", []byte("x"+strings.Repeat(piece, 1<<20/len(piece))+"\n"))
		require.NoError(t, err)
		require.Less(t, time.Since(begun), 5*race.Slowness*time.Second, piece)
	}
}

// TestSettingsAmidSamples: what a program prints between two samples does not make them two
// benchmarks, configuration does.
func TestSettingsAmidSamples(t *testing.T) {
	const head = "goos: linux\npkg: p\n"
	sample := func(ns int) string { return fmt.Sprintf("BenchmarkX 10 %d ns/op\n", ns) }
	many := func(ns int) (b string) { return strings.Repeat(sample(ns), 8) }
	for _, tt := range []struct {
		name, old, candidate string
		rows, gaps           int
		note                 string
	}{
		{"noise", head + many(100) + "error: refused\n" + many(100), head + many(100), 1, 0,
			`"error: refused" and such are taken for the output of a program`},
		{"noise in both", head + many(100) + "error: a\n" + many(100), head + many(100) + "error: b\n" + many(100), 1, 0,
			`"error: b" and such`},
		{"configuration", head + "mode: fast\n" + many(100) + "mode: slow\n" + many(200),
			head + "mode: fast\n" + many(100) + "mode: slow\n" + many(200), 2, 0, ""},
		{"late, the same in both", head + many(100) + "mode: slow\n" + many(200),
			head + many(100) + "mode: slow\n" + many(200), 2, 0, ""},
		{"late, in one's head", head + many(100) + "mode: slow\n" + many(200),
			head + "mode: slow\n" + many(200) + "mode: fast\n" + many(200), 1, 1, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x, err := Parse("old", []byte(tt.old))
			require.NoError(t, err)
			y, err := Parse("new", []byte(tt.candidate))
			require.NoError(t, err)
			r, err := Judge(x, y, Options{Alpha: 0.05})
			require.NoError(t, err)
			require.Empty(t, r.Problems)
			require.Len(t, r.Rows, tt.rows)
			require.Len(t, r.Gaps, tt.gaps)
			require.Contains(t, strings.Join(r.Notes, "\n"), tt.note)
			if tt.note == "" {
				require.NotContains(t, strings.Join(r.Notes, "\n"), "taken for the output")
			}
		})
	}
}

// FuzzNothingIsLost: each line with something like a result is among the samples or the problems,
// whatever is around it. What is like a result is said here anew, by one pattern.
func FuzzNothingIsLost(f *testing.F) {
	f.Add("loading... ", "", " \t 100\t 123 ns/op", "")
	f.Add("", " log line", "\t100 123 p99-ns", "x")
	f.Add("\x1b[1m", "\r", " 100 5 req/s", " y")
	f.Add("| ", "|", " 5 MB/s", " |")
	like := regexp.MustCompile(`Benchmark[A-Z0-9]\w*.*\s\d+(\.\d+)?\s+(ns/op|B/op|req/s|MB/s|p99-ns)\b`)
	f.Fuzz(func(t *testing.T, before, name, numbers, after string) {
		text := before + "BenchmarkX" + name + numbers + after
		if strings.ContainsAny(text, "\n\r\x1b") || strings.HasPrefix(text, "{") || !like.MatchString(text) {
			return
		}
		r, err := Parse("f", []byte("\n"+text+"\n"))
		require.NoError(t, err)
		require.True(t, len(r.lines) > 0 || len(r.broken)+len(r.failed) > 0, "%q is lost", text)
	})
}

// FuzzAsBenchfmt: what benchstat reads has the same values here, or is named.
func FuzzAsBenchfmt(f *testing.F) {
	f.Add("X-8 100 123.4 ns/op 5 B/op")
	f.Add("X\u00a0100\t0x1p-2 ns/op")
	f.Add(" 1 1e+06 µs/op NaN x")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsAny(text, "\r\n\x1b") || len(text) > 10_000 {
			return
		}
		content := []byte("Benchmark" + text + "\n")
		r, err := Parse("f", content)
		require.NoError(t, err)
		reader := benchfmt.NewReader(bytes.NewReader(content), "f")
		if !reader.Scan() {
			return
		}
		theirs, ok := reader.Result().(*benchfmt.Result)
		if !ok || len(r.broken)+len(r.failed) > 0 {
			return
		}
		require.Len(t, r.lines, 1)
		require.Equal(t, theirs.Name.String(), r.lines[0].name)
		require.Equal(t, theirs.Iters, r.lines[0].iterations)
		require.Len(t, r.lines[0].values, len(theirs.Values))
		for i, v := range theirs.Values {
			ours := r.lines[0].values[i]
			require.Equal(t, v.Unit, map[bool]string{true: ours.unit, false: ours.tidy}[v.OrigUnit == ""])
			if v.Value == v.Value {
				require.Equal(t, v.Value, ours.value*map[bool]float64{true: 1, false: ours.factor}[v.OrigUnit == ""])
			}
		}
	})
}
