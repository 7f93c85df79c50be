// Package gobench lets the Go benchmarks of two test binaries take turns, in slices of
// milliseconds, and judges them. The code under test knows nothing of it: a test binary is held
// between two measurements by its own standard output. See [Duel].
package gobench

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Binary is how the test binary of a package runs.
type Binary struct {
	Path string   // of the program
	Dir  string   // where it runs; empty: here
	Args []string // what it is told beside what this package tells it, such as -test.short
}

// task is what a process of a binary measures: one benchmark, so many times.
type task struct {
	name       string // of the benchmark, without the number of processors at its end
	procs      int    // GOMAXPROCS
	iterations int    // of a measurement
	count      int    // of measurements
}

// printed is the name of the benchmark as package testing prints it.
func (t task) printed() string { return printedName(t.name, t.procs) }

func printedName(name string, procs int) string {
	if procs == 1 {
		return name
	}
	return name + "-" + strconv.Itoa(procs)
}

// command returns the command that measures. The timeout of package testing counts the time in
// which a process is held, too: so it is off, and each measurement has its own.
func (b Binary) command(t task) *exec.Cmd {
	return b.with("-test.run=^$", "-test.bench="+exactly(t.name), "-test.benchtime="+strconv.Itoa(t.iterations)+"x",
		"-test.count="+strconv.Itoa(t.count), "-test.cpu="+strconv.Itoa(t.procs), "-test.benchmem", "-test.timeout=0")
}

func (b Binary) with(args ...string) *exec.Cmd {
	cmd := exec.Command(b.Path, append(args, b.Args...)...)
	cmd.Dir = b.Dir
	if b.Dir != "" { // as go test does
		cmd.Env = append(os.Environ(), "PWD="+b.Dir)
	}
	cmd.WaitDelay = lastWordsPatience
	ownGroup(cmd)
	return cmd
}

// lastWordsPatience is how long a child of a process that has ended may hold its output open.
const lastWordsPatience = time.Second

// exactly is the pattern of one benchmark. Package testing matches each part of a name by its own.
func exactly(name string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	return strings.Join(parts, "/")
}

// tail keeps the last that a process says.
type tail struct{ text []byte }

const lastWords = 4096

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	if over := len(t.text) - lastWords; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(p), nil
}

// head keeps the first: a panic says first what it is, and then where everybody is.
type head struct{ text []byte }

func (h *head) Write(p []byte) (int, error) {
	h.text = append(h.text, p[:min(len(p), lastWords-len(h.text))]...)
	return len(p), nil
}

// ending says how a process ended that should not have, with what it said. It is empty where it is
// no error.
func ending(err error, said ...[]byte) string {
	how := "it ended"
	if err != nil {
		how = fmt.Sprintf("it ended with %v", err)
	}
	var words []string
	for _, s := range said {
		if text := strings.TrimSpace(string(s)); text != "" {
			words = append(words, text)
		}
	}
	if len(words) == 0 {
		return how + ", and said nothing"
	}
	return how + ", and said:\n" + strings.Join(words, "\n")
}
