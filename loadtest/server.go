package loadtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// BuildServer builds the bundled server into dir and returns its path. It needs the go command and to run in this
// module or one that depends on it.
func BuildServer(ctx context.Context, dir string) (string, error) {
	const otherwise = "set SERVER=host:port to load a server that runs already"
	goCommand, err := exec.LookPath("go")
	if err != nil {
		return "", fmt.Errorf("no go command to build the bundled server with (%w); %s", err, otherwise)
	}
	path := filepath.Join(dir, "server")
	build := exec.CommandContext(ctx, goCommand, "build", "-o", path, "rampart/server")
	out, err := build.CombinedOutput()
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("building the bundled server: %w", context.Cause(ctx))
	case err != nil:
		return "", fmt.Errorf("go build rampart/server: %w; %s\n%s", err, otherwise, out)
	}
	return path, nil
}

// Server is a server process that this process started.
type Server struct {
	Addr  string // host:port on which it serves
	pid   int
	group bool // signals go to all processes that it started, too

	output *tail
	pipe   *os.File      // what the server says comes out of it
	read   chan struct{} // closed when nothing more comes
	ended  chan struct{} // closed when the process has been waited for
	err    error         // of the wait; set before ended is closed
}

// How long a server may take to serve and to stop before it is killed.
const (
	startPatience = 30 * time.Second
	stopPatience  = 10 * time.Second
	readPatience  = time.Second // for output after the end, which a child of the server may hold open
)

// announcement is how a server says on stderr where it serves.
const announcement = "listening on "

// StartServer starts a command that prints "listening on HOST:PORT" on stderr once it serves, and waits for that. It
// ends when Stop is called, and also when this process dies, in whatever way.
func StartServer(ctx context.Context, command ...string) (*Server, error) {
	s, address, err := launch(affinity{}, command...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startPatience, fmt.Errorf("it does not serve after %v", startPatience))
	defer cancel()
	select {
	case at, ok := <-address:
		if ok {
			s.Addr = at
			return s, nil
		}
		err = errors.New("it ended before it served")
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	return nil, fmt.Errorf("start server %s: %w; %w", command[0], err, s.Kill())
}

// startCommand starts a server, on its processors, by a command line for sh, whatever it says. Whether it serves is for others to find out.
func startCommand(on affinity, line string) (*Server, error) {
	s, _, err := launch(on, "sh", "-c", line)
	if err != nil {
		return nil, err
	}
	s.group = true
	return s, nil
}

// launch starts a process. The channel gives the address on which it says that it serves, and is closed when its output
// has ended.
func launch(on affinity, command ...string) (*Server, <-chan string, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.SysProcAttr = ownGroup()
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("start server %s: %w", command[0], err)
	}
	s := &Server{output: new(tail), pipe: r, read: make(chan struct{}), ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = w, w

	started := make(chan error)
	go func() {
		defer close(s.ended)
		// The kernel sends the signal of a parent's death when the parent's thread ends, not the process. This
		// goroutine keeps its thread until the server has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := on.start(cmd.Start)
		started <- err
		if err == nil {
			s.err = cmd.Wait()
		}
	}()
	err = <-started
	w.Close()
	if err != nil {
		r.Close()
		return nil, nil, fmt.Errorf("start server: %w", err)
	}
	s.pid = cmd.Process.Pid
	address := make(chan string, 1)
	go s.readOutput(address)
	return s, address, nil
}

// Kill ends the server at once, and returns its last words as an error.
func (s *Server) Kill() error {
	s.signal(syscall.SIGKILL)
	s.wait()
	return fmt.Errorf("its last words:\n%s", s.output)
}

// end ends a server of which nothing is known but its command: it may die of the signal that asks it to stop. The error
// says that it had ended before, with its last words.
func (s *Server) end() error {
	alive := s.signal(syscall.SIGTERM)
	if alive {
		select {
		case <-s.ended:
		case <-time.After(stopPatience):
		}
		s.signal(syscall.SIGKILL)
	}
	if s.group { // whoever of it is left
		_ = syscall.Kill(-s.pid, syscall.SIGKILL)
	}
	s.wait()
	if !alive {
		return fmt.Errorf("it ended by itself (%s); its last words:\n%s", s.state(), s.output)
	}
	return nil
}

// readOutput keeps what the server says, and sends the address on which it serves.
func (s *Server) readOutput(address chan<- string) {
	defer close(s.read)
	defer close(address)
	for lines := bufio.NewReader(s.pipe); ; {
		line, err := lines.ReadString('\n')
		s.output.add(line)
		if at, ok := strings.CutPrefix(strings.TrimSpace(line), announcement); ok {
			select {
			case address <- at:
			default: // it says so again
			}
		}
		if err != nil {
			return
		}
	}
}

// wait waits for the end of the process and of its output.
func (s *Server) wait() {
	<-s.ended
	s.pipe.SetReadDeadline(time.Now().Add(readPatience))
	<-s.read
	s.pipe.Close()
}

// CPU is the processor time that the server and its children have used so far: a [CPUMeter].
func (s *Server) CPU() (time.Duration, error) { return treeCPU(s.pid)() }

// Stop ends the server and waits for that. The error says that it did not end properly, with its last words.
func (s *Server) Stop() error {
	problem := ""
	if !s.signal(syscall.SIGTERM) {
		problem = "had ended before it was told to"
	}
	select {
	case <-s.ended:
	case <-time.After(stopPatience):
		s.signal(syscall.SIGKILL)
		problem = fmt.Sprintf("did not stop within %v and was killed", stopPatience)
	}
	s.wait()
	switch {
	case problem == "" && s.err == nil:
		return nil
	case problem == "":
		problem = "did not stop properly"
	}
	return fmt.Errorf("the server %s (%s); its last words:\n%s", problem, s.state(), s.output)
}

// state is how the process ended.
func (s *Server) state() string {
	if s.err == nil {
		return "exit status 0"
	}
	return s.err.Error()
}

// signal sends sig and reports whether the server was still there to get it.
func (s *Server) signal(sig syscall.Signal) bool {
	select {
	case <-s.ended:
		return false
	default:
	}
	if s.group {
		return syscall.Kill(-s.pid, sig) == nil
	}
	return syscall.Kill(s.pid, sig) == nil
}

// tail keeps the end of what a process said.
type tail struct {
	mu    sync.Mutex
	lines []string
}

const tailLines = 40

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, line)
	t.lines = t.lines[max(0, len(t.lines)-tailLines):]
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "")
}
