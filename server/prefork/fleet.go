//go:build linux

package prefork

import (
	"time"
)

// Fleet is what any worker can tell about the master and all workers. Its zero value is of no use: see
// [Worker.Fleet].
type Fleet struct {
	board *scoreboard
}

// CPUTime is the processor time, user and system, that the workers have used since the master started: those
// that live and those that are dead. It never goes backwards, not even from one worker's answer to another's.
// A dead worker's time includes that of child processes it waited for; the master's own is not in it.
func (f Fleet) CPUTime() time.Duration { return f.board.cpuTime() }

// Restarts is how many workers were started because another one had died. Workers that were replaced as
// planned (MaxRequests, SIGTERM) are not in it.
func (f Fleet) Restarts() uint64 {
	var sum uint64
	for i := range f.board.slots {
		sum += f.board.slot(i)[slotRestarts].Load()
	}
	return sum
}

// Started is when the master started.
func (f Fleet) Started() time.Time {
	return time.Unix(0, int64(f.board.words[headStarted].Load()))
}

// Status is a picture of all of it.
func (f Fleet) Status() Status {
	st := Status{
		MasterPID: int(f.board.words[headMaster].Load()),
		Started:   f.Started(),
		Restarts:  f.Restarts(),
		Workers:   []WorkerStatus{},
	}
	now := monotonic()
	for i := range f.board.slots {
		s := f.board.slot(i)
		standing := f.board.state(i)
		if standing == stateFree {
			continue
		}
		w := WorkerStatus{
			Slot:        i,
			PID:         int(s[slotPID].Load()),
			Generation:  s[slotGeneration].Load(),
			State:       standing.String(),
			Connections: s[slotConnections].Load(),
			InFlight:    s[slotInFlight].Load(),
			Requests:    s[slotRequests].Load(),
			Restarts:    s[slotRestarts].Load(),
		}
		if oldest := int64(s[slotOldest].Load()); oldest != 0 {
			w.OldestRequestSeconds = max(0, time.Duration(now-oldest)).Seconds()
		}
		if started := int64(s[slotStarted].Load()); started != 0 {
			w.Started = time.Unix(0, started)
		}
		st.Workers = append(st.Workers, w)
	}
	return st
}
