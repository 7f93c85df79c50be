//go:build linux

package prefork

import (
	"net/http"
	"sync"
	"sync/atomic"
)

// inflight keeps the account of a worker's requests on its slot. Requests in a handler form a list
// in the order of their start, so the oldest is at its head, whoever ends first.
type inflight struct {
	slot    []atomic.Uint64
	limit   uint64 // call full after so many requests; 0: never
	full    func()
	closing atomic.Bool // tell each client to close its connection

	mu         sync.Mutex
	running    uint64
	done       uint64
	head, tail *request
}

type request struct {
	start      int64 // monotonic
	ended      bool
	prev, next *request
}

func (f *inflight) begin() *request {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := &request{start: monotonic(), prev: f.tail}
	if f.tail == nil {
		f.head = r
	} else {
		f.tail.next = r
	}
	f.tail = r
	f.running++
	f.publish()
	return r
}

// end may be called again, which changes nothing.
func (f *inflight) end(r *request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.ended {
		return
	}
	r.ended = true
	if r.prev == nil {
		f.head = r.next
	} else {
		r.prev.next = r.next
	}
	if r.next == nil {
		f.tail = r.prev
	} else {
		r.next.prev = r.prev
	}
	f.running--
	f.done++
	f.slot[slotRequests].Add(1)
	f.publish()
	if f.done == f.limit {
		f.full()
	}
}

func (f *inflight) publish() {
	oldest := int64(0)
	if f.head != nil {
		oldest = f.head.start
	}
	f.slot[slotOldest].Store(uint64(oldest))
	f.slot[slotInFlight].Store(f.running)
}

// wrap accounts for the requests that next handles. The deferred end holds for a handler that
// panics, too.
func (f *inflight) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		current := f.begin()
		defer f.end(current)
		if c, ok := r.Context().Value(connKey{}).(*conn); ok && r.ProtoMajor == 1 {
			c.request.Store(current)
		}
		if f.closing.Load() {
			// Server.SetKeepAlivesEnabled(false) would do this for all answers, but it closes idle
			// connections at once, on which the next request may be under way.
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
