// Package lab is what the experiments of this repository and the gate's command need and a library
// does not: settings from the environment ([Settings]), the folder for results ([Files]), the
// results of several clients ([ReadClient]), and what is shown on a terminal ([Terminal]).
package lab

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"rampart/loadtest/gate"
	"rampart/loadtest/report"
	"rampart/loadtest/result"
)

// latest is the name of the link to the newest folder of results.
const latest = "latest"

// Files is the folder for the files of one result.
type Files struct {
	dir      string
	unlinked error
}

// NewFiles makes a folder for results of an experiment that began at started, below root, and
// points the link "latest" beside it there. The folder is named by the time, with a number where
// that name is taken. A link that cannot be made is no error, because the files are what counts:
// [Files.Unlinked] says so.
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
			return &Files{dir: dir, unlinked: link(root, unique)}, nil
		case !errors.Is(err, fs.ErrExist):
			return nil, fmt.Errorf("folder for results: %w; set RESULTS to one that can be written", err)
		}
	}
}

// link points root/latest to name, at once: there is no moment without a link. What stands there
// and is no link is somebody's.
func link(root, name string) error {
	at := filepath.Join(root, latest)
	if info, err := os.Lstat(at); err == nil && info.Mode()&fs.ModeSymlink == 0 {
		return fmt.Errorf("no link to these results: %s is there and is no link, so what is read there are other results; "+
			"move it away, or set RESULTS to another folder", at)
	}
	next := filepath.Join(root, "."+latest+"-"+name)
	err := os.Symlink(name, next)
	if err == nil {
		if err = os.Rename(next, at); err != nil {
			os.Remove(next)
		}
	}
	if err != nil {
		return fmt.Errorf("no link to these results: %w", err)
	}
	return nil
}

// Unlinked says why the link "latest" does not lead to this folder; nil: it does. It is worth a
// warning and nothing more.
func (f *Files) Unlinked() error { return f.unlinked }

// Dir is the absolute path of the folder.
func (f *Files) Dir() string { return f.dir }

// Write writes all files of the result, in place of earlier ones. It can be called after every
// level: a file is replaced as a whole, so what was measured is there whatever happens next.
func (f *Files) Write(r result.Result) error {
	var errs []error
	file := func(name string, write func(io.Writer, result.Result) error) {
		errs = append(errs, Replace(filepath.Join(f.dir, name), func(w io.Writer) error { return write(w, r) }))
	}
	file("result.json", result.JSON)
	file("bench.txt", report.Bench)
	file("report.html", report.HTML)
	if r.Kind == result.KindRamp {
		file("ramp.csv", report.CSV)
	}
	return errors.Join(errs...)
}

// DuelPath is where WriteDuel puts a side of a duel.
func (f *Files) DuelPath(side int) string { return filepath.Join(f.dir, result.SideNames[side]+".txt") }

// WriteDuel writes both sides of a duel, and all of it as duel.json and duel.html, in place of
// earlier ones. It can be called after every block.
func (f *Files) WriteDuel(d result.Duel, r gate.Report) error {
	var errs []error
	for side := range result.SideNames {
		errs = append(errs, Replace(f.DuelPath(side), func(w io.Writer) error { return report.DuelBench(w, d, side) }))
	}
	file := func(name string, write func(io.Writer, result.Duel, gate.Report) error) {
		errs = append(errs, Replace(filepath.Join(f.dir, name),
			func(w io.Writer) error { return write(w, d, r) }))
	}
	file("duel.json", report.DuelJSON)
	file("duel.html", report.DuelHTML)
	return errors.Join(errs...)
}

// WriteBenchDuel writes both sides of a duel of Go benchmarks, and all of it as duel.json and
// duel.html, in place of earlier ones.
func (f *Files) WriteBenchDuel(d result.BenchDuel, r gate.Report) error {
	var errs []error
	file := func(path string, write func(io.Writer) error) { errs = append(errs, Replace(path, write)) }
	for side := range result.SideNames {
		file(f.DuelPath(side), func(w io.Writer) error {
			_, err := w.Write(gate.BenchDuelFile(d, side))
			return err
		})
	}
	file(filepath.Join(f.dir, "duel.json"), func(w io.Writer) error { return report.BenchDuelJSON(w, d, r) })
	file(filepath.Join(f.dir, "duel.html"), func(w io.Writer) error { return report.BenchDuelHTML(w, d, r) })
	return errors.Join(errs...)
}

// Replace writes a file under another name first, so that a reader finds the old one or the new one
// and never half.
func Replace(path string, write func(io.Writer) error) error {
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
