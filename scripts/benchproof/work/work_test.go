package work

import (
	"crypto/sha256"
	"encoding/json"
	"flag"
	"slices"
	"strconv"
	"testing"
)

// more is by how many per cent a benchmark does more work. A flag, so that both sides of a
// comparison are the same program.
var more = flag.Float64("more", 0, "per cent more work in each iteration")

// units is how many equal parts the work of an iteration has.
func units() int { return int(1000*(1+*more/100) + 0.5) }

var sink int

func BenchmarkCount(b *testing.B) {
	n := units()
	for b.Loop() {
		for i := range 10 * n {
			sink += i
		}
	}
}

func BenchmarkMap(b *testing.B) {
	m := make(map[int]int)
	for i := range 100_000 {
		m[i*7919] = i
	}
	n := units()
	for b.Loop() {
		for i := range n {
			sink += m[i*7919]
		}
	}
}

func BenchmarkHash(b *testing.B) {
	n, text := units(), make([]byte, 64)
	for b.Loop() {
		for range n / 10 {
			sum := sha256.Sum256(text)
			text[0] = sum[0]
		}
	}
}

// BenchmarkJSON allocates.
func BenchmarkJSON(b *testing.B) {
	type item struct {
		Name  string
		Value int
		Tags  []string
	}
	n := units()
	for b.Loop() {
		for i := range n / 10 {
			text, err := json.Marshal(item{"item " + strconv.Itoa(i), i, []string{"a", "b"}})
			if err != nil {
				b.Fatal(err)
			}
			sink += len(text)
		}
	}
}

func BenchmarkSort(b *testing.B) {
	const few = 50
	values := make([]int, few)
	n := units()
	for b.Loop() {
		for range n / 10 {
			for i := range values {
				values[i] = (i*7919 + 13) % 1009
			}
			slices.Sort(values)
		}
	}
}
