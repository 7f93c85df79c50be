//go:build linux

package prefork

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Master and worker talk in single bytes over a pair of sockets. Orders are not signals: a signal
// that comes between the start of a worker and its handler would be lost or kill it, a byte waits
// until it is read. And the pair tells a worker that its master is gone, whatever killed it,
// because reading ends. (Pdeathsig does not: it fires when the thread that started the worker ends,
// not the process.)

// order is what the master tells a worker.
type order byte

const (
	orderServe order = 's' // begin to accept
	orderDrain order = 'd' // everybody stops: empty the queue, finish, leave
	orderLeave order = 'l' // only you: leave the queue to the others, finish, leave
	orderQuick order = 'q' // leave now

	orderReopen order = 'u' // open the log file by its name again; at any time
)

// report is what a worker tells the master.
type report byte

const (
	reportReady  report = 'r' // can serve
	reportRetire report = 'o' // asks to be replaced
	reportClosed report = 'c' // accepts no more, of those that were told to leave the queue to the others
)

// controlPair makes the two ends, the master's and the worker's. Neither is inherited by a process
// that it is not handed to: another worker that held the master's end would keep this one from
// seeing the master die.
func controlPair() (master, worker *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("prefork: control sockets: %w", err)
	}
	return os.NewFile(uintptr(fds[0]), "control"), os.NewFile(uintptr(fds[1]), "control"), nil
}

// receive hands each byte that arrives at f to got, until the other end is closed or f is.
func receive[T ~byte](f *os.File, got func(T)) {
	var buf [16]byte
	for {
		n, err := f.Read(buf[:])
		for _, b := range buf[:n] {
			got(T(b))
		}
		if err != nil {
			return
		}
	}
}

// send writes one byte. That it cannot be delivered is not an error here: the other end is gone
// then, which its reader or the wait for its process will tell.
func send[T ~byte](f *os.File, what T) {
	_, _ = f.Write([]byte{byte(what)})
}
