package inject

import (
	"sync"

	"golang.org/x/sys/unix"
)

// bell wakes a loop from outside.
type bell struct {
	mu sync.Mutex
	fd int // -1: taken away
}

// hang makes the bell heard by an epoll instance, which tells of it as descriptor -1.
func (b *bell) hang(poll int) error {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return err
	}
	if err := unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: -1}); err != nil {
		unix.Close(fd)
		return err
	}
	b.fd = fd
	return nil
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fd >= 0 {
		_, _ = unix.Write(b.fd, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // one that is full rings already
	}
}

// still makes the bell heard no more until it rings again.
func (b *bell) still() {
	var count [8]byte
	_, _ = unix.Read(b.fd, count[:]) // one that has not rung is still
}

func (b *bell) take() {
	b.mu.Lock()
	defer b.mu.Unlock()
	unix.Close(b.fd)
	b.fd = -1
}
