package gate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"golang.org/x/text/encoding/unicode"
)

// textLine is a line of a file as a terminal would show it: without colours, and one of the parts
// that carriage returns make of it.
type textLine struct {
	at   int // its number in the file; parts of a line share it
	text string
	cut  bool // the file ends here, without the end of a line
}

// stream is the lines that one process printed. A file is one, unless it has events of go test
// -json, where packages are interleaved.
type stream struct {
	pkg   string // as the events say it
	lines []textLine
}

// packed are the first bytes of files that are no text.
var packed = []struct{ magic, name string }{
	{"\x1f\x8b", "gzip"}, {"\x28\xb5\x2f\xfd", "zstd"}, {"PK\x03\x04", "zip"}, {"\xfd7zXZ", "xz"}, {"BZh", "bzip2"},
}

// decode returns the text of a file: UTF-8 as it is, UTF-16 (which PowerShell writes) converted.
func decode(content []byte) (string, error) {
	for _, p := range packed {
		if bytes.HasPrefix(content, []byte(p.magic)) {
			return "", fmt.Errorf("compressed with %s: unpack it first", p.name)
		}
	}
	endian, ok := asUTF16(content)
	if !ok {
		return string(content), nil
	}
	text, err := unicode.UTF16(endian, unicode.UseBOM).NewDecoder().Bytes(content)
	if err != nil {
		return "", fmt.Errorf("decode UTF-16: %w", err)
	}
	// What was appended in another encoding or byte order is other letters now.
	narrow, wide := []byte(resultPrefix), []byte("B\x00e\x00n\x00c\x00h\x00m\x00a\x00r\x00k")
	if bytes.Count(content, narrow)+bytes.Count(content, wide) > bytes.Count(text, narrow) {
		return "", fmt.Errorf("UTF-16, and results in another encoding or byte order among it: write all of the file in one")
	}
	return string(text), nil
}

// asUTF16 recognizes UTF-16 by its byte-order mark, or by its zero bytes: the names and numbers of
// results are ASCII.
func asUTF16(content []byte) (unicode.Endianness, bool) {
	switch {
	case bytes.HasPrefix(content, []byte{0xff, 0xfe}):
		return unicode.LittleEndian, true
	case bytes.HasPrefix(content, []byte{0xfe, 0xff}):
		return unicode.BigEndian, true
	}
	const few = 1 << 12
	var zeros [2]int
	head := content[:min(len(content), few)]
	for i, b := range head {
		if b == 0 {
			zeros[i%2]++
		}
	}
	half := len(head) / 2
	switch {
	case half > 1 && zeros[1] > half*3/4 && zeros[0] == 0:
		return unicode.LittleEndian, true
	case half > 1 && zeros[0] > half*3/4 && zeros[1] == 0:
		return unicode.BigEndian, true
	}
	return unicode.LittleEndian, false
}

var (
	// forward moves the cursor over blanks; motion moves it elsewhere, so that what follows is no
	// longer the same line; colours and all else leave it where it is.
	forward = regexp.MustCompile(`\x1b\[\d*C`)
	motion  = regexp.MustCompile(`\x1b(\[[\d;]*[ABDEFGHdf]|[78DEM])`)
	escape  = regexp.MustCompile(`\x1b(\[[0-?]*[ -/]*[@-~]|[]P^_X][^\x07\x1b]*(\x07|\x1b\\)|[ -/]+[0-~]|[0-Z\\^-~])`)
)

const byteOrderMark = "\uFEFF"

// splitLines splits text into lines. A carriage return ends one, too: progress bars go back with it
// and print over what is there, and nothing that was printed is to be lost.
func splitLines(text string) []textLine {
	end := "\n"
	if !strings.Contains(text, end) {
		end = "\r"
	}
	lines := make([]textLine, 0, strings.Count(text, end)+1)
	for at := 1; text != ""; at++ {
		line, rest, whole := strings.Cut(text, end)
		text = rest
		lines = appendParts(lines, textLine{at, line, !whole})
	}
	return lines
}

// appendParts appends what a terminal shows of a line.
func appendParts(lines []textLine, l textLine) []textLine {
	if !strings.ContainsAny(l.text, "\x1b\r") && !strings.HasPrefix(l.text, byteOrderMark) {
		return append(lines, l)
	}
	text := strings.TrimRight(l.text, "\r")
	if strings.Contains(text, "\x1b") {
		text = forward.ReplaceAllString(text, " ")
		text = motion.ReplaceAllString(text, "\r")
		text = escape.ReplaceAllString(text, "")
	}
	parts := strings.Split(text, "\r")
	for i, part := range parts {
		lines = append(lines, textLine{l.at, strings.TrimPrefix(part, byteOrderMark), l.cut && i == len(parts)-1})
	}
	return lines
}

// prefixes are what CI systems, containers and tools put before each line. Those with a name may be
// of several sources.
var prefixes = []struct {
	pattern *regexp.Regexp
	named   bool
}{
	// 2026-01-01T00:00:00.0000000Z; GitLab adds the number and kind of the stream, 00O.
	{regexp.MustCompile(`^\[?\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d([.,]\d+)?(Z|[+-]\d\d:?\d\d)?\]?( \d\d[OE][ +]?| |$)`),
		false},
	{regexp.MustCompile(`^\[?\d\d:\d\d:\d\d([.,]\d+)?\]?( |$)`), false},                         // ts -s, ts -i
	{regexp.MustCompile(`^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(\.\d+)?( |$)`), false},           // ts, syslog
	{regexp.MustCompile(`^[^\t]{1,200}\t[^\t]{1,200}\t\x{feff}?(\d{4}-\d\d-\d\dT\S+Z )`), true}, // gh run view --log
	{regexp.MustCompile(`^[^\s|]{1,200} +\|( |$)`), true},                                       // docker compose
	{regexp.MustCompile(`^\[[^\]]{1,200}\]( |$)`), true},
}

// unprefix takes off what stands before every line with the name of a benchmark. Where just some
// have it, it may be what a program printed; where it names several sources, their benchmarks are
// not the same.
func unprefix(lines []textLine) {
	const nested = 4
	for range nested {
		taken := false
		for _, p := range prefixes {
			if commonPrefix(lines, p.pattern, p.named) {
				taken = true
				for i, l := range lines {
					if m := p.pattern.FindString(l.text); m != "" {
						lines[i].text = strings.TrimPrefix(l.text[len(m):], byteOrderMark)
					}
				}
			}
		}
		if !taken {
			return
		}
	}
}

func commonPrefix(lines []textLine, pattern *regexp.Regexp, named bool) bool {
	source, found := "", false
	for _, l := range lines {
		if !strings.Contains(l.text, "Benchmark") {
			continue
		}
		m := pattern.FindStringSubmatch(l.text)
		if m == nil || strings.Contains(m[0], "Benchmark") {
			return false
		}
		of := strings.TrimSuffix(m[0], m[len(m)-1])
		if named && found && of != source {
			return false
		}
		source, found = of, true
	}
	return found
}

// event is one of go test -json.
type event struct{ Action, Package, Output string }

// streams takes events of go test -json apart by package, and joins what they split. All other
// lines are one stream. broken names lines that begin like an event and are none.
func streams(lines []textLine) (all []stream, broken []textLine) {
	if !hasEvents(lines) {
		return []stream{{lines: lines}}, nil
	}
	type open struct {
		at   int
		text string
	}
	place := map[string]int{}
	var pending []open
	in := func(pkg string) int {
		i, ok := place[pkg]
		if !ok {
			i = len(all)
			place[pkg] = i
			all, pending = append(all, stream{pkg: pkg}), append(pending, open{})
		}
		return i
	}
	for _, l := range lines {
		if !isEvent(l.text) {
			i := in("")
			all[i].lines = append(all[i].lines, l)
			continue
		}
		var e event
		if json.Unmarshal([]byte(l.text), &e) != nil {
			broken = append(broken, l)
			continue
		}
		i := in(e.Package)
		if e.Action == "fail" && e.Package != "" {
			e.Output += failedEvent + "\n"
		}
		for text := range strings.Lines(e.Output) {
			p := &pending[i]
			if p.text == "" {
				p.at = l.at
			}
			p.text += text
			if whole, ok := strings.CutSuffix(p.text, "\n"); ok {
				all[i].lines = appendParts(all[i].lines, textLine{p.at, whole, false})
				*p = open{}
			}
		}
	}
	for i, p := range pending {
		if p.text != "" {
			all[i].lines = appendParts(all[i].lines, textLine{p.at, p.text, true})
		}
	}
	return all, broken
}

// failedEvent stands for an event that says of a test or package only that it failed.
const failedEvent = "FAIL"

func isEvent(text string) bool {
	return strings.HasPrefix(text, "{") && strings.Contains(text, `"Action":`)
}

func hasEvents(lines []textLine) bool {
	for _, l := range lines {
		if isEvent(l.text) {
			return true
		}
	}
	return false
}
