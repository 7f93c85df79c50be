package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
)

// vegeta as a closed loop: as fast as N workers can. The attack writes its results to a file, and
// is what is measured; the report on them is made afterwards, so that it does not take processor
// time away from the attack.
var vegeta = tool{
	name:    "vegeta",
	note:    "of vegeta it is the attack, which includes encoding every result",
	version: moduleVersion,
	command: func(l load) command {
		n := strconv.Itoa(l.vus)
		return command{
			args: []string{"attack", "-rate=0", "-workers=" + n, "-max-workers=" + n, "-connections=" + n, "-max-body=0",
				"-duration=" + l.seconds(), "-timeout=" + requestTimeout, "-output=" + vegetaResults(l)},
			stdin: "GET " + l.url + "\n",
		}
	},
	report: func(ctx context.Context, path string, l load) ([]byte, error) {
		out, err := exec.CommandContext(ctx, path, "report", "-type=json", vegetaResults(l)).Output()
		if err != nil {
			return nil, fmt.Errorf("vegeta report: %w", err)
		}
		return out, nil
	},
	parse: parseVegeta,
}

func vegetaResults(l load) string { return filepath.Join(l.dir, "vegeta.bin") }

func parseVegeta(text []byte) (outcome, error) {
	var report struct {
		Requests   uint64            `json:"requests"`
		Throughput float64           `json:"throughput"` // of successes
		Statuses   map[string]uint64 `json:"status_codes"`
	}
	if err := json.Unmarshal(text, &report); err != nil {
		return outcome{}, err
	}
	o := outcome{perSecond: report.Throughput}
	for status, n := range report.Statuses {
		if n > report.Requests-o.completed {
			return outcome{}, errors.New("more answers than requests")
		}
		if success(status) {
			o.completed += n
		}
	}
	o.failed = report.Requests - o.completed
	return o, nil
}
