package loadtest

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// Terminal shows progress on a terminal: a bar for each level. The zero value of a nil pointer shows nothing, so that
// code need not ask whether there is a terminal.
type Terminal struct {
	tty  *os.File
	bar  *progressbar.ProgressBar
	stop chan struct{}
	done sync.WaitGroup
}

// OpenTerminal opens the terminal that the user sits at, also where go test has taken the standard streams. It returns
// nil where there is none, or where the terminal cannot move its cursor.
func OpenTerminal() *Terminal {
	if t := os.Getenv("TERM"); t == "" || t == "dumb" || os.Getenv("CI") != "" {
		return nil
	}
	tty, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0)
	if err != nil {
		return nil
	}
	if !term.IsTerminal(int(tty.Fd())) {
		tty.Close()
		return nil
	}
	return &Terminal{tty: tty}
}

// tickInterval is how often the bar moves: seldom enough to cost the machine under test nothing.
const tickInterval = 250 * time.Millisecond

// Begin shows a bar that fills in about d.
func (t *Terminal) Begin(vus int, d time.Duration) {
	t.begin(fmt.Sprintf("injecting with %d vus, %v", vus, d.Round(100*time.Millisecond)), d)
}

// Say shows what is being done, without a measure of how much of it is left.
func (t *Terminal) Say(what string) { t.begin(what, 0) }

func (t *Terminal) begin(what string, d time.Duration) {
	if t == nil {
		return
	}
	t.End()
	steps := int(d / tickInterval)
	if d == 0 {
		steps = -1
	}
	t.bar = newBar(t.tty, what, steps)
	t.stop = make(chan struct{})
	bar, stop := t.bar, t.stop
	t.done.Go(func() {
		ticker := time.NewTicker(tickInterval)
		defer ticker.Stop()
		for done := 0; ; done++ {
			select {
			case <-stop:
				return
			case <-ticker.C:
			}
			if steps < 0 || done < steps-1 { // the bar is full when the level has ended, not when time is up
				bar.Add(1)
			}
		}
	})
}

func newBar(w io.Writer, what string, steps int) *progressbar.ProgressBar {
	return progressbar.NewOptions(steps,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetWidth(30),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetElapsedTime(false),
		progressbar.OptionSetPredictTime(false),
	)
}

// End takes the bar away.
func (t *Terminal) End() {
	if t == nil || t.bar == nil {
		return
	}
	close(t.stop)
	t.done.Wait()
	t.bar.Clear()
	t.bar = nil
}

// Println shows a line that stays.
func (t *Terminal) Println(line string) {
	if t == nil {
		return
	}
	t.End()
	fmt.Fprintln(t.tty, line)
}

// Close takes the bar away and lets go of the terminal.
func (t *Terminal) Close() error {
	if t == nil {
		return nil
	}
	t.End()
	return t.tty.Close()
}
