package main

import (
	"bytes"
	"context"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMain makes this test binary the server without a supervisor when it is called so.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == plain {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestRatio(t *testing.T) {
	var baseline, half []float64
	for n := range 10 {
		baseline = append(baseline, 1000+float64(n))
		half = append(half, (1000+float64(n))/2*(1+0.001*float64(n%3)))
	}
	r, err := ratioOf(baseline, half)
	require.NoError(t, err)
	require.InDelta(t, 0.5, r.estimate, 0.01)
	require.LessOrEqual(t, r.lower, r.estimate)
	require.GreaterOrEqual(t, r.upper, r.estimate)
	require.Less(t, r.upper, 0.51)
	require.Equal(t, missed, r.against(0.95))
	require.Equal(t, reached, r.against(0.4))
	require.Equal(t, open, ratio{1, 0.9, 1.1}.against(0.95))
	few, err := ratioOf(baseline[:3], half[:3])
	require.NoError(t, err)
	require.True(t, math.IsInf(few.upper, 1), "three pairs say nothing: %v", few)
	require.Equal(t, open, few.against(0.95))
}

func TestParseRefuses(t *testing.T) {
	for args, want := range map[string]string{
		"-pairs 5":    "at least 6",
		"-window 0s":  "must be positive",
		"-workers -1": "at least 1",
		"-vus 1,x":    "want whole numbers",
		"now":         "flags only",
	} {
		_, err := parse(strings.Fields(args), io.Discard)
		require.ErrorContains(t, err, want, args)
	}
}

// One line of the table, of windows that are too short to believe.
func TestRun(t *testing.T) {
	server := filepath.Join(t.TempDir(), "server")
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", server, "../../server").CombinedOutput()
	require.NoError(t, err, "%s", out)
	var stdout bytes.Buffer
	require.NoError(t, run(context.Background(), strings.Fields("-server "+server+
		" -workers 2 -pairs 6 -window 50ms -vus 2 -iterations 1"), &stdout, io.Discard))
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	require.Len(t, lines, 3, "a head, and connections kept and new")
	const ratio, number = `\d+\.\d\d \(\d+\.\d\d to \d+\.\d\d\) +`, `\d+\.\d\d`
	require.Regexp(t, `^1 +kept +2 +(`+ratio+`){3}`+number+` and `+number+` .*(reached|missed|open)$`, lines[1])
	require.Regexp(t, `^1 +new +2 `, lines[2])
}

func TestParseSwitches(t *testing.T) {
	const status = "Name:\tserver\nSwitches:\t7\nvoluntary_ctxt_switches:\t40\nnonvoluntary_ctxt_switches:\t2\n"
	n, err := parseSwitches([]byte(status))
	require.NoError(t, err)
	require.EqualValues(t, 42, n)
	for text, want := range map[string]string{
		"":                              "tells 0 of 2 kinds",
		"voluntary_ctxt_switches:\t1\n": "tells 1 of 2 kinds",
		"voluntary_ctxt_switches:\tx\n": "invalid syntax",
	} {
		_, err := parseSwitches([]byte(text))
		require.ErrorContains(t, err, want, text)
	}
	_, err = switches([]string{"no such command"})
	require.ErrorContains(t, err, "0 processes of this one run")
}
