package main

import "fmt"

// beginning is what the outcomes of a proof have in common.
type beginning struct {
	Plan  plan
	Costs costs // of a tenth more iterations
	Five  costs // what the candidate that should lose 5 % does lose

	Comparisons int `json:",omitempty"` // that are planned; 0: a record of an older version does not say it
}

// planned reports whether the outcomes are the first ones of the plan, so that those that are
// missing can be added.
func (b beginning) planned(outcomes []outcome) error {
	trials := b.Plan.trials()
	for i, o := range outcomes {
		if i >= len(trials) || o.trial != trials[i] {
			return fmt.Errorf("-log: comparison %d (%s) is not the one that is planned: another version of gateproof made "+
				"it; want another file", i+1, o.trial)
		}
	}
	return nil
}
