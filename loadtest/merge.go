package loadtest

import (
	"fmt"
	"strings"

	"rampart/loadtest/capacity"
	"rampart/loadtest/result"
	"rampart/loadtest/slo"
)

// anotherRamp says what to do where a level does not belong to the ramp so far.
const anotherRamp = "name another file in RAMP, or remove it, to begin another ramp"

// continueRamp adds a merged level to the ramp so far and lets the stop rule decide, as it would
// for a level that one client has measured. The zero Result is a ramp without a level. The error
// says why the level is not the next of this ramp.
func continueRamp(ramp, merged Result, maxVUs int, objectives slo.SLO) (Result, error) {
	level := merged.Levels[0]
	if ramp.Kind == "" {
		ramp = merged
		ramp.Kind, ramp.Levels, ramp.NextVUs = result.KindRamp, nil, 1
	}
	switch different := result.Differences(ramp, merged); {
	case ramp.NextVUs == 0:
		return ramp, fmt.Errorf("ramp so far: it has ended: %s (%s); %s", ramp.Stop.Reason, ramp.Stop.Detail, anotherRamp)
	case level.VUs != ramp.NextVUs:
		return ramp, fmt.Errorf("a level of %d vus cannot be the next of the ramp: want %d of all clients together; %s",
			level.VUs, ramp.NextVUs, anotherRamp)
	case len(different) > 0:
		return ramp, fmt.Errorf("ramp so far and level of %d vus are not of one experiment: %s; %s",
			level.VUs, strings.Join(different, "; "), anotherRamp)
	}
	if n := len(ramp.Levels); n > 0 {
		last := ramp.Levels[n-1]
		end := last.Started.Add(last.Warmup + last.Window)
		if !last.Started.IsZero() && !level.Started.After(end) {
			return ramp, fmt.Errorf("the level of %d vus began at %v, when that of %d vus had not ended: want the results of "+
				"this ramp; %s",
				level.VUs, level.Started.UTC(), last.VUs, anotherRamp)
		}
	}
	if level.Partial {
		ramp.Levels = append(ramp.Levels, level)
		ramp.Stop = Stop{Reason: capacity.Canceled,
			Detail: fmt.Sprintf("in the level of %d vus: a client was interrupted", level.VUs)}
		ramp.NextVUs = 0
	} else {
		judge(&ramp, level, maxVUs, objectives)
	}
	ramp.Elapsed = merged.Started.Add(merged.Elapsed).Sub(ramp.Started)
	return ramp, nil
}
