package inject

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// askFirst makes the first requests of VUs, as many VUs at a time as connect at a time. It ends
// with the first failure: what a VU asks that could not log in says nothing of the server.
func (h *HTTP) askFirst(parent context.Context, askers []*asker, timeout time.Duration) error {
	ctx, abort := context.WithCancelCause(parent)
	defer abort(nil)
	slots := make(chan struct{}, connecting)
	var asking sync.WaitGroup
	for _, a := range askers {
		slots <- struct{}{}
		asking.Go(func() {
			defer func() { <-slots }()
			if ctx.Err() != nil {
				return
			}
			if err := a.askFirst(ctx, h.tls, timeout); err != nil && ctx.Err() == nil {
				abort(err)
			}
		})
	}
	asking.Wait()
	if ctx.Err() != nil {
		if err := context.Cause(parent); err != nil {
			return fmt.Errorf("first requests of VUs cut short: %w", err)
		}
		return context.Cause(ctx)
	}
	return nil
}

// askFirst makes the first requests of one VU, each on a connection of its own. The error is that
// of a [FirstError], or a limit of the injector.
func (a *asker) askFirst(ctx context.Context, config *tls.Config, timeout time.Duration) error {
	for i, r := range a.target.config.First {
		q, err := questionOf(a.target.config, r, true)
		if err != nil {
			return err // it has been prepared before
		}
		a.take(q)
		if _, _, failure := a.askOnce(ctx, config, timeout, a.refused); failure != nil {
			if limit := a.target.limitOf(failure); limit != nil {
				return limit
			}
			what := fmt.Sprintf("first request %d of %d, %s", i+1, len(a.target.config.First), q)
			if a.number > 0 {
				what += fmt.Sprintf(", of VU %d", a.number)
			}
			return &FirstError{what, failure}
		}
	}
	return nil
}

// FirstError says that one of the first requests of a VU failed.
type FirstError struct {
	what    string
	Failure *Failure
}

// Error names the request and what the server said.
func (e *FirstError) Error() string { return e.what + ": " + e.Failure.Error() }

// Unwrap returns the failure.
func (e *FirstError) Unwrap() error { return e.Failure }

// String is the question as it may be shown.
func (q *question) String() string {
	shown := q.request.URL.RequestURI()
	if q.request.Method != http.MethodGet {
		shown = q.request.Method + " " + shown
	}
	if q.place != "" {
		shown += " (" + q.place + ")"
	}
	return shown
}
