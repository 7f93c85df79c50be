package main

import (
	"errors"
	"flag"

	"rampart/loadtest"
	"rampart/loadtest/inject"
	"rampart/loadtest/slo"
)

// defineExpect defines the flags about what is expected: of an answer, of the answers of both
// sides, and of the candidate alone.
func defineExpect(flags *flag.FlagSet, d *loadtest.Duel, expect *inject.Expect) {
	flags.Func("answers", "", func(s string) error {
		d.AnyAnswer, d.StrictAnswers = s == "none", s == "strict"
		if s != "none" && s != "strict" && s != "length" {
			return errors.New("want length, strict to compare bodies as well, or none to compare nothing")
		}
		return nil
	})
	flags.Func("expect", "", expect.Add)
	flags.Func("slo", "", func(s string) (err error) {
		if d.SLO != nil {
			return errors.New("for a second time; want all in one, with commas between")
		}
		d.SLO, err = slo.Parse(s)
		return err
	})
}
