package inject

import (
	"context"
	"fmt"
	"time"
)

// A LateError says that the VUs of a load could not be connected at the instant at which it should
// have started.
type LateError struct {
	Start time.Time     // the instant
	Late  time.Duration // how long ago that was
	VUs   int           // that were connected by now; 0: none had begun to
}

// Error says how late it was and what to do.
func (e *LateError) Error() string {
	what := "there was no time to connect"
	if e.VUs > 0 {
		what = fmt.Sprintf("it took that much longer to connect %d VUs", e.VUs)
	}
	return fmt.Sprintf("too late to start at %s, by %v: %s; choose a later start, or compare the clocks of the machines",
		e.Start.UTC().Format("15:04:05.000 MST"), e.Late, what)
}

// lead is how long before the start VUs begin to connect, at the earliest: long enough to connect
// 200 a second, short enough that a server does not give up on connections that wait for their
// first request.
func (l Load) lead() time.Duration { return 5*time.Second + time.Duration(l.VUs)*5*time.Millisecond }

// untilConnecting waits until it is time to connect.
func (l Load) untilConnecting(ctx context.Context) error {
	if l.Start.IsZero() {
		return nil
	}
	if late := time.Since(l.Start); late >= 0 {
		return &LateError{Start: l.Start, Late: late}
	}
	if !sleepUntil(ctx, l.Start.Add(-l.lead())) {
		return fmt.Errorf("injection with %d VUs not begun: %w", l.VUs, context.Cause(ctx))
	}
	return nil
}

// awaitStart waits for the start when all VUs are connected.
func (l Load) awaitStart(ctx context.Context) error {
	if l.Start.IsZero() || ctx.Err() != nil {
		return nil
	}
	if late := time.Since(l.Start); late >= 0 {
		return &LateError{Start: l.Start, Late: late, VUs: l.VUs}
	}
	if sleepUntil(ctx, l.Start.Add(-coarse)) {
		for left := time.Until(l.Start); left > 0; left = time.Until(l.Start) {
			nap(left)
		}
	}
	return nil
}

// coarse is by how much the timers of the runtime may be late: on Linux it waits for them in whole
// milliseconds.
const coarse = 2 * time.Millisecond

// sleepUntil waits for an instant of the wall clock and reports whether ctx let it.
func sleepUntil(ctx context.Context, at time.Time) bool {
	for {
		left := time.Until(at)
		if left <= 0 {
			return ctx.Err() == nil
		}
		if !sleep(ctx, left) { // a clock that was set back meanwhile makes it wait again
			return false
		}
	}
}
