package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// build builds the bundled server in dir, and the candidates that differ from it only in their file.
func build(ctx context.Context, dir string) (map[kind]string, error) {
	paths := map[kind]string{
		same:      filepath.Join(dir, "server"),
		commented: filepath.Join(dir, "serves"), // as long a name
		renamed:   filepath.Join(dir, "the-server-under-a-name-that-is-longer-than-it-was"),
	}
	overlay, err := comments(ctx, dir)
	if err != nil {
		return nil, err
	}
	if err := goBuild(ctx, paths[same]); err != nil {
		return nil, err
	}
	if err := goBuild(ctx, paths[commented], "-overlay", overlay); err != nil {
		return nil, err
	}
	content, err := os.ReadFile(paths[same])
	if err != nil {
		return nil, err
	}
	if other, err := os.ReadFile(paths[commented]); err != nil || bytes.Equal(content, other) {
		return nil, errors.Join(err, errors.New("comments did not change the program: the build did not see them"))
	}
	return paths, os.WriteFile(paths[renamed], content, 0o777)
}

func goBuild(ctx context.Context, path string, flags ...string) error {
	args := append([]string{"build", "-trimpath", "-o", path}, flags...)
	if out, err := exec.CommandContext(ctx, "go", append(args, "rampart/server")...).CombinedOutput(); err != nil {
		return fmt.Errorf("go build of the server: %w; %s", err, out)
	}
	return nil
}

// comments writes the server's sources with a comment before all else, so that every line has another number, and returns the
// file that tells the go command to take those.
func comments(ctx context.Context, dir string) (string, error) {
	list := exec.CommandContext(ctx, "go", "list", "-f", `{{range .GoFiles}}{{$.Dir}}/{{.}}{{"\n"}}{{end}}`, "rampart/server/...")
	out, err := list.Output()
	if err != nil {
		return "", fmt.Errorf("go list: %w; run gateproof inside the repository", err)
	}
	replace := make(map[string]string)
	for i, source := range strings.Fields(string(out)) {
		content, err := os.ReadFile(source)
		if err != nil {
			return "", err
		}
		path := filepath.Join(dir, fmt.Sprintf("%d.go", i))
		if err := os.WriteFile(path, append([]byte("// A comment.\n\n"), content...), 0o666); err != nil {
			return "", err
		}
		replace[source] = path
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, overlay, 0o666)
}
