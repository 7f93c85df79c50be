package inject

import (
	"net/http"

	"golang.org/x/sys/unix"
)

// receive reads what has come. The kernel tells of each arrival once, so all of it is read; a read
// that does not fill the buffer has got all there is (epoll(7)), but for the end of the connection.
// A server that sends as fast as it is read would keep the loop from everything else, so the rest
// waits for another turn.
func (l *loop) receive(i int32) {
	u := &l.users[i]
	for range readsAtOnce {
		n, err := receive(u.fd, l.buf)
		switch {
		case err == unix.EAGAIN:
			return
		case err == unix.EINTR:
			continue
		case err != 0:
			l.failed(i, err, Read)
			return
		case n == 0:
			u.hungUp = true
			switch {
			case u.answer.end() == nil:
				l.answered(i)
			case l.unread(u):
				l.ended(i, EOF)
			default:
				l.broken(i, EOF)
			}
			return
		}
		used, bad := u.answer.feed(l.buf[:n])
		switch {
		case bad != nil:
			l.broken(i, Malformed)
			return
		case u.answer.complete() && used < n:
			l.broken(i, Malformed) // nobody asked for the rest; it would be taken for the answer to the next request
			return
		case u.answer.complete():
			l.answered(i)
			return
		case n < len(l.buf) && !u.hungUp:
			return
		}
	}
	l.tellAgain(i)
}

// readsAtOnce is how many full buffers are read of one user in a turn.
const readsAtOnce = 16

// tellAgain makes the kernel tell once more what there is to read.
func (l *loop) tellAgain(i int32) {
	u := &l.users[i]
	if err := watchSocket(l.poll, unix.EPOLL_CTL_MOD, u.fd, i, u.connection); err != nil {
		l.run.stop(ownFault("event loop", err)) // cannot happen with good descriptors
	}
}

// answered counts a complete answer. Its end is the start of the next request, so that the clock is
// read once a request and a closed loop has no gap that nobody measures.
func (l *loop) answered(i int32) {
	u := &l.users[i]
	l.now = l.run.now()
	latency := l.now - u.begun
	class := Timeout
	if latency <= l.run.load.Timeout {
		class = l.target.classOf(u.answer.status(), u.answer.saw)
	}
	wasted := false
	switch class {
	case OK:
		wasted = !l.run.succeed(&l.tally, u.phase, l.now, latency, u.answer.length)
	case Status:
		if u.answer.status() == http.StatusRequestTimeout && l.unread(u) {
			l.ended(i, Status)
			return
		}
		fallthrough
	default:
		l.tally.fail(class)
	}
	if class != Timeout {
		l.tally.census.add(u.answer.status(), u.answer.told(), u.answer.saw, class == OK)
	}
	if !wasted {
		if l.tally.asking != nil {
			l.tally.ask(u.asker.drawn.row, class, l.run.counts(u.phase, l.now), latency)
		}
		l.run.advance(&u.phase, l.now)
	}
	u.begun, u.rested, u.drawn = l.now, false, false
	u.answers++
	u.written += uint64(len(u.request))
	if l.closing || u.hungUp || u.answer.closing() || u.sent < len(u.request) {
		l.drop(u)
		l.free(i)
		return
	}
	l.nextRequest(i)
}

// nextRequest makes the next request of a connected user, or ends the user.
func (l *loop) nextRequest(i int32) {
	u := &l.users[i]
	if l.run.over(u.phase, l.now) {
		u.step = stepReady
		l.busy--
		return
	}
	if u.early && !l.silent(i) {
		return
	}
	if u.asker != nil {
		if !u.drawn { // else it is made once more
			u.answer.toHead, u.drawn = u.asker.draw().toHead, true
		}
		u.request = u.asker.bytes()
	}
	u.step, u.sent = stepRequest, 0
	u.answer.begin()
	l.send(i)
}

// silent reports whether the server has said nothing yet. What it said before it was asked would be
// taken for the answer.
func (l *loop) silent(i int32) bool {
	class := l.unasked(i)
	if class != OK {
		l.ended(i, class)
	}
	return class == OK
}

// unasked is what has come on a connection without a request: nothing (OK), the end of the
// connection, which an answer 408 may announce (RFC 9110, section 15.5.9; then it is Status), or
// something else (Malformed). It is left to be read.
func (l *loop) unasked(i int32) Class {
	u := &l.users[i]
	n, err := peek(u.fd, l.buf)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		u.early = false
		return OK
	case err != 0:
		return Classify(err, Read)
	case n == 0:
		return EOF
	}
	return u.answer.unasked(l.buf[:n])
}

// ended is told that the server ended a connection on which it had been sent nothing of the
// request. That is its right where no request came for a while, or after any answer (RFC 9112,
// section 9.5), and no failure: another connection is made. A connection that was made for a
// request that is due should not end before it.
func (l *loop) ended(i int32, class Class) {
	u := &l.users[i]
	if !u.rested && u.answers == 0 || class == Malformed {
		l.broken(i, class)
		return
	}
	l.drop(u)
	l.free(i)
}

// unread reports that the server ended a connection, by a FIN, before it got anything of the first
// request after a rest: the end and the request crossed each other. It has acknowledged none of it,
// which its FIN would have done; that of a reset proves nothing, because a server can read a
// request and reset before it has acknowledged it.
func (l *loop) unread(u *user) bool {
	if !u.rested || l.addresses[u.try].family == unix.AF_UNIX {
		return false
	}
	acked, err := acknowledgedOn(int(u.fd))
	return err == nil && acked <= u.written+1 // the SYN
}

// send sends the request, or what is left of it.
func (l *loop) send(i int32) {
	u := &l.users[i]
	for {
		n, err := send(u.fd, u.request[u.sent:])
		switch err {
		case 0:
			if u.sent += n; u.sent == len(u.request) {
				return
			}
		case unix.EAGAIN:
			return
		case unix.EINTR:
		default:
			l.unsendable(i, err)
			return
		}
	}
}

// unsendable is told that the rest of a request cannot be sent. A server that has answered without
// reading all of it, and closed, did answer; the kernel keeps the answer also when the connection
// is reset.
func (l *loop) unsendable(i int32, why unix.Errno) {
	u := &l.users[i]
	if u.sent == 0 {
		class := l.unasked(i)
		if class == OK {
			l.failed(i, why, Write)
		} else {
			l.ended(i, class)
		}
		return
	}
	for {
		n, err := receive(u.fd, l.buf)
		if err == unix.EINTR {
			continue
		}
		if n <= 0 {
			break
		}
		used, bad := u.answer.feed(l.buf[:n])
		if bad != nil || used < n {
			l.broken(i, Malformed)
			return
		}
		if u.answer.complete() {
			l.answered(i)
			return
		}
	}
	l.failed(i, why, Write)
}

// failed counts a failure of the class that err has, else of otherwise, unless it is the injector
// that has come to an end.
func (l *loop) failed(i int32, err unix.Errno, otherwise Class) {
	if limit := asLimit(err); limit != nil {
		l.run.stop(limit)
		return
	}
	l.broken(i, Classify(err, otherwise))
}

// broken counts a failure after which the connection is of no more use.
func (l *loop) broken(i int32, class Class) {
	u := &l.users[i]
	if !l.run.stopped.Load() { // what an interrupt broke is no failure of the server
		l.tally.fail(class)
		if l.tally.asking != nil && u.drawn {
			l.tally.ask(u.asker.drawn.row, class, false, 0)
		}
	}
	l.tick()
	l.run.advance(&u.phase, l.now)
	u.begun, u.drawn = l.now, false
	l.drop(u)
	l.free(i)
}
