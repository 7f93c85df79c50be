package lab

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// Terminal shows progress on a terminal, without colors: a bar for each level, or a table. A nil
// *Terminal shows nothing, so that code need not ask whether there is one.
type Terminal struct {
	tty *os.File
	end func() // takes away what is shown; nil: nothing is
}

// OpenTerminal opens the terminal that the user sits at, also where go test has taken the standard
// streams. It returns nil where there is none, or where the terminal cannot move its cursor.
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
	what := fmt.Sprintf("%d vus for %v", vus, d.Round(100*time.Millisecond))
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
				fmt.Fprint(t.tty, clearLine, bar(what, done, steps))
			}
		}
	})
	t.end = func() {
		close(stop)
		ticking.Wait()
		fmt.Fprint(t.tty, clearLine)
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

// Show shows lines, in place of what is shown. They are cut to the size of the terminal.
func (t *Terminal) Show(block string) {
	if t == nil {
		return
	}
	t.End()
	lines := strings.Split(strings.TrimRight(block, "\n"), "\n")
	if width, height, err := term.GetSize(int(t.tty.Fd())); err == nil {
		lines = cut(lines, width, height)
	}
	fmt.Fprint(t.tty, strings.Join(lines, "\n"))
	t.end = func() { fmt.Fprint(t.tty, clearBlock(len(lines))) }
}

// cut leaves of lines what a terminal has room for: their beginnings, and the last of them.
func cut(lines []string, width, height int) []string {
	lines = slices.Clone(lines[max(len(lines)-max(height-1, 1), 0):])
	for i, line := range lines {
		if runes := []rune(line); len(runes) >= width {
			lines[i] = string(runes[:max(width-1, 0)])
		}
	}
	return lines
}

// clearBlock moves to the beginning of the first of so many lines, and erases all from there on
// (ECMA-48, CUU and ED).
func clearBlock(lines int) string {
	up := ""
	if lines > 1 {
		up = fmt.Sprintf("\x1b[%dA", lines-1)
	}
	return "\r" + up + "\x1b[J"
}

// Width is how many cells a line has; 80 where nobody knows.
func (t *Terminal) Width() int {
	if t != nil {
		if width, _, err := term.GetSize(int(t.tty.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return 80
}

// clearLine moves to the beginning of the line and erases it (ECMA-48, EL).
const clearLine = "\r\x1b[K"

// barWidth is how many cells a bar has.
const barWidth = 30

// bar says what is being done, and how many of its steps are.
func bar(what string, done, steps int) string {
	full := barWidth * done / steps
	cells := strings.Repeat("█", full) + strings.Repeat(" ", barWidth-full)
	return fmt.Sprintf("%s %3d%% |%s|", what, 100*done/steps, cells)
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
