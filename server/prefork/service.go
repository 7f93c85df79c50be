//go:build linux

package prefork

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

const (
	// lameDuck is how long a process that is to leave keeps a connection open on which no request
	// comes. Each answer now says "Connection: close". A client that sends one request after the
	// other hears of the end that way; if its idle connection were closed at once, its next request
	// might already be on the way and would be lost. Longer than a client on a busy machine takes
	// between two requests (200 ms was not), and short enough for a stop.
	lameDuck = time.Second
	// lastCall is how long it accepts, when everybody stops, what others might still connect: those
	// whose first packet came before the stop. Longer than most round trips. Who comes in that time
	// is refused only after it.
	lastCall = 200 * time.Millisecond
	// insistence is how long after a SIGTERM another one is a wish of its own, namely for a quick
	// stop. What comes sooner is the same wish: timeout(1) sends it to the process and to its
	// group, some shells do.
	insistence = time.Second
	// drainTick is how often a process that leaves looks whether it can.
	drainTick = 10 * time.Millisecond
)

// service is an http.Server at work for one slot of the scoreboard, until its orderly end.
type service struct {
	srv    *http.Server
	l      *listener
	board  *scoreboard
	slot   int
	flight *inflight
	served chan error // what srv.Serve returned
}

// startService serves what l accepts. full is called when as many requests were done as the slot
// says.
func startService(srv *http.Server, l *listener, board *scoreboard, slot int, full func()) *service {
	words := board.slot(slot)
	s := &service{
		srv:    srv,
		l:      l,
		board:  board,
		slot:   slot,
		flight: &inflight{slot: words, limit: words[slotLimit].Load(), full: full},
		served: make(chan error, 1),
	}
	handler := srv.Handler
	if handler == nil {
		handler = http.DefaultServeMux
	}
	srv.Handler = s.flight.wrap(handler)
	follow(srv, s.flight)
	serve := srv.Serve
	if c := srv.TLSConfig; c != nil &&
		(len(c.Certificates) > 0 || c.GetCertificate != nil || c.GetConfigForClient != nil) {
		serve = func(l net.Listener) error { return srv.ServeTLS(l, "", "") }
	}
	go func() { s.served <- serve(l) }()
	return s
}

// quit ends the service at once.
func (s *service) quit() error {
	err := s.srv.Close()
	<-s.served
	return err
}

// drain ends the service so that no client that has sent a request goes without an answer, as far
// as the slot's deadline allows and until quick is done. After orderLeave it calls left when no
// more is accepted.
func (s *service) drain(quick context.Context, o order, left func()) error {
	words := s.board.slot(s.slot)
	words[slotDeadline].CompareAndSwap(0, uint64(monotonic()+int64(s.board.grace())))
	rest := time.Duration(int64(words[slotDeadline].Load()) - monotonic())
	ctx, cancel := context.WithTimeout(quick, rest)
	defer cancel()
	s.board.setState(s.slot, stateDraining)
	s.flight.closing.Store(true)
	if o == orderDrain {
		s.l.setMode(greedy)
	} else {
		s.l.setMode(closed)
		<-s.served // the queue is the others'
		left()
	}

	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	begin, quiet, open := monotonic(), min(lameDuck, rest/2), min(lastCall, rest/2)
	for accepting := o == orderDrain; ; {
		busy := s.l.letGo(begin, quiet)
		if accepting && monotonic()-begin >= int64(open) {
			s.l.setMode(untilDone)
			<-s.served // the queue is empty
			accepting = false
			continue
		}
		if busy == 0 && !accepting {
			// Which has nothing to do but to call what is registered with it.
			return errors.Join(s.srv.Shutdown(ctx), s.awaitTakenOver(ctx, o, quiet))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			err := s.srv.Close()
			if quick.Err() == nil {
				err = errors.Join(fmt.Errorf("prefork: %d connections were still busy after the grace of %s",
					busy, s.board.grace()), err)
			}
			if accepting {
				<-s.served
			}
			return err
		}
	}
}

// awaitTakenOver waits for the connections that handlers took over from net/http, such as
// WebSockets. What is registered with RegisterOnShutdown can end them with a word. A process that
// leaves its work to another one waits as long as it may; when everybody stops, it waits for as
// long as for silent connections.
func (s *service) awaitTakenOver(ctx context.Context, o order, quiet time.Duration) error {
	if o == orderDrain {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, quiet)
		defer cancel()
	}
	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	for {
		n := s.l.over.Load()
		if n == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), context.Canceled) { // a quick stop: what is cut off was to be
				return nil
			}
			return fmt.Errorf("prefork: %d connections that handlers had taken over were cut off", n)
		}
	}
}
