//go:build linux

package prefork

// post is a slot as the plan sees it.
type post struct {
	state  state
	retire bool // its worker is to be replaced as soon as another one is ready
}

type verb int

const (
	rest   verb = iota // nothing to do
	start              // a worker in this free slot
	cancel             // the start this slot waits for
	leave              // order this slot's worker to go, its work is taken over
)

// plan compares the workers there are with the workers wanted and returns the next thing to do. It
// is asked again until it says rest. Of more workers than wanted, one goes that does not serve yet,
// else the one in the last slot.
//
// A worker that is to be replaced keeps serving until there is one more ready than needed, so
// capacity does not fall. Only one is replaced at a time: a start costs processor time that the
// others need. When no slot is free, because replaced workers still finish their requests in the
// spare ones, the replacement waits.
func plan(posts []post, workers int) (verb, int) {
	staffed, ready := 0, 0
	free, waiting, starting, retiring, last := -1, -1, -1, -1, -1
	for i, p := range posts {
		switch p.state {
		case stateFree:
			if free < 0 {
				free = i
			}
		case stateWaiting:
			staffed++
			waiting = i
		case stateStarting:
			staffed++
			starting = i
		case stateReady:
			staffed++
			ready++
			last = i
			if p.retire && retiring < 0 {
				retiring = i
			}
		case stateDraining: // has its successor
		}
	}
	need := workers
	if retiring >= 0 {
		need++
	}
	switch {
	case retiring >= 0 && ready > workers:
		return leave, retiring
	case staffed > need && waiting >= 0:
		return cancel, waiting
	case staffed > need && starting >= 0:
		return leave, starting
	case staffed > need && last >= 0:
		return leave, last
	case staffed < need && free >= 0:
		return start, free
	}
	return rest, -1
}
