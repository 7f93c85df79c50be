package inject

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// nullAnswer is all that a null server says.
var nullAnswer = []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

// nullServer answers each request with a constant, as cheaply as the event loop asks: whatever it
// is sent at once is one request.
type nullServer struct {
	address string
	bells   []*bell
	running sync.WaitGroup
}

// startNullServer starts one with a number of threads, on a free port of loopback.
func startNullServer(threads int) (*nullServer, error) {
	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("null server: %w", err)
	}
	s := &nullServer{}
	var polls []int
	fail := func(err error) (*nullServer, error) {
		unix.Close(listener)
		for i, poll := range polls {
			unix.Close(poll)
			s.bells[i].take()
		}
		return nil, fmt.Errorf("null server: %w", err)
	}
	if err := unix.Bind(listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return fail(err)
	}
	if err := unix.Listen(listener, unix.SOMAXCONN); err != nil {
		return fail(err)
	}
	bound, err := unix.Getsockname(listener)
	if err != nil {
		return fail(err)
	}
	s.address = fmt.Sprintf("%s:%d", net.IPv4(127, 0, 0, 1), bound.(*unix.SockaddrInet4).Port)
	for range threads {
		poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			return fail(err)
		}
		b := new(bell)
		if err := b.hang(poll); err != nil {
			unix.Close(poll)
			return fail(err)
		}
		polls, s.bells = append(polls, poll), append(s.bells, b)
		if err := watch(poll, listener, unix.EPOLLIN); err != nil {
			return fail(err)
		}
	}
	var serving sync.WaitGroup
	for _, poll := range polls {
		serving.Go(func() { serveNull(poll, listener) })
	}
	s.running.Go(func() {
		serving.Wait()
		unix.Close(listener)
	})
	return s, nil
}

// stop ends the server and all its connections.
func (s *nullServer) stop() {
	for _, b := range s.bells {
		b.ring()
	}
	s.running.Wait()
	for _, b := range s.bells {
		b.take()
	}
}

func watch(poll, fd int, events uint32) error {
	return unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// serveNull serves until the bell rings.
func serveNull(poll, listener int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer unix.Close(poll)
	connections := make(map[int32]bool)
	defer func() {
		for fd := range connections {
			unix.Close(int(fd))
		}
	}()
	events := make([]unix.EpollEvent, 512)
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.EpollWait(poll, events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		for _, e := range events[:max(n, 0)] {
			switch {
			case e.Fd < 0:
				return
			case e.Fd == int32(listener):
				fd, _, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
				if err != nil {
					continue // another thread was faster, or the client has gone
				}
				connections[int32(fd)] = true
				_ = watch(poll, fd, unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLET)
			default:
				n, err := receive(e.Fd, buf)
				if err == 0 && n > 0 {
					_, _ = send(e.Fd, nullAnswer)
				}
				// it is told only once, with a request or without
				ended := e.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0
				if ended || n <= 0 && err != unix.EAGAIN {
					delete(connections, e.Fd)
					unix.Close(int(e.Fd))
				}
			}
		}
	}
}
