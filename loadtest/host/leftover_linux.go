package host

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// End ends what a launch has left behind: the processes that have its mark, wherever they have
// gone, and their descendants. They have a short time to end by themselves, since what started them
// may just have told them to. Without a mark, it does nothing.
func (l Launch) End() {
	const patience, pause = time.Second, 10 * time.Millisecond
	for begun := time.Now(); ; time.Sleep(pause) {
		all, err := processes()
		if err != nil {
			return
		}
		left := l.marked(all)
		if len(left) == 0 || time.Since(begun) > 2*patience {
			return
		}
		if time.Since(begun) < patience {
			continue
		}
		for _, p := range left {
			p.kill()
		}
	}
}

// kill kills a process, and no other one that has its number by now.
func (p process) kill() {
	fd, err := unix.PidfdOpen(p.pid, 0)
	if err != nil || p.pid == os.Getpid() {
		return
	}
	defer unix.Close(fd)
	all, err := processes()
	if err != nil {
		return
	}
	for _, now := range all {
		if now.identity == p.identity {
			_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		}
	}
}
