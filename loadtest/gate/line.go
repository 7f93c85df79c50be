package gate

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/perf/benchunit"
)

// line is a benchmark line.
type line struct {
	at         int // its number in the file
	name       string
	iterations int
	settings   int // so many of the file's settings stand before it
	block      block
	took       time.Duration // of the block; 0: nobody says it
	values     []value
}

// unitName is a unit as written, and as that which tells units apart.
type unitName struct {
	unit, tidy string
	factor     float64 // from unit to tidy
}

// value is a measured value.
type value struct {
	*unitName
	value float64 // in unit
	step  float64 // the worth of the last digit that was printed
}

// find returns the value of a unit.
func (l line) find(tidy string) (value, bool) {
	for _, v := range l.values {
		if v.tidy == tidy {
			return v, true
		}
	}
	return value{}, false
}

// unitNames keeps what is known of units.
type unitNames map[string]*unitName

func (n unitNames) of(unit string) *unitName {
	if u, ok := n[unit]; ok {
		return u
	}
	factor, tidy := benchunit.Tidy(1, unit)
	u := &unitName{strings.Clone(unit), tidy, factor}
	n[u.unit] = u
	return u
}

// field cuts the first field off, as benchfmt does.
func field(s string) (first, rest string) {
	i := strings.IndexFunc(s, unicode.IsSpace)
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.TrimLeftFunc(s[i:], unicode.IsSpace)
}

const resultPrefix = "Benchmark"

// parseResult parses a line that begins with Benchmark. It takes what golang.org/x/perf/benchfmt
// takes, with the same values; but benchfmt keeps no digits, ends at lines of 64 kB, and also takes
// what must be something else: numbers that measure nothing, and text that sticks to a unit. The
// error says why it is none.
func (n unitNames) parseResult(text string) (line, error) {
	name, rest := field(text[len(resultPrefix):])
	l, err := n.parseNumbers(rest)
	l.name = name
	if err == nil && strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && !unicode.IsSpace(r) }) {
		err = fmt.Errorf("%q: a control character in a result", clip(text))
	}
	return l, err
}

// parseNumbers parses what stands after the name.
func (n unitNames) parseNumbers(text string) (l line, err error) {
	count, rest := field(text)
	if count == "" {
		return l, fmt.Errorf("no numbers after the name")
	}
	if l.iterations, err = strconv.Atoi(count); err != nil {
		return l, fmt.Errorf("%q is no number of iterations", clip(count))
	}
	if rest == "" {
		return l, fmt.Errorf("no measurement after the number of iterations")
	}
	for rest != "" {
		var number, unit string
		number, rest = field(rest)
		x, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return l, fmt.Errorf("%q is no number that can be read", clip(number))
		}
		if unit, rest = field(rest); unit == "" {
			return l, fmt.Errorf("no unit after %s", clip(number))
		}
		v := value{n.of(unit), x, lastDigit(number)}
		l.values = append(l.values, v)
		if tooSmall(number, v) {
			return l, fmt.Errorf("%s %s is nearer to 0 than can be read", clip(number), clip(unit))
		}
		if glued.MatchString(unit) {
			return l, fmt.Errorf("%q: other text behind a unit", clip(unit))
		}
	}
	if l.iterations < 1 {
		return l, fmt.Errorf("%d iterations measure nothing", l.iterations)
	}
	return l, nil
}

// tooSmall reports whether a number is not 0, and lost digits because it is so near to it, or
// became 0 altogether.
func tooSmall(number string, v value) bool {
	const smallest = 0x1p-1022 // with all digits
	if v.value == 0 {
		mantissa, _, _ := strings.Cut(strings.ToLower(number), "e")
		if strings.HasPrefix(strings.TrimLeft(mantissa, "+-"), "0x") {
			mantissa, _, _ = strings.Cut(strings.ToLower(number)[strings.IndexByte(number, '0')+2:], "p")
			return strings.ContainsAny(mantissa, "123456789abcdef")
		}
		return strings.ContainsAny(mantissa, "123456789")
	}
	return math.Abs(v.value) < smallest || math.Abs(v.value*v.factor) < smallest
}

// lastDigit is what one more in the last digit of a number would add. Hexadecimal is exact.
func lastDigit(number string) float64 {
	mantissa, exponent := number, 0
	if i := strings.IndexAny(number, "eExX"); i >= 0 {
		if number[i]|0x20 == 'x' {
			return 0
		}
		mantissa = number[:i]
		exponent, _ = strconv.Atoi(number[i+1:])
	}
	if i := strings.IndexByte(mantissa, '.'); i >= 0 {
		exponent -= len(mantissa) - i - 1
	}
	x, _ := strconv.ParseFloat("1e"+strconv.Itoa(exponent), 64) // nearer than math.Pow10 times something
	return x
}

var (
	// glued is a unit of package testing and what a program printed right behind it. MB/sec and
	// ns/operation are units.
	glued = regexp.MustCompile(`^(ns/op|B/op|allocs/op|MB/s)([^\w/-]|[A-Z]|--)`)

	// numbers is what package testing prints after the name when the program has printed something
	// in between.
	numbersLine = regexp.MustCompile(`^\s*\d+(\t|  )\s*[-+.\d]\S*\s+\S`)

	// gluedNumbers is the same behind what the program printed without the end of a line.
	gluedNumbers = regexp.MustCompile(`\d\t *[\d.]+(e[+-]?\d+)? \S+/(op|s)\b`)

	// openName is a name as package testing prints it before the benchmark runs: filled up with
	// blanks, and a tab.
	openName = regexp.MustCompile(`^Benchmark(?:[^a-z\s]\S*)?(?: *\t|  )`)

	contiguous = regexp.MustCompile(
		`Benchmark\S*\s+\d[\d.,_']*\s+[-+.]?(?:\d\S*|[Nn][Aa][Nn]|[Ii][Nn][Ff]\S*)\s*(?:[\pL%µ]\S*)`)
	number   = regexp.MustCompile(`^[-+.]?(\d|(?i:nan|inf))`)
	unitLike = regexp.MustCompile(`/op|/s|(^|[-\d])(ns|us|µs|ms|sec|bytes|B|MB)($|\W)`)
)

const punctuation = "|*`_()[]{}\"',;:<>~"

// holdsResult reports whether a line that is no result has one in it, behind or amid other text:
// the name of a benchmark and, somewhere after it, a number with a unit.
func holdsResult(text string) bool {
	if contiguous.MatchString(text) {
		return true
	}
	for {
		i := strings.Index(text, resultPrefix)
		if i < 0 {
			return false
		}
		text = text[i:]
		name, rest := field(text)
		after := name[len(resultPrefix):]
		if after != "" && !(after[0] >= 'a' && after[0] <= 'z') && strings.Trim(after, punctuation+".!?") != "" {
			return measured(name, rest) // what follows later names follows this one, too
		}
		text = text[len(resultPrefix):]
	}
}

// measured reports whether there is a number with a unit among fields.
func measured(last, rest string) bool {
	for rest != "" {
		var f string
		f, rest = field(rest)
		f = strings.Trim(f, punctuation)
		if f == "" {
			continue
		}
		if unitLike.MatchString(f) && (number.MatchString(last) || number.MatchString(f)) {
			return true
		}
		last = f
	}
	return false
}

// clip shortens what goes into a message.
func clip(s string) string {
	const enough = 100
	if len(s) <= enough {
		return s
	}
	return strings.ToValidUTF8(s[:enough], "") + "…"
}
