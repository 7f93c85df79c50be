//go:build linux

package prefork

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// lameDuck is how long a worker that is to leave keeps a connection open on which no request comes. Each
	// answer now says "Connection: close". A client that sends one request after the other hears of the end that
	// way; if its idle connection were closed at once, its next request might already be on the way and would be
	// lost. It is also how long the worker accepts what others might still connect. Longer than most round
	// trips, and short enough for a stop.
	lameDuck = 200 * time.Millisecond
	// drainTick is how often a worker that leaves looks whether it can.
	drainTick = 10 * time.Millisecond
)

// Worker is this process as one of those that Run has started.
type Worker struct {
	slot    int
	board   *scoreboard
	socket  *os.File
	control *os.File
	signals chan os.Signal
	serving atomic.Bool
}

// attach is done once: the descriptors can be taken over only once, and a second call must not take the
// process for a master.
var attach = sync.OnceValues(func() (*Worker, error) {
	value, marked := os.LookupEnv(workerEnv)
	if !marked {
		return nil, nil
	}
	// A process that this one starts is no worker.
	os.Unsetenv(workerEnv)
	for fd := fdSocket; fd < fdAboveInherited; fd++ {
		unix.CloseOnExec(fd)
	}
	slot, err := strconv.Atoi(value)
	if err != nil {
		return nil, fmt.Errorf("prefork: %s=%q is not a slot: it is set by Run for its workers, unset it", workerEnv, value)
	}
	file := os.NewFile(fdBoard, "scoreboard")
	if file == nil {
		return nil, fmt.Errorf("prefork: %s is set, but nothing was inherited: it is set by Run for its workers, unset it", workerEnv)
	}
	board, err := openScoreboard(file)
	if err != nil {
		return nil, fmt.Errorf("%w (%s is set by Run for its workers; unset it if this is not one)", err, workerEnv)
	}
	if slot < 0 || slot >= board.slots {
		return nil, fmt.Errorf("prefork: %s=%d: there are %d slots", workerEnv, slot, board.slots)
	}
	if err := file.Close(); err != nil { // mapped, so no longer needed
		return nil, fmt.Errorf("prefork: scoreboard: %w", err)
	}
	w := &Worker{
		slot:    slot,
		board:   board,
		socket:  os.NewFile(fdSocket, "listener"),
		control: os.NewFile(fdControl, "control"),
		signals: make(chan os.Signal, 1),
	}
	// Notify, not Ignore: what is ignored would be so in processes that this one starts.
	signal.Notify(w.signals, unix.SIGTERM, unix.SIGINT, unix.SIGQUIT, unix.SIGHUP)
	// The program was started under the name of a descriptor, which ps and top would show. If it cannot be
	// changed they do.
	_ = os.WriteFile("/proc/self/comm", []byte(filepath.Base(os.Args[0])), 0)
	return w, nil
})

// Attach returns the Worker that this process is, or nil if it was not started by Run. Call it first thing in
// main: until then the signals that a worker ignores still end it. It may be called again, with the same result.
// It fails if the process is marked as a worker but was not started as one.
func Attach() (*Worker, error) { return attach() }

// Counters are the words of this worker's slot for the application to count in, [Config.Counters] of
// them. Other processes read them at any time, so they are only to be used atomically, as their type has it.
// They are not reset when the worker dies: its successor goes on from there, so that a sum over AllCounters
// never goes backwards.
func (w *Worker) Counters() []atomic.Uint64 { return w.board.countersOf(w.slot) }

// AllCounters are the counters of every slot, whether a worker is in it or not.
func (w *Worker) AllCounters() [][]atomic.Uint64 { return w.board.all(w.board.countersOf) }

// Gauges are like Counters, [Config.Gauges] of them, but set to 0 when the worker dies: for what a dead
// worker has no more of.
func (w *Worker) Gauges() []atomic.Uint64 { return w.board.gaugesOf(w.slot) }

// AllGauges are the gauges of every slot.
func (w *Worker) AllGauges() [][]atomic.Uint64 { return w.board.all(w.board.gaugesOf) }

// Fleet tells about all workers.
func (w *Worker) Fleet() Fleet { return Fleet{w.board} }

// Serve runs srv on the connections that are this worker's. It reports to the master that the worker is
// ready, serves once the master has all it needs, and returns nil when the worker has been told to leave and has
// done so: after it has answered what it had, or at once. The program should end then. It returns an error if
// requests were left after [Config.Grace], or if the server stopped by itself.
//
// It sets srv.Handler and srv.ConnState to functions that call what was there. srv must not be used
// otherwise, and Serve can be called once.
func (w *Worker) Serve(srv *http.Server) error {
	if !w.serving.CompareAndSwap(false, true) {
		return errors.New("prefork: Serve was called before")
	}
	quick, leaveNow := context.WithCancel(context.Background())
	defer leaveNow()
	orders := make(chan order, 4) // each of the others is sent once
	received := make(chan struct{})
	go func() {
		defer close(received)
		defer close(orders)
		receive(w.control, func(o order) {
			if o == orderQuick {
				leaveNow()
			} else {
				orders <- o
			}
		})
	}()
	defer func() {
		w.control.Close()
		<-received
	}()

	l, err := newListener(w.socket, w.board, w.slot)
	if err != nil {
		return err
	}
	send(w.control, reportReady)
	for begun := false; !begun; {
		select {
		case <-quick.Done():
			return l.Close() // nothing was accepted
		case o := <-orders:
			if o != orderServe {
				return l.Close()
			}
			begun = true
		case s := <-w.signals:
			w.signaled(s)
		}
	}

	words := w.board.slot(w.slot)
	flight := &inflight{slot: words, limit: words[slotLimit].Load(), full: func() { send(w.control, reportRetire) }}
	handler := srv.Handler
	if handler == nil {
		handler = http.DefaultServeMux
	}
	srv.Handler = flight.wrap(handler)
	follow(srv)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	for {
		select {
		case err := <-served:
			return fmt.Errorf("prefork: serving: %w", err)
		case s := <-w.signals:
			w.signaled(s)
		case <-quick.Done():
			err := srv.Close()
			<-served
			return err
		case o, ok := <-orders:
			switch {
			case !ok: // the master is gone, so everybody stops
				return w.drain(quick, srv, l, flight, served, orderDrain)
			case o == orderDrain || o == orderLeave:
				return w.drain(quick, srv, l, flight, served, o)
			}
		}
	}
}

// signaled asks to be replaced on SIGTERM. It does not just leave: that way the next worker serves before
// this one stops, and if the whole group is sent SIGTERM, the master, which gets it too, decides.
func (w *Worker) signaled(s os.Signal) {
	if s == unix.SIGTERM {
		send(w.control, reportRetire)
	}
}

// drain ends the service so that no client that has sent a request goes without an answer, as far as Grace
// allows and until quick is done.
func (w *Worker) drain(quick context.Context, srv *http.Server, l *listener, flight *inflight, served <-chan error, o order) error {
	grace := w.board.grace()
	ctx, cancel := context.WithTimeout(quick, grace)
	defer cancel()
	w.board.setState(w.slot, stateDraining)
	flight.closing.Store(true)
	if o == orderDrain {
		l.setMode(greedy)
	} else {
		l.setMode(closed)
	}

	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	begin := monotonic()
	for accepting := true; ; {
		left := l.letGo(begin, lameDuck)
		if accepting && (left == 0 || monotonic()-begin >= int64(lameDuck)) {
			if o == orderDrain {
				l.setMode(untilDone)
			}
			<-served // so the queue is empty, or the others'
			accepting = false
			continue
		}
		if left == 0 {
			return srv.Shutdown(ctx) // which has nothing to do but to call what is registered with it
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			err := srv.Close()
			if quick.Err() == nil {
				err = errors.Join(fmt.Errorf("prefork: %d connections were still busy after the grace of %s", left, grace), err)
			}
			if accepting {
				<-served
			}
			return err
		}
	}
}
