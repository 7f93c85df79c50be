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

// Terminal shows progress on a terminal: a bar for each level. A nil *Terminal shows nothing, so that code need not ask
// whether there is one.
type Terminal struct {
	tty *os.File
	end func() // takes away what is shown; nil: nothing is
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
	if t == nil {
		return
	}
	t.End()
	steps := max(int(d/tickInterval), 1)
	bar := newBar(t.tty, fmt.Sprintf("%d vus for %v", vus, d.Round(100*time.Millisecond)), steps)
	stop := make(chan struct{})
	var ticking sync.WaitGroup
	ticking.Go(func() {
		ticker := time.NewTicker(tickInterval)
		defer ticker.Stop()
		for done := 1; ; done++ {
			select {
			case <-stop:
				return
			case <-ticker.C:
			}
			if done < steps { // the bar is full when the level has ended, not when its time is up
				bar.Add(1)
			}
		}
	})
	t.end = func() {
		close(stop)
		ticking.Wait()
		bar.Clear()
	}
}

// Say shows what is being done, without a measure of how much of it is left.
func (t *Terminal) Say(what string) {
	if t == nil {
		return
	}
	t.End()
	fmt.Fprint(t.tty, what, " ...")
	t.end = func() { fmt.Fprint(t.tty, clearLine) }
}

// clearLine moves to the beginning of the line and erases it (ECMA-48, EL).
const clearLine = "\r\x1b[K"

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

// End takes away what is shown.
func (t *Terminal) End() {
	if t == nil || t.end == nil {
		return
	}
	t.end()
	t.end = nil
}

// Println shows a line that stays.
func (t *Terminal) Println(line string) {
	if t == nil {
		return
	}
	t.End()
	fmt.Fprintln(t.tty, line)
}

// Close takes away what is shown and lets go of the terminal.
func (t *Terminal) Close() error {
	if t == nil {
		return nil
	}
	t.End()
	return t.tty.Close()
}
