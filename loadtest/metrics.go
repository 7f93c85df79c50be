package loadtest

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// longestMetric is how long a line of a page of metrics may be.
const longestMetric = 1 << 20

// sumMetric adds the values that a page has for a metric, whatever their labels: of several workers
// each has its own. The page is in the text format of Prometheus 0.0.4 or of OpenMetrics 1.0. Other
// lines are not looked at. 0: the page does not have the metric.
//
// The parser of Prometheus would bring protobuf, with 30 packages, to whoever imports this one.
func sumMetric(page io.Reader, name string) (sum float64, err error) {
	lines := bufio.NewScanner(page)
	lines.Buffer(nil, longestMetric)
	for lines.Scan() {
		line := strings.TrimLeft(lines.Text(), " \t")
		rest, ok := strings.CutPrefix(line, name)
		if !ok || rest == "" || inMetricName(rest[0]) {
			continue // another metric, or a comment
		}
		value, err := metricValue(rest)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		sum += value
	}
	return sum, lines.Err()
}

func inMetricName(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == ':'
}

// metricValue reads what follows the name of a counter: labels, a value, and what may stand behind
// it, such as a time.
func metricValue(s string) (float64, error) {
	s = strings.TrimLeft(s, " \t")
	if strings.HasPrefix(s, "{") {
		end := labelsEnd(s)
		if end < 0 {
			return 0, fmt.Errorf("labels that do not end: %.100q", s)
		}
		s = s[end:]
	}
	fields := strings.Fields(s)
	if len(fields) == 0 {
		return 0, fmt.Errorf("no value")
	}
	value, err := strconv.ParseFloat(fields[0], 64)
	if err != nil || value < 0 || math.IsNaN(value) || math.IsInf(value, 0) {
		return 0, fmt.Errorf("%.100q is no value of a counter", fields[0])
	}
	return value, nil
}

// labelsEnd is where the labels at the beginning of s are over; negative: nowhere. A value of a
// label is in quotes, and may have any character.
func labelsEnd(s string) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case quoted && s[i] == '\\':
			i++ // what is escaped
		case !quoted && s[i] == '}':
			return i + 1
		}
	}
	return -1
}
