package images

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// standIn is what the builder's image has that the Dockerfiles need, taken from this machine: Go, a
// shell, certificates of authorities, and the modules, as files that GOPROXY can point to.
type standIn struct {
	tar  *tar.Writer
	root string // of the repository
}

// environment of the stand-in, as docker import takes it.
var environment = []string{
	"ENV PATH=/usr/local/go/bin:/bin",
	"ENV HOME=/root",
	"ENV GOPROXY=file:///modules",
	"ENV GOTOOLCHAIN=local",
}

func (s standIn) write() error {
	var env struct{ GOROOT, GOMODCACHE string }
	out, err := s.command("go", "env", "-json", "GOROOT", "GOMODCACHE")
	if err == nil {
		err = json.Unmarshal(out, &env)
	}
	if err != nil {
		return err
	}
	const goroot = "/usr/local/go"
	for _, name := range []string{"bin/go", "go.env", "VERSION", "src", "pkg/include", "pkg/tool"} {
		err := s.tree(filepath.Join(env.GOROOT, name), filepath.Join(goroot, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := s.modules(filepath.Join(env.GOMODCACHE, "cache", "download")); err != nil {
		return err
	}
	if err := s.shell(); err != nil {
		return err
	}
	const certificates = "/etc/ssl/certs/ca-certificates.crt"
	if err := s.file(certificates, certificates); err != nil {
		return err
	}
	for _, dir := range []string{"tmp", "root"} {
		if err := s.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o777}); err != nil {
			return err
		}
	}
	return s.tar.Close()
}

// modules adds those that the two programs are made of.
func (s standIn) modules(cache string) error {
	out, err := s.command("go", "list", "-buildvcs=false", "-deps", "-test", "-tags=load", "-f",
		"{{with .Module}}{{if not .Main}}{{.Path}}@{{.Version}}{{end}}{{end}}", "./server", "./loadtest")
	if err != nil {
		return err
	}
	seen := make(map[string]bool)
	args := []string{"mod", "download", "-json"}
	for _, module := range strings.Fields(string(out)) {
		if !seen[module] {
			seen[module] = true
			args = append(args, module)
		}
	}
	if out, err = s.command("go", args...); err != nil {
		return err
	}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var module struct{ Info, GoMod, Zip string }
		if err := d.Decode(&module); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		for _, path := range []string{module.Info, module.GoMod, module.Zip} {
			name, err := filepath.Rel(cache, path)
			if err == nil {
				err = s.file(path, filepath.Join("/modules", name))
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// shell adds sh and the libraries that it is linked with.
func (s standIn) shell() error {
	if err := s.file("/bin/sh", "/bin/sh"); err != nil {
		return err
	}
	out, err := exec.Command("ldd", "/bin/sh").Output()
	if err != nil {
		return nil // linked with none
	}
	for _, word := range strings.Fields(string(out)) {
		if strings.HasPrefix(word, "/") {
			if err := s.file(word, word); err != nil {
				return err
			}
		}
	}
	return nil
}

// tree adds a file, or a folder without what only tests of Go need.
func (s standIn) tree(from, to string) error {
	from, err := filepath.EvalSymlinks(from)
	if err != nil {
		return err
	}
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "testdata":
			return fs.SkipDir
		case d.IsDir() || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		return s.file(path, filepath.Join(to, name))
	})
}

// file adds what a name leads to, under another name.
func (s standIn) file(from, to string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	err = s.tar.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: strings.TrimPrefix(to, "/"), Mode: int64(info.Mode().Perm()),
		Size: info.Size(), ModTime: info.ModTime(),
	})
	if err == nil {
		_, err = io.Copy(s.tar, f)
	}
	return err
}

func (s standIn) command(name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = s.root
	out, err := cmd.Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		err = fmt.Errorf("%s %s: %w: %s", name, args[0], err, exit.Stderr)
	}
	return out, err
}
