//go:build linux

package prefork

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// openSocket listens on addr and returns the bare descriptor of the socket, out of reach of Go's
// poller: a listener that the poller knows would wake the master for every connection it is never
// going to accept.
//
// Multipath TCP, Go's default for listeners, is off: the filter of refuseNew and the length of the
// queue are those of a plain TCP socket.
func openSocket(addr string) (int, net.Addr, error) {
	lc := net.ListenConfig{}
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return -1, nil, fmt.Errorf("prefork: cannot listen on %q: %w%s", addr, err, listenHint(err))
	}
	defer l.Close()
	fd, err := bareSocket(l.(*net.TCPListener))
	return fd, l.Addr(), err
}

// bareSocket is a copy of a listener's descriptor. It does not come from TCPListener.File: what
// that returns makes the socket blocking when it is passed on, and with it the descriptors of all
// workers, which share the flag.
func bareSocket(l *net.TCPListener) (int, error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return -1, fmt.Errorf("prefork: listener: %w", err)
	}
	fd := -1
	var dupErr error
	if err := raw.Control(func(s uintptr) {
		fd, dupErr = unix.FcntlInt(s, unix.F_DUPFD_CLOEXEC, 0)
	}); err != nil {
		return -1, fmt.Errorf("prefork: listener: %w", err)
	}
	if dupErr != nil {
		return -1, fmt.Errorf("prefork: duplicating the listener: %w", dupErr)
	}
	return fd, nil
}

func listenHint(err error) string {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return ": stop the process that listens there, or choose another port (0 picks a free one)"
	case errors.Is(err, unix.EACCES):
		return ": choose a port from 1024 up, or give the process CAP_NET_BIND_SERVICE"
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return ": choose an address of this machine"
	}
	return ""
}

// handout is a copy of fd for a process about to be started, to be closed afterwards. os.NewFile
// finds the descriptor non-blocking and leaves it so.
func handout(fd int, name string) (*os.File, error) {
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("prefork: duplicating the %s: %w", name, err)
	}
	return os.NewFile(uintptr(dup), name), nil
}

// refuseNew makes the kernel drop packets that would open a new connection to the listening socket,
// which every process may ask of its own sockets. The clients send them again a second later and
// are refused properly then, as the socket is closed. What is in the queue stays, so it can be
// emptied: without the filter a client may always slip in between the last accept and the close,
// and be reset.
func refuseNew(socket int) error {
	const (
		flags  = 13 // offset in the TCP header, which is where the filter's view of the packet starts
		syn    = 0x02
		synAck = 0x12
		whole  = 1<<32 - 1 // bytes of the packet to keep
	)
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: flags},
		{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: synAck},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: syn, Jt: 0, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: whole},
	}
	return unix.SetsockoptSockFprog(socket, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
}

// queueLength is the number of connections that wait to be accepted from a listening socket.
func queueLength(socket int) int {
	fds := []unix.PollFd{{Fd: int32(socket), Events: unix.POLLIN}}
	if n, err := unix.Poll(fds, 0); n <= 0 || err != nil || fds[0].Revents&unix.POLLIN == 0 {
		return 0
	}
	// For a listening socket Linux reports the queue where it has the unacknowledged segments of
	// others (tcp_info in tcp(7); `ss -l` shows the same number). A system that does not is taken to
	// have one.
	info, err := unix.GetsockoptTCPInfo(socket, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 1
	}
	return max(1, int(info.Unacked))
}
