package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// server is the server that all tools load.
type server struct {
	url  string
	name string // for the reader of the table

	cmd   *exec.Cmd
	said  *tail
	ended chan struct{} // closed when the process has been waited for
	err   error         // of the wait; set before ended is closed
}

// How long the server may take to serve and to stop before it is killed.
const (
	startPatience = 10 * time.Second
	stopPatience  = 5 * time.Second
)

// startServer starts nginx, or the bundled server where nginx is not installed, on a free port of loopback, and waits until
// it answers. It can hold so many connections, and keeps its files in dir.
func startServer(ctx context.Context, dir string, connections int) (*server, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	path, err := findNginx()
	if err != nil {
		return startBundled(ctx, dir, addr)
	}
	return startNginx(ctx, path, dir, addr, connections)
}

func startNginx(ctx context.Context, path, dir, addr string, connections int) (*server, error) {
	cmd, err := nginxCommand(ctx, path, dir, addr, connections)
	if err != nil {
		return nil, err
	}
	s := &server{
		url: "http://" + addr + "/",
		name: fmt.Sprintf("nginx %s with one worker that answers a constant of %d bytes",
			printedVersion(`nginx/(\S+)`, "-v")(ctx, path), len(constant)),
		cmd: cmd,
	}
	return s, s.start(ctx, constant)
}

func startBundled(ctx context.Context, dir, addr string) (*server, error) {
	path := filepath.Join(dir, "server")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", path, "rampart/server").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("nginx is not installed, and go build rampart/server: %w\n%s", err, out)
	}
	s := &server{
		url:  "http://" + addr + "/?it1=0&it2=1",
		name: "the bundled server with one worker and an empty loop, because nginx is not installed",
		cmd:  exec.Command(path, "-addr", addr, "-workers", "1"),
	}
	return s, s.start(ctx, "")
}

// start starts the process and waits until it answers with the body that is wanted; empty: with any. When it returns an
// error, the process has ended.
func (s *server) start(ctx context.Context, want string) error {
	s.said, s.ended = new(tail), make(chan struct{})
	s.cmd.SysProcAttr = ownGroup()
	s.cmd.Stdout, s.cmd.Stderr = s.said, s.said
	s.cmd.WaitDelay = endPatience
	if err := s.launch(); err != nil {
		return fmt.Errorf("start the server: %w", err)
	}
	err := s.ready(ctx, want)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("start the server %s: %w; its last words:\n%s", s.cmd.Path, err, s.said)
	if s.running() {
		err = errors.Join(err, s.stop())
	}
	return err
}

// freeAddr is an address of loopback at which nothing listens now.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func (s *server) launch() error {
	started := make(chan error)
	go func() {
		defer close(s.ended)
		// The kernel ends the server with the thread that started it: this keeps the thread until the server has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := s.cmd.Start()
		started <- err
		if err == nil {
			s.err = s.cmd.Wait()
		}
	}()
	return <-started
}

// ready waits until the server answers with the body that is wanted; empty: with any.
func (s *server) ready(ctx context.Context, want string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startPatience, fmt.Errorf("it does not serve after %v", startPatience))
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		err := answers(ctx, client, s.url, want)
		if err == nil {
			return nil
		}
		select {
		case <-s.ended:
			return errors.New("it ended before it served")
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func answers(ctx context.Context, client *http.Client, url, want string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode != http.StatusOK || want != "" && string(body) != want:
		return fmt.Errorf("it answers %s with %q", resp.Status, body)
	}
	return nil
}

// running reports whether the process has not ended yet.
func (s *server) running() bool {
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// stop ends the server with all its processes and waits for that. The error says that it did not end properly.
func (s *server) stop() error {
	if !s.running() {
		return fmt.Errorf("the server had ended before it was told to (%v); its last words:\n%s", s.cmd.ProcessState, s.said)
	}
	// This cannot hit another process: the pid is taken until the process has been waited for, which is after this or
	// happens just now.
	_ = syscall.Kill(s.cmd.Process.Pid, syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(stopPatience):
		_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
		<-s.ended
		return fmt.Errorf("the server did not stop within %v and was killed; its last words:\n%s", stopPatience, s.said)
	}
	if s.err != nil {
		return fmt.Errorf("the server did not stop properly (%w); its last words:\n%s", s.err, s.said)
	}
	return nil
}
