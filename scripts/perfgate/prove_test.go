package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/gate"
)

// TestProveShowsNoSecret puts a secret into every flag of perfgate prove that may hold one, in ways
// that cannot work.
func TestProveShowsNoSecret(t *testing.T) {
	results := t.TempDir()
	for _, args := range [][]string{
		{"-server", "http://me:topsecret@h:1"},
		{"-server", "TOKEN=topsecret ./server"},
		{"-server", "./server {addr}", "-slower", "TOKEN=topsecret ./server"},
		{"-server", "./server {addr}", "--password=topsecret"},
		{"-server", "./server {addr}", "-uri", "http://me:topsecret@h/x"},
		{"-server", "API_KEY=topsecret exec false # {addr}"},
	} {
		var stdout, stderr bytes.Buffer
		all := append([]string{"prove", "-results", results}, args...)
		code := run(all, func(string) string { return "" }, &stdout, &stderr)
		require.Equal(t, gate.ExitUnjudged, code, args)
		require.NotEmpty(t, stderr.String())
		require.NotContains(t, stdout.String()+stderr.String(), "topsecret", args)
	}
}

// TestProofDuelsAsRunDoes holds that a proof is one of the gate that the same flags make.
func TestProofDuelsAsRunDoes(t *testing.T) {
	flags := []string{
		"-vus", "3", "-side", "70ms", "-warmup", "80ms", "-slice", "2ms", "-blocks", "5,7", "-request-timeout", "3s",
		"-answers", "none", "-seed", "9", "-margin", "req/s=2%", "-unit", "req/s,p50-ns", "-alpha", "0.01", "-uri", "/x",
		"-H", "A: b", "-d", "text",
	}
	_, d, _, err := parseDuel(append([]string{"-baseline", "./a {addr}", "-candidate", "./a {addr}"}, flags...))
	require.NoError(t, err)
	o, err := parseProve(append([]string{"-server", "./a {addr}", "-slower", "./b {addr}"}, flags...))
	require.NoError(t, err)
	require.Equal(t, d, o.duel)
	require.Equal(t, "./b {addr}", o.slower.Command)

	b := o.beginning()
	trial := b.Plan.Trial(0)
	for trial.Loss == 0 {
		trial = b.Plan.Trial(trial.Number + 1)
	}
	made := o.duelOf(trial)
	require.Equal(t, trial.Loss, made.Candidate.Waste)
	require.Zero(t, made.Baseline.Waste)
	require.Equal(t, trial.Seed, made.Seed)
	for !trial.Slower {
		trial = b.Plan.Trial(trial.Number + 1)
	}
	require.Equal(t, *o.slower, o.duelOf(trial).Candidate)
}

// TestShownRequest holds that a log tells requests apart, and shows no value of a header and no
// body.
func TestShownRequest(t *testing.T) {
	o, err := parseProve([]string{
		"-server", "./a {addr}", "-uri", "/x?y=z", "-H", "B: topsecret", "-H", "A: b", "-d", "topsecret", "-X", "PUT", "-tls",
	})
	require.NoError(t, err)
	require.Equal(t, "PUT /x?y=z, TLS, headers A B, 9 bytes", o.beginning().Request)
	o, err = parseProve([]string{"-server", "./a {addr}"})
	require.NoError(t, err)
	require.Equal(t, "GET /?it1=60000&it2=1", o.beginning().Request)
}

func TestEnough(t *testing.T) {
	for least, want := range map[time.Duration]time.Duration{
		18 * time.Second: 40 * time.Second, time.Second: 10 * time.Second, 90 * time.Second: 4 * time.Minute,
	} {
		require.Equal(t, want, enough(least))
	}
}
