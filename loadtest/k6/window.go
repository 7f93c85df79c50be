package k6

import (
	"context"
	"time"

	"rampart/loadtest/inject"
)

// window follows the window of a level from outside, to call OnEdge and to know its real length.
type window struct {
	load   inject.Load
	opened time.Time     // zero: not yet
	length time.Duration // 0: not closed
	cut    bool          // canceled: what k6 says of edges does not count any more
}

// follow returns when the process has ended.
func (w *window) follow(ctx context.Context, p *process) {
	for done := ctx.Done(); ; {
		select {
		case at := <-p.stderr.edges:
			w.edge(at)
		case <-done:
			done = nil
			w.cancel(p.stderr.edges)
		case <-p.Ended():
			w.drain(p.stderr.edges)
			return
		}
	}
}

// edge takes note of an edge of which k6 has told.
func (w *window) edge(at time.Time) {
	switch {
	case w.cut || w.length > 0:
		return
	case w.opened.IsZero():
		w.opened = at
	default:
		// k6 counts by its own clock. When it came to tell of the edge is of no importance.
		w.length = w.load.Window
	}
	w.call()
}

// cancel closes an open window now.
func (w *window) cancel(edges <-chan time.Time) {
	now := time.Now()
	w.drain(edges)
	w.cut = true
	if !w.opened.IsZero() && w.length == 0 {
		w.length = min(max(now.Sub(w.opened), 1), w.load.Window)
		w.call()
	}
}

func (w *window) drain(edges <-chan time.Time) {
	for {
		select {
		case at := <-edges:
			w.edge(at)
		default:
			return
		}
	}
}

func (w *window) call() {
	if w.load.OnEdge != nil {
		w.load.OnEdge()
	}
}
