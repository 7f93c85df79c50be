package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const nameRampart = "rampart"

// rampart is the compiled experiments, of which one level is run.
var rampart = tool{
	name:    nameRampart,
	note:    "rampart is bin/client with one level of BenchmarkLevel, its files included",
	version: commit,
	command: func(l load) command {
		return command{
			args: []string{"-test.run", "^$", "-test.bench", "Level"},
			env: []string{"SERVER=" + l.url, "VUS=" + strconv.Itoa(l.vus), "DURATION=" + l.seconds(), "WARMUP=0s",
				"REQUEST_TIMEOUT=" + requestTimeout, "RESULTS=" + l.dir, "CI=true"}, // CI: no bar on the terminal
		}
	},
	report: func(_ context.Context, _ string, l load) ([]byte, error) {
		return os.ReadFile(filepath.Join(l.dir, "latest", "result.json"))
	},
	parse: func(text []byte) (outcome, error) {
		level, err := parseRampart(text)
		return level.outcome, err
	},
}

// rampartLevel is what result.json says of its only level.
type rampartLevel struct {
	outcome
	beyond time.Duration // what the level took longer than its warm-up and window: connecting, and closing
}

func parseRampart(text []byte) (rampartLevel, error) {
	var result struct {
		Elapsed time.Duration `json:"elapsed_ns"`
		Levels  []struct {
			Partial    bool          `json:"partial"`
			Warmup     time.Duration `json:"warmup_ns"`
			Window     time.Duration `json:"window_ns"`
			Completed  uint64        `json:"completed"`
			Throughput float64       `json:"req_per_s"`
			Failed     uint64        `json:"failed"`
		} `json:"levels"`
	}
	if err := json.Unmarshal(text, &result); err != nil {
		return rampartLevel{}, err
	}
	if len(result.Levels) != 1 || result.Levels[0].Partial {
		return rampartLevel{}, fmt.Errorf("%d levels: want one that is complete", len(result.Levels))
	}
	l := result.Levels[0]
	return rampartLevel{
		outcome: outcome{completed: l.Completed, failed: l.Failed, perSecond: l.Throughput},
		beyond:  result.Elapsed - l.Warmup - l.Window,
	}, nil
}

// commit is what git calls the files in the working directory, from which make peers has just built
// the client; empty where there is no git.
func commit(ctx context.Context, _ string) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
