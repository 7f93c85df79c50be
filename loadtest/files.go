package loadtest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"rampart/loadtest/report"
)

// latest is the name of the link to the newest folder of results.
const latest = "latest"

// Files is the folder for the files of one result.
type Files struct {
	dir string
}

// NewFiles makes a folder for results of an experiment that began at started, below root, and points the link "latest"
// beside it there. The folder is named by the time, with a number where that name is taken.
func NewFiles(root string, started time.Time) (*Files, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("folder for results: %w", err)
	}
	if err := os.MkdirAll(root, 0o777); err != nil {
		return nil, fmt.Errorf("folder for results: %w; set RESULTS to one that can be written", err)
	}
	name := started.UTC().Format("20060102T150405Z")
	for n := 1; ; n++ {
		unique := name
		if n > 1 {
			unique = fmt.Sprintf("%s-%d", name, n)
		}
		dir := filepath.Join(root, unique)
		switch err := os.Mkdir(dir, 0o777); {
		case err == nil:
			return &Files{dir: dir}, link(root, unique)
		case !errors.Is(err, fs.ErrExist):
			return nil, fmt.Errorf("folder for results: %w; set RESULTS to one that can be written", err)
		}
	}
}

// link points root/latest to name, at once: there is no moment without a link.
func link(root, name string) error {
	next := filepath.Join(root, "."+latest+"-"+name)
	if err := os.Symlink(name, next); err != nil {
		return fmt.Errorf("link to the latest results: %w", err)
	}
	if err := os.Rename(next, filepath.Join(root, latest)); err != nil {
		os.Remove(next)
		return fmt.Errorf("link to the latest results: %w", err)
	}
	return nil
}

// Dir is the absolute path of the folder.
func (f *Files) Dir() string { return f.dir }

// Write writes all files of the result, in place of earlier ones. It can be called after every level: a file is replaced
// as a whole, so what was measured is there whatever happens next.
func (f *Files) Write(r Result) error {
	files := map[string]func(io.Writer, Result) error{
		"bench.txt":   report.Bench,
		"result.json": report.JSON,
		"report.html": report.HTML,
	}
	if r.Kind == report.KindRamp {
		files["ramp.csv"] = report.CSV
	}
	var errs []error
	for name, write := range files {
		errs = append(errs, replace(filepath.Join(f.dir, name), func(w io.Writer) error { return write(w, r) }))
	}
	return errors.Join(errs...)
}

// DuelPath is where WriteDuel puts a side of a duel.
func (f *Files) DuelPath(side int) string { return filepath.Join(f.dir, report.SideNames[side]+".txt") }

// WriteDuel writes both sides of a duel, and all of it as duel.json and duel.html, in place of earlier ones. It can be called
// after every block.
func (f *Files) WriteDuel(d DuelResult) error {
	var errs []error
	for side := range report.SideNames {
		errs = append(errs, replace(f.DuelPath(side), func(w io.Writer) error { return report.DuelBench(w, d, side) }))
	}
	for name, write := range map[string]func(io.Writer, DuelResult) error{"duel.json": report.DuelJSON, "duel.html": report.DuelHTML} {
		errs = append(errs, replace(filepath.Join(f.dir, name), func(w io.Writer) error { return write(w, d) }))
	}
	return errors.Join(errs...)
}

// replace writes a file under another name first, so that a reader finds the old one or the new one and never half.
func replace(path string, write func(io.Writer) error) error {
	next := path + ".next"
	file, err := os.Create(next)
	if err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	err = errors.Join(write(file), file.Close())
	if err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		os.Remove(next)
		return fmt.Errorf("write results to %s: %w", path, err)
	}
	return nil
}
