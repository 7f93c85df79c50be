package inject

import (
	"time"

	"golang.org/x/sys/unix"
)

// reconnect begins to connect those who need it. Only here, and not where a connection ends: a
// server that closes at once would keep the loop busy with one user.
func (l *loop) reconnect() {
	if l.waitsUntil > 0 && l.now >= l.waitsUntil {
		l.unpause()
	}
	l.idle, l.idleAgain = l.idleAgain[:0], l.idle
	for _, i := range l.idleAgain {
		if u := &l.users[i]; l.run.over(u.phase, l.now) {
			l.busy-- // and it stays without a connection
		} else {
			u.begun, u.try = l.now, 0
			l.dial(i)
		}
	}
}

// unpause makes those need a connection who have waited long enough, and everybody when the window
// has closed.
func (l *loop) unpause() {
	l.waitsUntil = 0
	still := l.paused[:0]
	for _, i := range l.paused {
		u := &l.users[i]
		if until := u.begun + u.pause; l.now < until && !l.run.over(u.phase, l.now) {
			still = append(still, i)
			l.wakeAt(until)
		} else {
			u.pause = min(2*u.pause, lastPause)
			l.free(i)
		}
	}
	l.paused = still
}

func (l *loop) wakeAt(at time.Duration) {
	if l.waitsUntil == 0 || at < l.waitsUntil {
		l.waitsUntil = at
	}
}

// dial begins to connect a user.
func (l *loop) dial(i int32) {
	u := &l.users[i]
	u.step = stepDial
	u.connection++
	fd, err := openSocket(l.addresses[u.try], l.poll, i, u.connection)
	u.fd = fd
	if err != unix.EINPROGRESS {
		l.dialed(i, err)
	}
}

// dialed is told how an attempt to connect ended.
func (l *loop) dialed(i int32, err unix.Errno) {
	u := &l.users[i]
	if err != 0 {
		if int(u.try)+1 < len(l.addresses) {
			l.drop(u)
			u.try++
			l.dial(i)
			return
		}
		// Of several addresses, the last may be one of a kind that this machine has none of.
		if limit := asLimit(err); limit != nil && (err != unix.EADDRNOTAVAIL || len(l.addresses) == 1) {
			l.run.stop(limit)
			return
		}
		class := Dial
		switch {
		case err == unix.ECONNRESET || err == unix.EPIPE:
			class = Reset // there was a connection, and it ended before anybody looked
		case err.Timeout() && err != unix.EAGAIN: // EAGAIN: the queue of a unix socket is full
			class = Timeout
		}
		l.undialable(i, class)
		return
	}
	u.pause = firstPause
	if !l.started {
		u.step, u.begun = stepReady, l.now
		l.dialing--
		if u.early {
			l.disturbed(i)
		}
		return
	}
	l.tick()
	l.tally.connect(l.run.counts(u.phase, l.now), l.now-u.begun)
	u.begun = l.now
	l.nextRequest(i)
}

// undialable counts a user's failure to connect, and lets it wait before it tries again.
func (l *loop) undialable(i int32, class Class) {
	u := &l.users[i]
	l.drop(u)
	if !l.run.stopped.Load() {
		l.tally.fail(class)
	}
	u.step = stepIdle
	if !l.started {
		l.dialing--
		return
	}
	l.tick()
	l.tally.connect(l.run.counts(u.phase, l.now), l.now-u.begun)
	l.run.advance(&u.phase, l.now)
	u.begun, u.step = l.now, stepPause
	u.pause = max(u.pause, firstPause)
	l.paused = append(l.paused, i)
	l.wakeAt(u.begun + u.pause)
}

// disturbed is told that something has come on a connection that waits for the gun.
func (l *loop) disturbed(i int32) {
	u := &l.users[i]
	if class := l.unasked(i); class == OK || class == Malformed { // the latter is found again when it counts
		return
	}
	lasted := l.now - u.begun
	l.drop(u)
	u.step = stepIdle
	if lasted > shortestRest { // else it is made again when the gun is fired, and not over and over until then
		// Only when all have been tried once: a server may end them as fast as the others are
		// connected.
		l.idleAgain = append(l.idleAgain, i)
	}
}

// free puts a user without a connection among those that need one.
func (l *loop) free(i int32) {
	l.users[i].step = stepIdle
	if l.started {
		l.idle = append(l.idle, i)
	}
}

// linger reads until the server has ended its side.
func (l *loop) linger(i int32) {
	u := &l.users[i]
	for range readsAtOnce {
		n, err := receive(u.fd, l.buf)
		switch {
		case err == unix.EAGAIN:
			return
		case err != unix.EINTR && n <= 0:
			l.gone(u)
			return
		}
	}
	l.tellAgain(i)
}

// gone takes note that the connection of a user that lingers has ended.
func (l *loop) gone(u *user) {
	l.drop(u)
	u.step = stepIdle
	l.lingering--
}

// drop closes the connection of a user, if there is one. A reset in place of a FIN leaves no port
// in TIME_WAIT, of which there are only some 28 000 towards one server; there is nothing left that
// a reset could destroy.
func (l *loop) drop(u *user) {
	if u.fd < 0 {
		return
	}
	resetOnClose(u.fd)
	unix.Close(int(u.fd))
	u.fd = -1
	u.hungUp, u.early, u.rested, u.answers, u.written = false, false, false, 0, 0
}
