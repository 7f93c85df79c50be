//go:build linux

package prefork

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// pidFile is a file with the pid of the master that serves. It is locked, so one that is left from
// a master that was killed is told from one in use, whatever process has that pid by now. The lock
// is the open file's: a master passes it on to its successor together with the descriptor.
type pidFile struct {
	path string
	file *os.File
}

// maxPIDFile is more than a pid takes.
const maxPIDFile = 32

// openPIDFile makes the file, or takes over one that nobody holds. What is in it, if it is no pid,
// is not touched.
func openPIDFile(path string) (*pidFile, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, fmt.Errorf("prefork: pid file: %w", err)
		}
		if err := lockPIDFile(f, path); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		// Its holder may have taken it away between the two.
		mine, err := f.Stat()
		if err != nil {
			return nil, errors.Join(fmt.Errorf("prefork: pid file: %w", err), f.Close())
		}
		if there, err := os.Stat(path); err != nil || !os.SameFile(mine, there) {
			f.Close()
			continue
		}
		return &pidFile{path: path, file: f}, nil
	}
}

func lockPIDFile(f *os.File, path string) error {
	text, err := readPIDFile(f)
	if err != nil {
		return fmt.Errorf("prefork: pid file %s: %w", path, err)
	}
	if _, err := strconv.Atoi(text); err != nil && text != "" {
		return fmt.Errorf("prefork: pid file %s holds %.20q, which is no process id: choose another file", path, text)
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return fmt.Errorf("prefork: pid file %s: %w", path, err)
	}
	var lockErr error
	if err := raw.Control(func(fd uintptr) { lockErr = unix.Flock(int(fd), unix.LOCK_EX|unix.LOCK_NB) }); err != nil {
		return fmt.Errorf("prefork: pid file %s: %w", path, err)
	}
	if errors.Is(lockErr, unix.EWOULDBLOCK) {
		return fmt.Errorf("prefork: pid file %s is held by a master that runs (pid %s): stop it, or choose another file",
			path, text)
	}
	if lockErr != nil {
		return fmt.Errorf("prefork: locking the pid file %s: %w", path, lockErr)
	}
	return nil
}

func readPIDFile(f *os.File) (string, error) {
	buf := make([]byte, maxPIDFile+1)
	n, err := f.ReadAt(buf, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimSpace(string(buf[:n])), nil
}

// write puts this process's pid in. A nil file is none.
func (p *pidFile) write() error {
	if p == nil {
		return nil
	}
	text := strconv.Itoa(os.Getpid()) + "\n"
	_, err := p.file.WriteAt([]byte(text), 0) // first, so that the file is never empty
	if err == nil {
		err = p.file.Truncate(int64(len(text)))
	}
	if err != nil {
		return fmt.Errorf("prefork: pid file %s: %w", p.path, err)
	}
	return nil
}

// release takes the file away if it names this process or nobody, and gives up the lock in any
// case.
func (p *pidFile) release() {
	if p == nil {
		return
	}
	defer p.file.Close()
	text, err := readPIDFile(p.file)
	mine, statErr := p.file.Stat()
	there, pathErr := os.Stat(p.path)
	if err == nil && statErr == nil && pathErr == nil && os.SameFile(mine, there) &&
		(text == "" || text == strconv.Itoa(os.Getpid())) {
		_ = os.Remove(p.path) // a file that stays is taken over next time
	}
}
