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
	"time"

	"rampart/loadtest/child"
)

// server is the server that all tools load.
type server struct {
	url  string
	name string // for the reader of the table

	cmd     *exec.Cmd
	process *child.Process
	said    child.Tail
}

// How long the server may take to serve and to stop before it is killed.
const (
	startPatience = 10 * time.Second
	stopPatience  = 5 * time.Second
)

// startServer starts nginx, or the bundled server where nginx is not installed, on a free port of
// loopback, and waits until it answers. It can hold so many connections, and keeps its files in
// dir.
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
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", path, "rampart/server")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("nginx is not installed, and go build rampart/server: %w\n%s", err, out)
	}
	s := &server{
		url:  "http://" + addr + "/?it1=0&it2=1",
		name: "the bundled server with one worker and an empty loop, because nginx is not installed",
		cmd:  exec.Command(path, "-addr", addr, "-workers", "1"),
	}
	return s, s.start(ctx, "")
}

// start starts the process and waits until it answers with the body that is wanted; empty: with
// any. When it returns an error, the process has ended.
func (s *server) start(ctx context.Context, want string) (err error) {
	s.cmd.Stdout, s.cmd.Stderr = &s.said, &s.said
	s.cmd.WaitDelay = endPatience
	if s.process, err = child.Start(s.cmd, child.Options{}); err != nil {
		return fmt.Errorf("start the server: %w", err)
	}
	if err = s.ready(ctx, want); err == nil {
		return nil
	}
	err = fmt.Errorf("start the server %s: %w; its last words:\n%s", s.cmd.Path, err, &s.said)
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
		case <-s.process.Ended():
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
	case <-s.process.Ended():
		return false
	default:
		return true
	}
}

// stop ends the server with all its processes and waits for that. The error says that it did not
// end properly.
func (s *server) stop() error {
	switch asked, killed := s.process.Stop(stopPatience); {
	case !asked:
		return fmt.Errorf("the server had ended before it was told to (%v); its last words:\n%s", s.process.State(), &s.said)
	case killed:
		return fmt.Errorf("the server did not stop within %v and was killed; its last words:\n%s", stopPatience, &s.said)
	}
	if err := s.process.Wait(); err != nil {
		return fmt.Errorf("the server did not stop properly (%w); its last words:\n%s", err, &s.said)
	}
	return nil
}
