//go:build load

package loadtest_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rampart/loadtest"
	"rampart/loadtest/inject"
	"rampart/loadtest/lab"
	"rampart/loadtest/report"
	"rampart/loadtest/result"
)

// shared is what the experiments of this package share.
var shared struct {
	ctx      context.Context // done at Ctrl-C
	settings lab.Settings
	terminal *lab.Terminal
	target   string           // what is loaded, as it may be shown
	address  string           // where
	others   []string         // addresses of the same name that get no load
	result   *loadtest.Result // of TestRamp, TestLevel or TestMerge, whichever came last
	levels   loadtest.Result  // of BenchmarkLevel
	misused  bool             // a setting is wrong for an experiment
	files    error            // why results could not be written
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

// interrupted is the exit code after Ctrl-C, as a shell has it.
const interrupted = 130

// run runs the experiments and returns the exit code: 2 for bad settings, 130 after Ctrl-C, 1 where
// results could not be written, else that of package testing.
func run(m *testing.M) int {
	flag.Parse()
	settings, err := lab.SettingsFromEnv(os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	context.AfterFunc(ctx, func() { // a second Ctrl-C ends the process at once, also process 1, which the kernel protects
		again := make(chan os.Signal, 1)
		signal.Notify(again, syscall.SIGINT, syscall.SIGTERM)
		<-again
		os.Exit(interrupted)
	})
	shared.ctx, shared.settings = ctx, settings
	shared.terminal = lab.OpenTerminal()
	defer shared.terminal.Close()
	for _, warning := range lab.Misspelt(os.Environ()) {
		say(os.Stderr, "warning: "+warning)
	}

	// A level is one window however long it takes; package testing would repeat one that is shorter
	// than -benchtime.
	must(flag.Set("test.benchtime", "1x"))
	if flag.Lookup("test.bench").Value.String() != "" {
		// Here and not in a benchmark, whose name stands at the beginning of the line already.
		must(report.Units(os.Stdout))
	}
	code := m.Run()
	must(uncache())
	if err := ownServer.stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	if shared.result != nil && !underGoTest() {
		// It ends the output, after package testing's own PASS, because PerfKitBenchmarker reads the last
		// line.
		must(printResult(*shared.result))
	}
	switch {
	case ctx.Err() != nil:
		return interrupted
	case shared.misused:
		return 2
	case shared.files != nil:
		return max(code, 1)
	}
	return code
}

// must reports what can only fail if this program is wrong or its output is gone.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// uncache keeps the go command from showing this result again instead of measuring anew, as it does
// with tests whose inputs are the same. It needs the log of the inputs for that.
func uncache() error {
	if f := flag.Lookup("test.testlogfile"); f != nil && f.Value.String() != "" {
		return os.Remove(f.Value.String())
	}
	return nil
}

// underGoTest reports whether the go command runs this, which then has the last word on standard
// output.
func underGoTest() bool {
	f := flag.Lookup("test.paniconexit0")
	return f != nil && f.Value.String() == "true"
}

// swallowed reports whether go test keeps the output to itself, as it does without -v as long as
// nothing fails.
func swallowed() bool { return underGoTest() && !testing.Verbose() }

// say prints a line, on the terminal as well where nobody would see it else.
func say(to *os.File, line string) {
	fmt.Fprintln(to, line)
	if swallowed() {
		shared.terminal.Println(line)
	}
}

// labeled returns r with the settings and the target of this process, unless it was measured by
// others.
func labeled(r loadtest.Result) loadtest.Result {
	if shared.settings.Merge == nil {
		r.Settings, r.Target, r.Address, r.Others = shared.settings.List(), shared.target, shared.address, shared.others
	}
	return r
}

// conclude makes r what ends the output.
func conclude(r loadtest.Result) {
	r = labeled(r)
	shared.result = &r
	if underGoTest() {
		must(printResult(r))
	}
}

func printResult(r loadtest.Result) error {
	if shared.settings.Output == lab.OutputJSON {
		return result.JSONLine(os.Stdout, r)
	}
	if _, err := fmt.Println(); err != nil {
		return err
	}
	return report.CSV(os.Stdout, r)
}

// experiment returns the experiment that the settings ask for, on a server that answers.
func experiment(tb testing.TB) loadtest.Experiment {
	tb.Helper()
	e, err := openExperiment()
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

func openExperiment() (loadtest.Experiment, error) {
	settings := shared.settings
	if settings.Merge != nil {
		shared.misused = true
		return loadtest.Experiment{}, errors.New("MERGE is set: want it for TestMerge only, which measures nothing; unset " +
			"it to measure")
	}
	var own loadtest.CPUMeter
	if settings.Server == nil {
		server, err := ownServer.start()
		if err != nil {
			return loadtest.Experiment{}, err
		}
		settings.Server = settings.Workload(server.Addr)
		own = server.CPU
	}
	e, err := settings.Experiment(shared.ctx, own)
	if err != nil {
		return e, err
	}
	if shared.terminal != nil {
		e.Progress = shared.terminal
	}
	shared.target = fmt.Sprint(e.Target)
	if h, is := e.Target.(*inject.HTTP); is {
		shared.address, shared.others = h.Address(), h.Others()
	}
	if len(shared.others) > 0 {
		addressOnce.Do(func() {
			say(os.Stderr, fmt.Sprintf("all load goes to %s; the name has other addresses, which get none: %s", shared.address,
				strings.Join(shared.others, ", ")))
		})
	}
	return e, nil
}

// fits ends an experiment for which this process could not make enough connections, before there is
// any load: a ramp would take its limit for that of the server.
func fits(tb testing.TB, name string, vus int) {
	tb.Helper()
	if err := shared.settings.Fits(name, vus); err != nil {
		tb.Fatal(err)
	}
}

// startsAtOnce ends an experiment that cannot start at START_AT, because it has several levels.
func startsAtOnce(tb testing.TB) {
	tb.Helper()
	if !shared.settings.StartAt.IsZero() {
		fmt.Fprintf(os.Stderr, "START_AT is set: want it for TestLevel only; unset it for %s\n", tb.Name())
		shared.misused = true
		tb.FailNow()
	}
}

// ownServer is the bundled server, built and started when the first experiment needs it.
var ownServer bundled

type bundled struct {
	once   sync.Once
	dir    string
	server *loadtest.Server
	err    error
}

func (b *bundled) start() (*loadtest.Server, error) {
	b.once.Do(func() {
		shared.terminal.Say("building ./server")
		defer shared.terminal.End()
		if b.dir, b.err = os.MkdirTemp("", "rampart-server-"); b.err != nil {
			return
		}
		var path string
		if path, b.err = loadtest.BuildServer(shared.ctx, b.dir); b.err == nil {
			b.server, b.err = loadtest.StartServer(shared.ctx, path, "-addr", "127.0.0.1:0")
		}
	})
	return b.server, b.err
}

func (b *bundled) stop() error {
	defer os.RemoveAll(b.dir)
	if b.server == nil {
		return nil
	}
	return b.server.Stop()
}

// keeper writes the files of a result that grows. Where they cannot be written it says so once, at
// once, and the experiment goes on: its output still has it all.
type keeper struct {
	files *lab.Files // nil: there is no folder
}

// newKeeper makes the folder, before there is any load, so that who sees that it cannot be made can
// stop in time.
func newKeeper() keeper {
	files, err := lab.NewFiles(shared.settings.Results, time.Now())
	unwritten(err)
	warnUnlinked(files)
	return keeper{files}
}

// warnUnlinked says, once, that the link to the latest results leads elsewhere.
func warnUnlinked(f *lab.Files) {
	if f == nil || f.Unlinked() == nil {
		return
	}
	warnOnce.Do(func() { say(os.Stderr, "warning: "+f.Unlinked().Error()) })
}

var warnOnce, addressOnce sync.Once

// keep writes the files anew.
func (k keeper) keep(r loadtest.Result) {
	if k.files == nil {
		return
	}
	unwritten(k.files.Write(labeled(r)))
}

// where says where the files are.
func (k keeper) where() string {
	if k.files == nil {
		return "none: " + shared.files.Error()
	}
	return k.files.Dir()
}

// unwritten keeps the first error of the files for the end. It fails no test: a benchmark that
// fails has no line.
func unwritten(err error) {
	if err == nil || shared.files != nil {
		return
	}
	shared.files = err
	fmt.Fprintf(os.Stderr, "results go to this output only: %v\n", err)
}

// finishing is the time that a test leaves between its own deadline and that of -timeout, to stop
// the server and to write what was measured.
const finishing = 3 * time.Second

// deadline returns when an experiment in t has to end.
func deadline(t *testing.T) (time.Time, bool) {
	at, ok := t.Deadline()
	return at.Add(-finishing), ok
}
