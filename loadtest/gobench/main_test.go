package gobench

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// standIn is set where this test binary is the one that is measured: it has the benchmarks below
// then, and what it does beside them.
const standIn = "GOBENCH_STAND_IN"

func TestMain(m *testing.M) {
	does := os.Getenv(standIn)
	if strings.Contains(does, "declares") {
		fmt.Println("Unit laps/op better=lower")
	}
	if strings.Contains(does, "breaks") {
		fmt.Fprintln(os.Stderr, "no database")
		os.Exit(3)
	}
	// With -race, processes sleep for a second before they end, in case a race is about to be
	// reported.
	os.Setenv("GORACE", "atexit_sleep_ms=0")
	code := m.Run()
	if left := os.Getenv("GOBENCH_TIDY"); left != "" {
		if f, err := os.OpenFile(left, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666); err == nil {
			fmt.Fprintln(f, "tidied up")
			f.Close()
		}
	}
	os.Exit(code)
}

// onlyStandIn skips a benchmark of which go test -bench must not know, and reports whether this is
// the side that does what the name says.
func onlyStandIn(b *testing.B, what string) bool {
	does := os.Getenv(standIn)
	if does == "" {
		b.Skip("a stand-in for the tests")
	}
	return strings.Contains(does, what)
}

var sink int

// BenchmarkSpin counts, twice as far where it is slow.
func BenchmarkSpin(b *testing.B) {
	n := 1000
	if onlyStandIn(b, "slow") {
		n = 2000
	}
	for i := 0; i < b.N; i++ {
		for j := range n {
			sink += j
		}
	}
}

func BenchmarkLoop(b *testing.B) {
	onlyStandIn(b, "")
	b.SetBytes(1000)
	for b.Loop() {
		for j := range 1000 {
			sink += j
		}
	}
	b.ReportMetric(3, "laps/op")
}

var kept []byte

// BenchmarkAlloc allocates once for each iteration, or twice.
func BenchmarkAlloc(b *testing.B) {
	twice := onlyStandIn(b, "allocates")
	b.ReportAllocs()
	for b.Loop() {
		kept = make([]byte, 100)
		if twice {
			kept = make([]byte, 100)
		}
	}
}

func BenchmarkSub(b *testing.B) {
	onlyStandIn(b, "")
	for _, name := range []string{"size=1", "a/b c", "ends-2"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				sink++
			}
		})
	}
}

func BenchmarkTalk(b *testing.B) {
	onlyStandIn(b, "")
	fmt.Print("no end of line")
	for b.Loop() {
		sink++
	}
	fmt.Println("BenchmarkTalk is fine: 17 ns/op")
	fmt.Println(strings.Repeat("x", 10000))
	b.Log("logged")
}

func BenchmarkSkip(b *testing.B) {
	onlyStandIn(b, "")
	b.Skip("not today")
}

// BenchmarkFatal fails, in its first run or in a later one.
func BenchmarkFatal(b *testing.B) {
	if onlyStandIn(b, "fails") {
		b.Fatal("out of luck")
	}
	runs++
	for b.Loop() {
		sink++
	}
	if strings.Contains(os.Getenv(standIn), "tires") && runs > 1 {
		b.Fatal("tired")
	}
}

var runs int

func BenchmarkPanic(b *testing.B) {
	if onlyStandIn(b, "panics") {
		panic("lost")
	}
	for b.Loop() {
		sink++
	}
}

func BenchmarkHang(b *testing.B) {
	if onlyStandIn(b, "hangs") {
		time.Sleep(time.Hour)
	}
	for b.Loop() {
		sink++
	}
}

// BenchmarkOnly exists on one side only.
func BenchmarkOnly(b *testing.B) {
	if onlyStandIn(b, "lacks") {
		b.Skip()
	}
	for b.Loop() {
		sink++
	}
}

func BenchmarkParallel(b *testing.B) {
	onlyStandIn(b, "")
	b.RunParallel(func(pb *testing.PB) {
		for n := 0; pb.Next(); n++ {
			for range 1000 {
				n++
			}
		}
	})
}

func BenchmarkLong(b *testing.B) {
	onlyStandIn(b, "")
	for b.Loop() {
		time.Sleep(30 * time.Millisecond)
	}
}

// BenchmarkPrepares takes a while before each run.
func BenchmarkPrepares(b *testing.B) {
	onlyStandIn(b, "")
	time.Sleep(20 * time.Millisecond)
	for b.Loop() {
		for j := range 1000 {
			sink += j
		}
	}
}
