package inject

import (
	"context"
	"math"
	"sync"
	"time"
)

// Session keeps the VUs of one target connected while they rest, so that load on it can be cut into
// slices of milliseconds, and load on something else put between. One goroutine calls its methods.
type Session struct {
	ctx     context.Context // of all that the session does, from Open to Close
	run     *run
	drivers []driver
	gun     []chan struct{} // one for each driver: a slice begins
	played  chan struct{}   // a driver has finished its part of a slice
	rows    []Asked         // of single requests
	driving sync.WaitGroup

	uninterrupt func() bool
	interrupted chan struct{}

	last   counts        // when the last slice had ended
	active time.Duration // length of all slices since the VUs were connected, or since the last Take
	meter  strainMeter   // since then
}

// Open connects VUs to a target. What cannot connect is counted as a failure of the first slice,
// and tries again then. When ctx is done, everything ends soon. A session must be closed.
func Open(ctx context.Context, target Target, vus int, timeout time.Duration) (*Session, error) {
	load := Load{VUs: vus, Window: math.MaxInt64, Timeout: timeout}
	if err := load.Validate(); err != nil {
		return nil, err
	}
	ctx, abort := context.WithCancelCause(ctx)
	s := &Session{
		run: &run{
			load: load, sliced: true, abort: abort, epoch: time.Now(), total: newTotal(timeout, rowsOf(target)),
		},
		rows:        rowsOf(target),
		played:      make(chan struct{}),
		interrupted: make(chan struct{}),
	}
	s.ctx = ctx
	var err error
	if s.drivers, err = newDrivers(ctx, s.run, target); err != nil {
		abort(nil)
		return nil, err
	}
	s.uninterrupt = context.AfterFunc(ctx, func() {
		defer close(s.interrupted)
		s.run.stopped.Store(true)
		for _, d := range s.drivers {
			d.interrupt()
		}
	})
	var connected sync.WaitGroup
	connected.Add(len(s.drivers))
	for _, d := range s.drivers {
		gun := make(chan struct{})
		s.gun = append(s.gun, gun)
		s.driving.Go(func() {
			d.connect(ctx)
			connected.Done()
			for range gun {
				d.play(ctx)
				s.played <- struct{}{}
			}
			d.leave()
		})
	}
	connected.Wait()
	s.meter = newStrainMeter(s.drivers)
	return s, nil
}

func (s *Session) counts() counts {
	var sum counts
	for _, d := range s.drivers {
		sum.add(d.counted().counts)
	}
	return sum
}

// Take returns what all slices since the last Take measured, and begins anew. Its Window is the
// length of all slices.
func (s *Session) Take() Measurement {
	for _, d := range s.drivers {
		d.counted().flush()
	}
	s.last = counts{}
	s.run.round = (s.run.round>>32 + 1) << 32 // as in other sessions, whatever number of slices there were
	m := s.run.total.measurement(s.run.load, s.run.hide)
	m.Window, m.Strain = s.active, s.meter.strain()
	if s.active > 0 { // the loops have nothing to do between slices
		m.Strain.Busy *= time.Since(s.meter.at).Seconds() / s.active.Seconds()
	}
	s.active, s.meter = 0, newStrainMeter(s.drivers)
	s.run.total = newTotal(s.run.load.Timeout, s.rows)
	for _, d := range s.drivers {
		d.counted().total = s.run.total
	}
	return m
}

// Close ends all connections, on both sides.
func (s *Session) Close() {
	for _, gun := range s.gun {
		close(gun)
	}
	s.driving.Wait()
	if !s.uninterrupt() {
		<-s.interrupted
	}
	s.run.abort(nil)
}
