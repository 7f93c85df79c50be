package gobench_test

import (
	"context"
	"fmt"
	"time"

	"rampart/loadtest/gobench"
	"rampart/loadtest/verdict"
)

// A package can gate itself, in a test of its own.
func ExampleDuel() {
	gate := func(ctx context.Context) error {
		built, err := gobench.Build{Base: "main", Packages: []string{"./..."}}.Make(ctx)
		defer built.Remove()
		if err != nil {
			return err
		}
		result, err := gobench.Duel{
			Suites: built.Suites, Baseline: built.Base, Candidate: "the working tree", For: time.Minute,
			Missing: built.Missing, Remarks: built.Remarks,
		}.Run(ctx)
		if err != nil {
			return err
		}
		if result.Report.Verdict == verdict.Regressed {
			return fmt.Errorf("slower than main: %s", result.Report.Meaning)
		}
		return nil
	}
	_ = gate
}
