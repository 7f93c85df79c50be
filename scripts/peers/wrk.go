package main

import (
	"errors"
	"regexp"
	"strconv"
)

const nameWrk = "wrk"

// wrk with one thread. It counts answers of any status as requests.
var wrk = tool{
	name:    nameWrk,
	note:    "wrk runs with -t1",
	version: printedVersion(`^wrk (\S+)`, "-v"),
	command: func(l load) command {
		args := []string{"-t1", "-c", strconv.Itoa(l.vus), "-d", l.seconds(), "--timeout", requestTimeout, l.url}
		return command{args: args}
	},
	parse: parseWrk,
}

var (
	wrkRequests = regexp.MustCompile(`(?m)^ +(\d+) requests in `)
	wrkRate     = regexp.MustCompile(`(?m)^Requests/sec: +([\d.]+)$`)
	wrkErrors   = regexp.MustCompile(`(?m)^ +Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)$`)
	wrkStatus   = regexp.MustCompile(`(?m)^ +Non-2xx or 3xx responses: (\d+)$`)
)

func parseWrk(text []byte) (outcome, error) {
	all, ok := count(wrkRequests, text)
	perSecond, okRate := rate(wrkRate, text)
	if !ok || !okRate {
		return outcome{}, errors.New("no summary with requests and Requests/sec")
	}
	refused, ok := count(wrkStatus, text)
	if !ok && wrkStatus.Match(text) || refused > all {
		return outcome{}, errors.New("more answers that are no 2xx or 3xx than requests")
	}
	o := outcome{completed: all - refused, failed: refused}
	if all > 0 {
		o.perSecond = perSecond * float64(o.completed) / float64(all)
	}
	if m := wrkErrors.FindSubmatch(text); m != nil {
		for _, digits := range m[1:] {
			n, ok := requests(digits)
			if !ok {
				return outcome{}, errors.New("impossible number of socket errors")
			}
			o.failed += n
		}
	}
	return o, nil
}
