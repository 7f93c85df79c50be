package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"strconv"
)

//go:embed load.js
var k6Script string

// k6 with the shortest script. It reads the script from standard input.
var k6 = tool{
	name:    "k6",
	note:    "k6 discards bodies",
	version: printedVersion(`^k6 (\S+)`, "version"),
	command: func(l load) command {
		return command{
			args: []string{"run", "--quiet", "--no-usage-report", "--address", "", "--vus", strconv.Itoa(l.vus),
				"--duration", l.seconds(), "-e", "URL=" + l.url, "-"},
			stdin: k6Script,
		}
	},
	parse: parseK6,
}

func parseK6(text []byte) (outcome, error) {
	var summary struct {
		Requests struct {
			Count uint64  `json:"count"`
			Rate  float64 `json:"rate"`
		} `json:"http_reqs"`
		Failed struct {
			Passes uint64 `json:"passes"` // requests of which it is true that they failed
		} `json:"http_req_failed"`
	}
	if err := json.Unmarshal(text, &summary); err != nil {
		return outcome{}, err
	}
	all, failed := summary.Requests.Count, summary.Failed.Passes
	if failed > all {
		return outcome{}, errors.New("more failed requests than requests")
	}
	o := outcome{completed: all - failed, failed: failed}
	if all > 0 {
		o.perSecond = summary.Requests.Rate * float64(o.completed) / float64(all)
	}
	return o, nil
}
