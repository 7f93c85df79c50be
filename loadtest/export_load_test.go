//go:build load

package loadtest

import "time"

// What the experiments of this repository, which are in package loadtest_test, need beside what
// every user has.
var (
	ContinueRamp = continueRamp
	ThisMachine  = thisMachine
)

const AnotherRamp = anotherRamp

// Duration is how long a level takes, apart from connecting and the last requests.
func (e Experiment) Duration() time.Duration { return e.duration() }

// BudgetOf is how long so many levels take from now on, apart from connecting and the last requests
// of each.
func (e Experiment) BudgetOf(levels int) time.Duration {
	return e.wait() + time.Duration(levels)*e.duration()
}

// MostVUs is how many VUs the last level has if nothing but MaxVUs ends the ramp.
func (r Ramp) MostVUs() int { return r.mostVUs() }
