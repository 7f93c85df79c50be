//go:build !load

package loadtest

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
	require.Contains(t, string(shown), "8 vus for 500ms")
	require.NotContains(t, string(shown), "100%", "full when the level has ended, not when its time is up")
	require.True(t, strings.HasSuffix(string(shown), "\ra line that stays\n"), "%q", shown)
}

func TestNoTerminal(t *testing.T) {
	t.Setenv("CI", "true")
	terminal := OpenTerminal()
	require.Nil(t, terminal)
	terminal.Say("x")
	terminal.Begin(1, time.Second)
	terminal.Println("x")
	terminal.End()
	require.NoError(t, terminal.Close())
}
