package lab

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTerminal(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	terminal := &Terminal{tty: w}
	terminal.Say("building")
	terminal.Begin(8, 500*time.Millisecond) // takes the word away first
	time.Sleep(2 * tickInterval)
	terminal.End()
	terminal.End() // nothing is shown any more
	terminal.Println("a line that stays")
	require.NoError(t, terminal.Close())

	shown, err := io.ReadAll(r)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(shown), "building ..."+clearLine), "%q", shown)
	require.Contains(t, string(shown), clearLine+"8 vus for 500ms  50% |")
	require.NotContains(t, string(shown), "100%", "full when the level has ended, not when its time is up")
	require.True(t, strings.HasSuffix(string(shown), clearLine+"a line that stays\n"), "%q", shown)
}

func TestTerminalShowsABlock(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	terminal := &Terminal{tty: w}
	terminal.Show("one\ntwo\n")
	terminal.Show("three")
	require.Equal(t, 80, terminal.Width())
	require.NoError(t, terminal.Close())
	shown, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, "one\ntwo\r\x1b[1A\x1b[Jthree\r\x1b[J", string(shown))

	lines := []string{"a long line", "±±±±", "x"}
	require.Equal(t, []string{"a lo", "±±±±", "x"}, cut(lines, 5, 9))
	require.Equal(t, []string{"±±±±", "x"}, cut(lines, 5, 3))
	require.Equal(t, []string{"x"}, cut(lines, 80, 1))
	require.Equal(t, "a long line", lines[0])
}

func TestBar(t *testing.T) {
	require.Equal(t, "8 vus for 5s   0% |                              |", bar("8 vus for 5s", 0, 20))
	require.Equal(t, "8 vus for 5s   5% |█                             |", bar("8 vus for 5s", 1, 20))
	require.Equal(t, "8 vus for 5s  10% |███                           |", bar("8 vus for 5s", 2, 20))
	require.Equal(t, "8 vus for 5s  95% |████████████████████████████  |", bar("8 vus for 5s", 19, 20))
	require.Equal(t, "8 vus for 5s 100% |██████████████████████████████|", bar("8 vus for 5s", 20, 20))
}

func TestNoTerminal(t *testing.T) {
	t.Setenv("CI", "true")
	terminal := OpenTerminal()
	require.Nil(t, terminal)
	terminal.Say("x")
	terminal.Begin(1, time.Second)
	terminal.Println("x")
	terminal.Show("x")
	require.Equal(t, 80, terminal.Width())
	terminal.End()
	require.NoError(t, terminal.Close())
}
