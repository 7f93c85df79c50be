package main

import (
	"bytes"
	"errors"
	"math"
	"regexp"
	"strconv"
)

// hey prints its summary: with -o csv it would have to print each request.
var hey = tool{
	name:    "hey",
	note:    "hey keeps at most 500 idle connections",
	version: moduleVersion,
	command: func(l load) command {
		return command{args: []string{"-z", l.seconds(), "-c", strconv.Itoa(l.vus), "-t", "60", l.url}}
	},
	parse: parseHey,
}

var (
	heyTotal  = regexp.MustCompile(`(?m)^ +Total:\s+([\d.]+) secs$`)
	heyRate   = regexp.MustCompile(`(?m)^ +Requests/sec:\s+([\d.]+)$`)
	heyStatus = regexp.MustCompile(`(?m)^ +\[(\d+)\]\s+(\d+) responses$`)
	heyError  = regexp.MustCompile(`(?m)^ +\[(\d+)\]\s`)
)

// parseHey does not take the number of requests from the list of statuses, which ends with the
// first million.
func parseHey(text []byte) (outcome, error) {
	const most = 1 << 48
	seconds, ok := rate(heyTotal, text)
	perSecond, okRate := rate(heyRate, text)
	all := math.Round(seconds * perSecond)
	if !ok || !okRate || !(all >= 0 && all < most) {
		return outcome{}, errors.New("no summary with Total and Requests/sec")
	}
	var o outcome
	statuses, errorsText, _ := bytes.Cut(text, []byte("\nError distribution:\n"))
	for _, m := range heyStatus.FindAllSubmatch(statuses, -1) {
		n, ok := requests(m[2])
		if !ok {
			return outcome{}, errors.New("impossible number of responses")
		}
		if !success(string(m[1])) {
			o.failed += n
		}
	}
	for _, m := range heyError.FindAllSubmatch(errorsText, -1) {
		n, ok := requests(m[1])
		if !ok {
			return outcome{}, errors.New("impossible number of errors")
		}
		o.failed += n
	}
	if o.completed = uint64(all) - min(o.failed, uint64(all)); o.completed > 0 {
		o.perSecond = perSecond * float64(o.completed) / all
	}
	return o, nil
}

// success reports whether a status code is one of those that mean success.
func success(status string) bool { return len(status) == 3 && status[0] == '2' }
