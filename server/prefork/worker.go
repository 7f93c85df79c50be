//go:build linux

package prefork

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Worker is this process as one of those that Run has started.
type Worker struct {
	slot    int
	log     string // path of the log file; empty: there is none
	board   *scoreboard
	socket  *os.File
	control *os.File
	signals <-chan os.Signal
	orders  chan order      // closed when the master is gone
	quick   context.Context // done when the worker is to leave at once
	serving atomic.Bool     // Serve was called, or the process ends without
}

// attach is done once: the descriptors can be taken over only once, and a second call must not take
// the process for a master.
var attach = sync.OnceValues(func() (*Worker, error) {
	value, marked := os.LookupEnv(workerEnv)
	if !marked {
		return nil, nil
	}
	// A process that this one starts is no worker.
	os.Unsetenv(workerEnv)
	log := os.Getenv(logEnv)
	os.Unsetenv(logEnv)
	for fd := fdSocket; fd < fdAboveInherited; fd++ {
		unix.CloseOnExec(fd)
	}
	slot, err := strconv.Atoi(value)
	if err != nil {
		return nil, fmt.Errorf("prefork: %s=%q is not a slot: it is set by Run for its workers, unset it", workerEnv, value)
	}
	file := os.NewFile(fdBoard, "scoreboard")
	if file == nil {
		return nil, fmt.Errorf("prefork: %s is set, but nothing was inherited: it is set by Run for its workers, unset it",
			workerEnv)
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
		log:     log,
		board:   board,
		socket:  os.NewFile(fdSocket, "listener"),
		control: os.NewFile(fdControl, "control"),
		orders:  make(chan order, 4), // each is sent once
	}
	// Not ignored: what is ignored would be so in processes that this one starts.
	w.signals, _ = subscribe(masterSignals...)
	// The program was started under the name of a descriptor, which ps and top would show. If it
	// cannot be changed they do.
	_ = os.WriteFile("/proc/self/comm", []byte(filepath.Base(os.Args[0])), 0)
	quick, leaveNow := context.WithCancel(context.Background())
	w.quick = quick
	go w.listen(leaveNow)
	return w, nil
})

// listen takes the master's orders until the process ends, and ends it where nobody else would.
//
// A program that hangs before it calls Serve, or after, does not look at its orders. If its master
// is gone, nobody would kill it either.
func (w *Worker) listen(leaveNow func()) {
	receive(w.control, func(o order) {
		switch o {
		case orderQuick:
			leaveNow()
			w.exitUnserved(0, "told to leave")
		case orderReopen:
			if err := openLog(w.log); err != nil {
				fmt.Fprintf(os.Stderr, "prefork: worker %d: the log goes on where it was: %v\n", os.Getpid(), err)
			}
		default:
			w.orders <- o
		}
	})
	close(w.orders)
	w.exitUnserved(1, "the master is gone")
	time.Sleep(w.board.grace() + overtime)
	fmt.Fprintf(os.Stderr, "prefork: worker %d: the master is gone, and the grace of %s over\n",
		os.Getpid(), w.board.grace())
	os.Exit(1)
}

// exitUnserved ends the process if Serve was not called yet, and keeps it from being called.
func (w *Worker) exitUnserved(code int, why string) {
	if w.serving.CompareAndSwap(false, true) {
		fmt.Fprintf(os.Stderr, "prefork: worker %d: %s before it served\n", os.Getpid(), why)
		os.Exit(code)
	}
}

// Attach returns the Worker that this process is, or nil if it was not started by Run. Call it
// first thing in main: until then the signals that a worker ignores still end it. It may be called
// again, with the same result. It fails if the process is marked as a worker but was not started as
// one.
//
// From then on the process ends by itself when it is told to leave or its master is gone before
// Serve was called, and when its master has been gone for longer than [Config.Grace].
func Attach() (*Worker, error) { return attach() }

// Counters are the words of this worker's slot for the application to count in, [Config.Counters]
// of them. Other processes read them at any time, so they are only to be used atomically, as their
// type has it. They are not reset when the worker dies: its successor goes on from there, so that a
// sum over AllCounters never goes backwards.
func (w *Worker) Counters() []atomic.Uint64 { return w.board.countersOf(w.slot) }

// AllCounters are the counters of every slot, whether a worker is in it or not.
func (w *Worker) AllCounters() [][]atomic.Uint64 { return w.board.all(w.board.countersOf) }

// Gauges are like Counters, [Config.Gauges] of them, but set to 0 when the worker dies: for what a
// dead worker has no more of.
func (w *Worker) Gauges() []atomic.Uint64 { return w.board.gaugesOf(w.slot) }

// AllGauges are the gauges of every slot.
func (w *Worker) AllGauges() [][]atomic.Uint64 { return w.board.all(w.board.gaugesOf) }

// Fleet tells about all workers.
func (w *Worker) Fleet() Fleet { return Fleet{w.board} }

// Serve runs srv on the connections that are this worker's. It reports to the master that the
// worker is ready, serves once the master has all it needs, and returns nil when the worker has
// been told to leave and has done so: after it has answered what it had, or at once. The program
// should end then. It returns an error if requests were left after [Config.Grace], or if the server
// stopped by itself.
//
// With a certificate in srv.TLSConfig it serves HTTPS, and HTTP/2 as far as srv does.
//
// It sets srv.Handler, srv.ConnState and srv.ConnContext to functions that call what was there. srv
// must not be used otherwise, and Serve can be called once.
func (w *Worker) Serve(srv *http.Server) error {
	if !w.serving.CompareAndSwap(false, true) {
		return errors.New("prefork: Serve was called before")
	}
	l, err := newListener(w.socket, w.board, w.slot)
	if err != nil {
		return err
	}
	beats := time.NewTicker(beatEvery)
	defer beats.Stop()
	w.beat()
	send(w.control, reportReady)
	for begun := false; !begun; {
		select {
		case <-w.quick.Done():
			return l.Close() // nothing was accepted
		case o := <-w.orders:
			if o != orderServe {
				return l.Close()
			}
			begun = true
		case s := <-w.signals:
			w.signaled(s)
		case <-beats.C:
			w.beat()
		}
	}

	closed := func() { send(w.control, reportClosed) }
	service := startService(srv, l, w.board, w.slot, func() { send(w.control, reportRetire) })
	for {
		select {
		case err := <-service.served:
			return fmt.Errorf("prefork: serving: %w", err)
		case s := <-w.signals:
			w.signaled(s)
		case <-beats.C:
			w.beat()
		case <-w.quick.Done():
			return service.quit()
		case o, ok := <-w.orders:
			switch {
			case !ok: // the master is gone, so everybody stops
				return service.drain(w.quick, orderDrain, closed)
			case o == orderDrain || o == orderLeave:
				return service.drain(w.quick, o, closed)
			}
		}
	}
}

// beat shows that this process runs.
func (w *Worker) beat() { w.board.slot(w.slot)[slotBeat].Store(uint64(monotonic())) }

// signaled asks to be replaced on SIGTERM. It does not just leave: that way the next worker serves
// before this one stops, and if the whole group is sent SIGTERM, the master, which gets it too,
// decides.
func (w *Worker) signaled(s os.Signal) {
	if s == unix.SIGTERM {
		send(w.control, reportRetire)
	}
}
