package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"text/template"
)

//go:embed nginx.conf.tmpl
var nginxConf string

var nginxTemplate = template.Must(template.New("nginx.conf").Parse(nginxConf))

// constant is the body of each answer.
const constant = "hello, world\n"

// nginxOptions are what its configuration depends on.
type nginxOptions struct {
	Dir         string // for its files
	Addr        string
	Connections int
	User        string // of the worker, and group; empty: that of this process
	Temporary   []string
}

// findNginx returns the path of nginx, which is often not in the path of those who are not root.
// The error says that it is not installed.
func findNginx() (string, error) {
	path, err := exec.LookPath("nginx")
	if err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, "nginx")); err == nil {
			return path, nil
		}
	}
	return "", err
}

// nginxCommand writes the configuration of an nginx with one worker that answers a constant, and
// returns the command that runs it. It keeps all its files in dir.
func nginxCommand(ctx context.Context, path, dir, addr string, connections int) (*exec.Cmd, error) {
	o := nginxOptions{Dir: dir, Addr: addr, Connections: connections, User: workerUser()}
	built, _ := exec.CommandContext(ctx, path, "-V").CombinedOutput() // where it fails, so will the command
	o.Temporary = append(o.Temporary, "client_body")
	for _, module := range []string{"proxy", "fastcgi", "uwsgi", "scgi"} {
		// A directive of a module that it was built without would be an error.
		if !strings.Contains(string(built), "--without-http_"+module+"_module") {
			o.Temporary = append(o.Temporary, module)
		}
	}
	conf := filepath.Join(dir, "nginx.conf")
	f, err := os.Create(conf)
	if err != nil {
		return nil, fmt.Errorf("configuration of nginx: %w", err)
	}
	defer f.Close()
	if err := nginxTemplate.Execute(f, o); err != nil {
		return nil, fmt.Errorf("configuration of nginx: %w", err)
	}
	return exec.Command(path, "-e", "stderr", "-p", dir, "-c", conf), nil
}

// workerUser is the user and the group as which a worker can use the files of a master that is
// root: the same. Other users cannot choose.
func workerUser() string {
	if os.Geteuid() != 0 {
		return ""
	}
	u, err := user.LookupId("0")
	if err != nil {
		return ""
	}
	g, err := user.LookupGroupId("0")
	if err != nil {
		return ""
	}
	return u.Username + " " + g.Name
}
