//go:build linux

package prefork

import (
	"encoding/binary"
	"sync/atomic"
	"unicode/utf8"
)

// text is a short string in shared memory: a count, which is odd while its only writer writes, and
// behind it the bytes.
type text []atomic.Uint64

// set writes as much of s as there is room for.
func (t text) set(s string) {
	buf := make([]byte, 8*(len(t)-1))
	n := copy(buf, s)
	for n < len(s) && n > 0 && !utf8.RuneStart(s[n]) { // no half letters
		n--
	}
	clear(buf[n:])
	t[0].Add(1)
	for i := range t[1:] {
		t[1+i].Store(binary.LittleEndian.Uint64(buf[8*i:]))
	}
	t[0].Add(1)
}

// get reads it, or nothing if the writer died while it wrote.
func (t text) get() string {
	buf := make([]byte, 8*(len(t)-1))
	for range 1000 {
		before := t[0].Load()
		for i := range t[1:] {
			binary.LittleEndian.PutUint64(buf[8*i:], t[1+i].Load())
		}
		if before%2 == 0 && t[0].Load() == before {
			n := 0
			for n < len(buf) && buf[n] != 0 {
				n++
			}
			return string(buf[:n])
		}
	}
	return ""
}
