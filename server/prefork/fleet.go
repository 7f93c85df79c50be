//go:build linux

package prefork

import (
	"time"
)

// Fleet is what any worker can tell about the master and all workers. Its zero value is of no use:
// see [Worker.Fleet].
type Fleet struct {
	board *scoreboard
}

// CPUTime is the processor time, user and system, that the workers have used since the master
// started: those that live and those that are dead. It never goes backwards, not even from one
// worker's answer to another's. A dead worker's time includes that of child processes it waited
// for; the master's own is not in it.
func (f Fleet) CPUTime() time.Duration { return f.board.cpuTime() }

// Restarts is how many workers were started because another one had died. Workers that were
// replaced as planned (MaxRequests, SIGTERM) are not in it.
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

// Status is a picture of all of it. A worker that takes over and the one it replaces are never both
// missing among those that are ready: a picture during which a state has changed is taken again.
func (f Fleet) Status() Status {
	for range 100 { // states do not change that often: only a master that fails all the time could keep it from an end
		before := f.board.words[headStates].Load()
		if st := f.status(); f.board.words[headStates].Load() == before {
			return st
		}
	}
	return f.status()
}

func (f Fleet) status() Status {
	st := Status{
		MasterPID: int(f.board.words[headMaster].Load()),
		Started:   f.Started(),
		Restarts:  f.Restarts(),
		Workers:   []WorkerStatus{},

		Generation: f.board.words[headGeneration].Load(),
		Wanted:     int(f.board.words[headWanted].Load()),
	}
	if ended := f.board.words[headReloadEnd].Load(); ended != 0 {
		st.LastReload = &ReloadStatus{Ended: time.Unix(0, int64(ended)), Error: f.board.reload().get()}
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
			LastEnd:     f.board.end(i).get(),
		}
		if oldest := int64(s[slotOldest].Load()); oldest != 0 {
			w.OldestRequestSeconds = max(0, time.Duration(now-oldest)).Seconds()
		}
		if started := int64(s[slotStarted].Load()); started != 0 {
			w.Started = time.Unix(0, started)
			w.AgeSeconds = time.Since(w.Started).Seconds()
		}
		st.Workers = append(st.Workers, w)
	}
	return st
}
