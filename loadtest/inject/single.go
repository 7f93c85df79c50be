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
}

func (s *single) connect(ctx context.Context) {
	s.slots <- struct{}{}
	defer func() { <-s.slots }()
	// What an interrupt broke is no failure of the server. ctx is asked, because it is done before stopped is set.
	if class := s.vu.Connect(ctx); class != OK && ctx.Err() == nil {
		s.tally.fail(class)
	}
}

func (s *single) leave() {
	s.tally.flush()
	s.vu.Close()
}

func (s *single) counted() *tally { return &s.tally }

func (*single) thread() int { return 0 }

func (s *single) interrupt() { s.vu.Interrupt() }

// A VU that cannot connect waits before it tries again, doubling from firstPause to lastPause: a server that is down
// is not hammered, and the failures of a level stay a readable number.
const (
	firstPause = time.Millisecond
	lastPause  = 100 * time.Millisecond
)

// play makes one request after the other. The end of one request is the start of the next, so that the clock
// is read once a request and a closed loop has no gap that nobody measures.
func (s *single) play(ctx context.Context) {
	r, u, t := s.run, s.vu, &s.tally
	pause := firstPause
	s.phase = leadIn
	for now := r.now(); !r.over(s.phase, now); {
		if !u.Connected() {
			class := u.Connect(ctx)
			if ctx.Err() != nil {
				return
			}
			begun := now
			now = r.now()
			t.connect(r.counts(s.phase, now), now-begun)
			if class != OK {
				t.fail(class)
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
		latency := end - now
		now = end
		if class == OK && latency > r.load.Timeout {
			class = Timeout
		}
		switch {
		case class == OK:
			t.succeed(r.counts(s.phase, end), latency)
		case ctx.Err() == nil:
			t.fail(class)
		}
		r.advance(&s.phase, end)
	}
}
