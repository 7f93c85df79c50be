package gobench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// holds says that a process is held by its output.
const holds = true

// output is the standard output of a test binary: a pipe in packet mode with room for one packet,
// which is what one call of write wrote. As long as the last packet is in it, the writer of the
// next one waits. So a process that has written the numbers of a benchmark is held in writing what
// comes after them, until somebody takes the numbers out; they can be read before that (tee(2)).
type output struct {
	out, copy [2]int // reading and writing ends
	held      bool   // a packet is in out that was seen and not taken
	packet    []byte
}

// newOutput makes one, and returns where the process writes.
func newOutput() (*output, *os.File, error) {
	o := &output{packet: make([]byte, 2*os.Getpagesize())}
	for _, pipe := range []*[2]int{&o.out, &o.copy} {
		*pipe = [2]int{-1, -1}
	}
	for _, pipe := range []*[2]int{&o.out, &o.copy} {
		if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_DIRECT); err != nil {
			o.close()
			return nil, nil, fmt.Errorf("pipe in packet mode: %w", err)
		}
	}
	size, err := unix.FcntlInt(uintptr(o.out[1]), unix.F_SETPIPE_SZ, os.Getpagesize())
	if err != nil || size != os.Getpagesize() {
		o.close()
		return nil, nil, fmt.Errorf("pipe with room for one packet: it has %d bytes (%w)", size, err)
	}
	w := os.NewFile(uintptr(o.out[1]), "pipe")
	o.out[1] = -1
	return o, w, nil
}

// next takes the piece that it returned last, waits for another one and leaves that in its place:
// whoever writes the one after it waits. The error is io.EOF where nobody can write any more.
func (o *output) next(ctx context.Context, timeout time.Duration) (string, error) {
	if o.held {
		if _, err := read(o.out[0], o.packet); err != nil {
			return "", err
		}
		o.held = false
	}
	if err := o.wait(ctx, timeout); err != nil {
		return "", err
	}
	seen, err := unix.Tee(o.out[0], o.copy[1], len(o.packet), unix.SPLICE_F_NONBLOCK)
	switch {
	case err != nil:
		return "", fmt.Errorf("see what is in a pipe: %w", err)
	case seen == 0:
		return "", io.EOF
	}
	o.held = true
	n, err := read(o.copy[0], o.packet)
	if err != nil {
		return "", err
	}
	return string(o.packet[:n]), nil
}

func read(from int, into []byte) (n int, err error) {
	for {
		if n, err = unix.Read(from, into); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return 0, fmt.Errorf("read a pipe: %w", err)
	}
	return n, nil
}

// glance is how often it looks whether the context has ended. Slices are mostly shorter.
const glance = 200 * time.Millisecond

// wait waits until there is something to read, or nobody left who could write.
func (o *output) wait(ctx context.Context, timeout time.Duration) error {
	for end := time.Now().Add(timeout); ; {
		left := time.Until(end)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case left <= 0:
			return errTimeout
		}
		in := []unix.PollFd{{Fd: int32(o.out[0]), Events: unix.POLLIN}}
		n, err := unix.Poll(in, int(min(left, glance).Milliseconds())+1)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("wait for a pipe: %w", err)
		case n > 0:
			return nil
		}
	}
}

func (o *output) close() {
	for _, pipe := range [][2]int{o.out, o.copy} {
		for _, end := range pipe {
			if end >= 0 {
				unix.Close(end)
			}
		}
	}
}
