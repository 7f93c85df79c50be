package loadtest

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"rampart/loadtest/child"
	"rampart/loadtest/host"
)

// BuildServer builds the bundled server into dir and returns its path. It needs the go command and
// to run in this module or one that depends on it.
func BuildServer(ctx context.Context, dir string) (string, error) {
	const otherwise = "set SERVER=host:port to load a server that runs already"
	goCommand, err := exec.LookPath("go")
	if err != nil {
		return "", fmt.Errorf("no go command to build the bundled server with (%w); %s", err, otherwise)
	}
	path := filepath.Join(dir, "server")
	build := exec.CommandContext(ctx, goCommand, "build", "-buildvcs=false", "-o", path, "rampart/server")
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
	Addr    string // host:port on which it serves
	process *child.Process
	launch  host.Launch // how it was started
	cpu     CPUMeter

	output child.Tail
	pipe   *os.File      // what the server says comes out of it
	read   chan struct{} // closed when nothing more comes
}

// How long a server may take to serve and to stop before it is killed.
const (
	startPatience = 30 * time.Second
	stopPatience  = 10 * time.Second
	readPatience  = time.Second // for output after the end, which a child of the server may hold open
)

// announcement is how a server says on stderr where it serves.
const announcement = "listening on "

// StartServer starts a command that prints "listening on HOST:PORT" on stderr once it serves, and
// waits for that. It ends when Stop is called, and also when this process dies, in whatever way.
func StartServer(ctx context.Context, command ...string) (*Server, error) {
	s, address, err := launch(host.Affinity{}, "", command...)
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

// startCommand starts a server, on its processors, by a command line for sh, whatever it says.
// Whether it serves is for others to find out.
func startCommand(on host.Affinity, line string) (*Server, error) {
	mark := "RAMPART_CONTENDER=" + rand.Text()
	s, _, err := launch(on, mark, "sh", "-c", line)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// launch starts a process. mark says that it is a command line: it is added to the environment, and
// signals go to all processes that it starts, too. The channel gives the address on which it says
// that it serves, and is closed when its output has ended.
func launch(on host.Affinity, mark string, command ...string) (*Server, <-chan string, error) {
	cmd := exec.Command(command[0], command[1:]...)
	if mark != "" {
		cmd.Env = append(os.Environ(), mark)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("start server %s: %w", command[0], err)
	}
	s := &Server{pipe: r, read: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = w, w
	s.process, err = child.Start(cmd, child.Options{Group: mark != "", Start: on.Start, Begun: func() {
		s.launch, s.cpu = host.Launch{PID: cmd.Process.Pid, Mark: mark}, host.TreeCPU(cmd.Process.Pid)
	}})
	w.Close()
	if err != nil {
		r.Close()
		return nil, nil, fmt.Errorf("start server: %w", err)
	}
	address := make(chan string, 1)
	go s.readOutput(address)
	return s, address, nil
}

// Kill ends the server at once, and returns its last words as an error.
func (s *Server) Kill() error {
	s.process.Signal(syscall.SIGKILL)
	s.wait()
	return fmt.Errorf("its last words:\n%s", &s.output)
}

// end ends a server of which nothing is known but its command: it may die of the signal that asks
// it to stop. The error says that it had ended before, with its last words.
func (s *Server) end() error {
	asked, _ := s.process.Stop(stopPatience)
	s.wait()
	if !asked {
		return fmt.Errorf("it ended by itself (%s); its last words:\n%s", s.process.State(), &s.output)
	}
	return nil
}

// readOutput keeps what the server says, and sends the address on which it serves.
func (s *Server) readOutput(address chan<- string) {
	defer close(s.read)
	defer close(address)
	whole := true // what comes next begins a line
	for lines := bufio.NewReaderSize(s.pipe, longestLine); ; {
		piece, err := lines.ReadSlice('\n') // of a line that is too long
		s.output.Write(piece)
		line := strings.TrimSpace(string(piece))
		if at, ok := strings.CutPrefix(line, announcement); ok && whole && err != bufio.ErrBufferFull {
			select {
			case address <- at:
			default: // it says so again
			}
		}
		if whole = err == nil; !whole && err != bufio.ErrBufferFull {
			return
		}
	}
}

// wait waits for the end of the process, of what it has left behind, and of its output.
func (s *Server) wait() {
	<-s.process.Ended()
	s.launch.End()
	s.pipe.SetReadDeadline(time.Now().Add(readPatience))
	<-s.read
	s.pipe.Close()
}

// CPU is the processor time that the server and its children have used so far: a [CPUMeter].
func (s *Server) CPU() (time.Duration, error) { return s.cpu() }

// Stop ends the server and waits for that. The error says that it did not end properly, with its
// last words.
func (s *Server) Stop() error {
	problem := ""
	switch asked, killed := s.process.Stop(stopPatience); {
	case killed:
		problem = fmt.Sprintf("did not stop within %v and was killed", stopPatience)
	case !asked:
		problem = "had ended before it was told to"
	case s.process.Wait() != nil:
		problem = "did not stop properly"
	}
	s.wait()
	if problem == "" {
		return nil
	}
	return fmt.Errorf("the server %s (%s); its last words:\n%s", problem, s.process.State(), &s.output)
}

// longestLine is as much of a line as is read at once: a server may never end one.
const longestLine = 4 << 10
