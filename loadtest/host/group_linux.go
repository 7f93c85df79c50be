package host

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A member is a process whose processor time counts.
type member struct {
	process
	wrapper bool // it started the server and does not serve
}

// TreeCPU meters the processes roots and all their descendants, also those that have ended and been
// waited for. It is a meter of its own for each call.
func TreeCPU(roots ...int) Meter {
	return groupCPU(func(all []process) ([]member, error) {
		var members []member
		for _, p := range tree(all, roots) {
			members = append(members, member{process: p})
		}
		if len(members) == 0 {
			return nil, fmt.Errorf("processor time of process %v: it has ended", roots)
		}
		return members, nil
	})
}

// groupCPU meters the processes that find finds among all at each reading. It adds up what they
// used from reading to reading, so that processes may come and go. Where that cannot be known,
// because one came that is older than the last reading, or one ended and nobody counts what it
// used, the reading fails, and the next one starts afresh.
func groupCPU(find func(all []process) ([]member, error)) Meter {
	var mu sync.Mutex
	var last *reading
	var total time.Duration
	return func() (time.Duration, error) {
		mu.Lock()
		defer mu.Unlock()
		before := last
		last = nil
		now, err := read(find)
		if err != nil {
			return 0, err
		}
		last = &now
		spent, err := now.since(before)
		total += spent
		return total, err
	}
}

// reading is what the members of a group had used at a moment.
type reading struct {
	at      time.Duration // since the machine booted
	members map[identity]use
}

type use struct {
	member
	own time.Duration // without children
}

func (u use) sum() time.Duration { return u.own + u.reaped }

// read takes a reading. A member may end while it is taken, and then its time is in none of the
// numbers, or in two; so it is taken again. Where members end all the time, as in a server that
// forks for each request, the last try counts, and at most one of them is wrong.
func read(find func([]process) ([]member, error)) (r reading, err error) {
	const tries = 5
	for range tries {
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
			return r, fmt.Errorf("time since the machine booted: %w", err)
		}
		r = reading{time.Duration(now.Nano()), make(map[identity]use)}
		all, err := processes()
		if err != nil {
			return r, err
		}
		members, err := find(all)
		if err != nil {
			return r, err
		}
		calm := true
		for _, m := range members {
			own, err := ProcessCPU(m.pid)
			if errors.Is(err, os.ErrProcessDone) {
				calm = false
				continue
			} else if err != nil {
				return r, err
			}
			r.members[m.identity] = use{m, own}
		}
		if calm {
			break
		}
	}
	return r, r.forgetful()
}

// forgetful returns an error where a member has children whose time will be lost.
func (r reading) forgetful() error {
	parents := make(map[int]bool)
	for _, u := range r.members {
		parents[u.parent] = true
	}
	for _, u := range r.members {
		if parents[u.pid] && ignoresChildren(u.pid) {
			return fmt.Errorf("%s ignores the end of its children (SIGCHLD), so the processor time of those that end is lost",
				u.process)
		}
	}
	return nil
}

// wrapperShare is how much of the time may be that of wrappers. It cannot be known whether more is
// the work of the server, or has nothing to do with it.
const wrapperShare = 0.01

// since returns what was used since another reading, and where there is none, all that was used.
func (r reading) since(last *reading) (time.Duration, error) {
	if last == nil {
		last = new(reading)
	}
	survivors := make(map[int]bool)
	var spent, reaped, gone, wrapped time.Duration
	var wrapper process
	slack := time.Duration(0)
	for id, u := range r.members {
		before, known := last.members[id]
		if !known && id.started+tick < last.at {
			return 0, fmt.Errorf("%s is older than the window, but became a part of the server in it", u.process)
		}
		survivors[id.pid] = true
		spent += u.sum() - before.sum()
		if u.wrapper {
			wrapped += u.sum() - before.sum()
			wrapper = u.process
		}
		if u.reaped > before.reaped {
			reaped += u.reaped - before.reaped
			slack += 2 * tick // user and system time, both cut to whole ticks
		}
	}
	parents := make(map[int]int)
	for _, u := range last.members {
		parents[u.pid] = u.parent
	}
	for id, u := range last.members {
		if _, there := r.members[id]; there {
			continue
		}
		// Whoever waited for it counts it. That may have been one that has ended as well.
		by := u.parent
		for parents[by] != 0 && !survivors[by] {
			by = parents[by]
		}
		if !survivors[by] {
			return 0, fmt.Errorf("%s ended in the window, and no other process of the server counts what it used", u.process)
		}
		gone += u.sum()
	}
	if gone > reaped+slack {
		return 0, fmt.Errorf("processes of the server ended in the window, and %v that they had used are lost", gone-reaped)
	}
	spent = max(spent-gone, 0)
	if last.at > 0 && wrapped.Seconds() > wrapperShare*spent.Seconds() {
		return 0, fmt.Errorf("%s belongs to the command and does not serve, but used %v of %v: is that the server's? "+
			"Use a command that starts the server alone",
			wrapper, wrapped.Round(time.Millisecond), spent.Round(time.Millisecond))
	}
	return spent, nil
}
