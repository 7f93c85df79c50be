package inject

import (
	"context"
	"time"
)

// single drives one VU, from a goroutine of its own.
type single struct {
	run   *run
	vu    VU
	slots chan struct{} // shared by all VUs: bounds how many connect at the same time
	tally tally
	phase phase

	repeated bool // the request that is being made is made for the second time
}

func (s *single) connect(ctx context.Context) {
	s.slots <- struct{}{}
	defer func() { <-s.slots }()
	// What an interrupt broke is no failure of the server. ctx is asked, because it is done before
	// stopped is set.
	if class := s.vu.Connect(ctx); class != OK && !s.exhausted() && ctx.Err() == nil {
		s.tally.fail(class)
	}
}

// await looks now and then whether the connection is still there.
func (s *single) await(ctx context.Context, gun <-chan struct{}) {
	vu, rests := s.vu.(rester)
	if !rests {
		<-gun
		return
	}
	look := time.NewTicker(2 * shortestRest)
	defer look.Stop()
	for {
		select {
		case <-gun:
			return
		case <-look.C:
		}
		if !s.vu.Connected() {
			continue // it is made when the gun is fired
		}
		if class := vu.rest(); class != OK {
			s.tally.fail(class)
		} else if !s.vu.Connected() {
			s.connect(ctx)
		}
	}
}

func (*single) wake() {}

// shortestRest is for how long a connection has to last so that it is made again before the gun:
// one that the server ends at once would be made over and over. Tests have another.
var shortestRest = time.Second / 2

// rester is a VU whose connection the server may end while no request is made on it.
type rester interface {
	// rest lets go of a connection that has ended meanwhile, which is no failure. The class is that
	// of something else that came on it without a request.
	rest() Class
}

// limited is a VU that can come to a limit of the injector.
type limited interface {
	// limit is the one that the last failure came from, or nil.
	limit() *LimitError
}

// exhausted reports whether the last failure came from a limit of the injector, which then ends the
// run.
func (s *single) exhausted() bool {
	vu, is := s.vu.(limited)
	if !is {
		return false
	}
	limit := vu.limit()
	if limit != nil {
		s.run.stop(limit)
	}
	return limit != nil
}

// drawer is a VU that draws what it asks.
type drawer interface {
	// begin begins a round, by whose number it draws.
	begin(round uint64)
}

// repeater is a VU that knows whether the server has processed a request that failed.
type repeater interface {
	// unprocessed reports that the server has certainly not processed the last request, by its own
	// fault or not. Then it makes the same one the next time.
	unprocessed() bool
	// forget makes it make another one the next time.
	forget()
}

// repeats reports whether a request that failed is to be made once more, because the server has not
// processed it. Only once: a server that never processes it fails.
func (s *single) repeats() bool {
	vu, is := s.vu.(repeater)
	s.repeated = is && !s.repeated && vu.unprocessed()
	if is && !s.repeated {
		vu.forget()
	}
	return s.repeated
}

func (s *single) leave() {
	s.tally.flush()
	s.vu.Close()
}

func (s *single) counted() *tally { return &s.tally }

func (*single) thread() int { return 0 }

func (s *single) interrupt() { s.vu.Interrupt() }

// A VU that cannot connect waits before it tries again, doubling from firstPause to lastPause: a
// server that is down is not hammered, and the failures of a level stay a readable number.
const (
	firstPause = time.Millisecond
	lastPause  = 100 * time.Millisecond
)

// play makes one request after the other. The end of one request is the start of the next, so that
// the clock is read once a request and a closed loop has no gap that nobody measures.
func (s *single) play(ctx context.Context) {
	r, u, t := s.run, s.vu, &s.tally
	answers, tells := u.(noter)
	asks, _ := u.(rower)
	pause := firstPause
	s.phase = leadIn
	if vu, draws := u.(drawer); draws {
		vu.begin(r.round)
	}
	now := r.now()
	if vu, rests := u.(rester); rests {
		if class := vu.rest(); class != OK {
			t.fail(class)
			r.advance(&s.phase, now)
		}
	}
	spent := time.Duration(0) // on a request that is being made for the second time
	for !r.over(s.phase, now) {
		if !u.Connected() {
			class := u.Connect(ctx)
			if ctx.Err() != nil {
				return
			}
			begun := now
			now = r.now()
			t.connect(r.counts(s.phase, now), now-begun)
			if class != OK {
				if s.exhausted() {
					return
				}
				t.fail(class)
				s.repeated, spent = false, 0
				r.advance(&s.phase, now)
				sleep(ctx, pause)
				pause = min(2*pause, lastPause)
				now = r.now()
				continue
			}
			pause = firstPause
		}
		class := u.Do(now)
		end := r.now()
		latency := spent + end - now
		now = end
		if class != OK && (s.exhausted() || s.repeats() && ctx.Err() == nil) {
			spent = latency
			continue
		}
		s.repeated, spent = false, 0
		if class == OK && latency > r.load.Timeout {
			class = Timeout
		}
		if tells && (class == OK || (class == Status || class == Body) && ctx.Err() == nil) {
			answers.note(&t.census, class == OK)
		}
		switch {
		case class == OK:
			if !r.succeed(t, s.phase, end, latency, bodyOf(u)) {
				continue
			}
		case ctx.Err() == nil:
			t.fail(class)
		}
		if t.asking != nil && (class == OK || ctx.Err() == nil) {
			t.ask(asks.row(), class, r.counts(s.phase, end), latency)
		}
		r.advance(&s.phase, end)
	}
}

// rower is a VU that makes one of several requests.
type rower interface {
	// row is that of the last one, see [tally.ask].
	row() uint16
}

// noter is a VU that can count what its last complete answer was.
type noter interface {
	note(c *census, succeeded bool)
}

// bodyOf is how long the body of the last answer to a VU was; 0 where the VU does not say.
func bodyOf(u VU) int64 {
	if sized, says := u.(interface{ body() int64 }); says {
		return sized.body()
	}
	return 0
}
