package app

import (
	"os"
	"runtime"
	"sync"
	"time"
)

// pausePipe is what pause waits for. One for the process is enough: who pauses writes one byte and
// reads one.
var pausePipe = sync.OnceValues(func() (p struct{ r, w *os.File }, err error) {
	p.r, p.w, err = os.Pipe()
	return p, err
})

// pause parks the calling goroutine until the runtime has polled the network, and lets run what
// that made ready.
//
// Where a process has one processor and that computes, the runtime polls every 10 ms only.
// runtime.Gosched does not make it poll: it finds the caller in its queue again.
// time.Sleep(time.Microsecond) does, but then waits in epoll for a whole millisecond, the least it
// can ask for; measured 0.92 to 1.0 ms. A goroutine that waits for a byte in a pipe is found by the
// poll itself, together with everything else that is ready: about 4 µs.
func pause() {
	pipe, err := pausePipe()
	if err != nil { // no descriptor left
		time.Sleep(time.Microsecond)
		return
	}
	var written sync.WaitGroup
	written.Go(func() { _, _ = pipe.w.Write([]byte{0}) }) // after the read has parked: the runtime starts it next
	_, _ = pipe.r.Read(make([]byte, 1))                   // a pipe of our own that nobody closes
	written.Wait()
	runtime.Gosched()
}
