package k6

import (
	"bytes"
	"strings"
	"time"
)

// output is what k6 says on stderr: its end is kept, and the edges of the window are told on. A
// process writes it; it may be read when that has ended.
type output struct {
	edges chan time.Time // when k6 said that the window opened and that it closed
	token string         // in lines that tell of an edge, and in no others
	part  []byte         // of a line
	lines []string
}

func newOutput(token string) *output { return &output{token: token, edges: make(chan time.Time, 2)} }

// How much of the output is kept.
const (
	outputLines = 20
	outputWidth = 1000 // bytes of a line
)

// Write never fails: what k6 says must not be able to stop it.
func (o *output) Write(b []byte) (int, error) {
	n := len(b)
	for {
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			o.part = append(o.part, b[:min(len(b), max(0, outputWidth-len(o.part)))]...)
			return n, nil
		}
		o.part = append(o.part, b[:min(end, max(0, outputWidth-len(o.part)))]...)
		o.line(string(o.part))
		o.part = o.part[:0]
		b = b[end+1:]
	}
}

func (o *output) line(line string) {
	if strings.Contains(line, o.token) {
		select {
		case o.edges <- time.Now():
		default: // a third edge is none
		}
		return
	}
	o.lines = append(o.lines, line)
	o.lines = o.lines[max(0, len(o.lines)-outputLines):]
}

// String is the end of the output.
func (o *output) String() string {
	lines := o.lines
	if len(o.part) > 0 {
		lines = append(lines, string(o.part))
	}
	return strings.Join(lines, "\n")
}
