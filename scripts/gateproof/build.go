package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// build builds the bundled server in dir, the candidates that differ from it only in their file,
// and those that have a tail.
func build(ctx context.Context, dir string) (map[kind]string, error) {
	paths := map[kind]string{
		same:      filepath.Join(dir, "server"),
		commented: filepath.Join(dir, "serves"), // as long a name
		renamed:   filepath.Join(dir, "the-server-under-a-name-that-is-longer-than-it-was"),
	}
	sources, err := serverSources(ctx)
	if err != nil {
		return nil, err
	}
	if err := goBuild(ctx, paths[same]); err != nil {
		return nil, err
	}
	if err := goBuildOf(ctx, paths[commented], comments(sources)); err != nil {
		return nil, err
	}
	content, err := os.ReadFile(paths[same])
	if err != nil {
		return nil, err
	}
	if other, err := os.ReadFile(paths[commented]); err != nil || bytes.Equal(content, other) {
		return nil, errors.Join(err, errors.New("comments did not change the program: the build did not see them"))
	}
	for i, k := range slices.Sorted(maps.Keys(tails)) {
		paths[k] = filepath.Join(dir, fmt.Sprintf("tail-%d", i)) // as long a name
		changed, err := tails[k].sources(sources)
		if err != nil {
			return nil, err
		}
		if err := goBuildOf(ctx, paths[k], changed); err != nil {
			return nil, err
		}
	}
	return paths, os.WriteFile(paths[renamed], content, 0o777)
}

func goBuild(ctx context.Context, path string, flags ...string) error {
	args := append([]string{"build", "-buildvcs=false", "-trimpath", "-ldflags=-s -w", "-o", path}, flags...)
	build := exec.CommandContext(ctx, "go", append(args, "rampart/server")...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as make build has it
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build of the server: %w; %s", err, out)
	}
	return nil
}

// goBuildOf builds the server with other sources, beside its own ones.
func goBuildOf(ctx context.Context, path string, sources map[string]string) error {
	overlay, err := overlay(path+".sources", sources)
	if err != nil {
		return err
	}
	return goBuild(ctx, path, "-overlay", overlay)
}

// overlay writes sources, by the paths at which the go command is to see them, into a new folder,
// and returns the file that tells it to.
func overlay(dir string, sources map[string]string) (string, error) {
	if err := os.Mkdir(dir, 0o777); err != nil {
		return "", err
	}
	replace := make(map[string]string)
	for source, content := range sources {
		path := filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			return "", err
		}
		replace[source] = path
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, b, 0o666)
}

// serverSources are what the bundled server is built from, by path.
func serverSources(ctx context.Context) (map[string]string, error) {
	list := exec.CommandContext(ctx, "go", "list", "-buildvcs=false", "-f",
		`{{range .GoFiles}}{{$.Dir}}/{{.}}{{"\n"}}{{end}}`, "rampart/server/...")
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w; run gateproof inside the repository", err)
	}
	sources := make(map[string]string)
	for path := range strings.Lines(string(out)) {
		path = strings.TrimSuffix(path, "\n")
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		sources[path] = string(content)
	}
	return sources, nil
}

// comments are the sources with a comment before all else, so that every line has another number.
func comments(sources map[string]string) map[string]string {
	all := make(map[string]string)
	for path, content := range sources {
		all[path] = "// A comment.\n\n" + content
	}
	return all
}

// sources are those that make the server's workload slow for some requests. Each worker process
// counts its own requests.
func (t tail) sources(server map[string]string) (map[string]string, error) {
	const run, runAll = "\nfunc (w Work) Run(", "\nfunc (w Work) runAll("
	slow := fmt.Sprintf(`for range %d {
			if o, err := w.runAll(gone); err != nil {
				return o, err
			}
		}`, tailWork-1)
	packages := `import "sync/atomic"`
	if t.sleep != "" {
		slow = fmt.Sprintf("time.Sleep(%s)", t.sleep)
		packages = "import (\n\t\"sync/atomic\"\n\t\"time\"\n)"
	}
	for path, content := range server {
		if filepath.Base(path) != "workload.go" || strings.Count(content, run) != 1 {
			continue
		}
		return map[string]string{
			path: strings.Replace(content, run, runAll, 1),
			filepath.Join(filepath.Dir(path), "tail.go"): fmt.Sprintf(`package app

%s

var served atomic.Uint64

// Run runs all, and is slow for some requests.
func (w Work) Run(gone func() bool) (Outcome, error) {
	if served.Add(1)%%%d == 0 {
		%s
	}
	return w.runAll(gone)
}
`, packages, t.every, slow),
		}, nil
	}
	return nil, errors.New("no method Run of the server's workload for a tail to stand before; want one in workload.go")
}
