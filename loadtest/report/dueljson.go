package report

import (
	"encoding/json"
	"io"

	"rampart/loadtest/gate"
	"rampart/loadtest/result"
	"rampart/loadtest/verdict"
)

// judgedDuel is the document of a duel with its verdict: all fields of the verdict's own document
// but its version and files.
type judgedDuel struct {
	Verdict        verdict.Verdict  `json:"verdict"`
	Exit           int              `json:"exit"`
	Meaning        string           `json:"meaning"`
	Advice         string           `json:"advice,omitempty"`
	Alpha          float64          `json:"alpha"`
	AlphaEach      float64          `json:"alpha_each"`
	Looks          []int            `json:"looks"`
	Pairing        string           `json:"pairing"`
	Rows           []gate.Row       `json:"rows"`
	FailureVerdict verdict.Verdict  `json:"failures_verdict"`
	Failures       *gate.FailureRow `json:"failures,omitempty"`
	Statuses       *gate.StatusRow  `json:"statuses,omitempty"`

	RequestFailures []gate.RequestFailureRow `json:"failures_by_request,omitempty"`

	Limits   []gate.LimitRow `json:"limits,omitempty"`
	Problems []string        `json:"problems"`
	Gaps     []string        `json:"gaps"`
	NotGated []gate.NotGated `json:"not_gated"`
	Notes    []string        `json:"notes"`
	result.DuelDocument
}

// DuelJSON writes a duel and its verdict as one versioned document, which [result.ReadDuelJSON]
// reads; loadtest/README.md describes it.
func DuelJSON(w io.Writer, d result.Duel, r gate.Report) error {
	measured, err := result.NewDuelDocument(d)
	if err != nil {
		return err
	}
	doc := judgedDuel{
		Verdict: r.Verdict, Exit: r.Exit, Meaning: r.Meaning, Advice: r.Advice, Alpha: r.Alpha, AlphaEach: r.AlphaEach,
		Looks:   r.Looks,
		Pairing: r.Pairing, Rows: r.Rows, FailureVerdict: verdict.Inconclusive, Failures: r.Failures, Statuses: r.Statuses,
		RequestFailures: r.RequestFailures,

		Limits:   r.Limits,
		Problems: r.Problems,
		Gaps:     r.Gaps,
		NotGated: r.NotGated, Notes: r.Notes, DuelDocument: measured,
	}
	if r.Failures != nil {
		doc.FailureVerdict = r.Failures.Verdict
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(doc)
}
