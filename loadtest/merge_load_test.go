//go:build load

package loadtest_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"

	"rampart/loadtest"
	"rampart/loadtest/lab"
	"rampart/loadtest/report"
	"rampart/loadtest/result"
)

// TestMerge measures nothing: it makes one level of those that several clients measured at the same
// time, whose results are the files in MERGE, and prints what TestLevel prints. With RAMP it adds
// the level to the ramp in that file and prints what TestRamp prints; there, next_vus of the result
// is the level to measure next, and without it the ramp has ended. It fails when the results cannot
// be merged; then it prints none, and the ramp stays as it was.
func TestMerge(t *testing.T) {
	if shared.settings.Merge == nil {
		t.Skip("MERGE is not set: the results of the clients to merge")
	}
	if err := runMerge(); err != nil {
		say(os.Stderr, err.Error())
		t.FailNow()
	}
}

func runMerge() error {
	merged, err := mergeFiles(shared.settings.Merge)
	if err != nil {
		return err
	}
	level := merged.Levels[0]
	path := shared.settings.Ramp
	if path != "" {
		ramp, err := readRamp(path)
		if err != nil {
			return err
		}
		if only := lab.OnlyClassic(os.Getenv); len(ramp.Levels) == 0 && os.Getenv("STOP") == "" {
			say(os.Stderr, "STOP=classic with "+only)
		}
		if merged, err = loadtest.ContinueRamp(ramp, merged, shared.settings.MaxVUs, shared.settings.SLO); err != nil {
			return err
		}
		if err := lab.Replace(path, func(w io.Writer) error { return result.JSON(w, merged) }); err != nil {
			return err
		}
	}
	files := newKeeper()
	say(os.Stdout, report.Line(level))
	files.keep(merged)
	next := ""
	if merged.NextVUs > 0 {
		next = fmt.Sprintf("next level: %d vus\n", merged.NextVUs)
	}
	say(os.Stderr, fmt.Sprintf("%s%sresults: %s", report.Summary(merged), next, files.where()))
	conclude(merged)
	return nil
}

// mergeFiles makes one result of those in files, one of each client.
func mergeFiles(paths []string) (loadtest.Result, error) {
	var clients []loadtest.Result
	for _, path := range paths {
		r, err := lab.ReadClient(path)
		if err != nil {
			return loadtest.Result{}, err
		}
		clients = append(clients, r)
	}
	merged, err := result.MergeClients(clients)
	if err != nil {
		return loadtest.Result{}, fmt.Errorf("%w (clients in the order of MERGE=%s)", err, strings.Join(paths, ","))
	}
	return merged, nil
}

// readRamp reads a ramp of merged levels that is to be continued. It is the zero Result where there
// is no such file: no level has been measured yet.
func readRamp(path string) (loadtest.Result, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return loadtest.Result{}, nil
	}
	if err != nil {
		return loadtest.Result{}, fmt.Errorf("ramp so far: %w", err)
	}
	defer f.Close()
	r, err := result.ReadJSON(f)
	if err == nil && r.Kind != result.KindRamp {
		err = fmt.Errorf("a result of kind %q: want %q; %s", r.Kind, result.KindRamp, loadtest.AnotherRamp)
	}
	if err != nil {
		return loadtest.Result{}, fmt.Errorf("ramp so far: %s: %w", path, err)
	}
	return r, nil
}
