package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/gate"
)

// TestRunShowsNoSecret puts a secret into every flag of perfgate run that may hold one, in ways
// that cannot work.
func TestRunShowsNoSecret(t *testing.T) {
	results := t.TempDir()
	for _, args := range [][]string{
		{"-baseline", "me:topsecret@h:1"},
		{"-baseline", "http://me:topsecret@h:1"},
		{"-baseline", "http://me:12/topsecret@h:1"},
		{"-baseline", "TOKEN=topsecret ./server"},
		{"-baseline", "./server --password topsecret"},
		{"-baseline", "DB=postgres://me:topsecret@db/x ./server"},
		{"-baseline", "curl -H 'Authorization: Bearer topsecret' x"},
		{"-baseline", "a:1", "-candidate", "./server", "DB=postgres://me:topsecret@db/x", "{addr}"},
		{"-baseline", "a:1", "-candidate", "curl", "http://me:topsecret@h/"},
		{"-baseline", "a:1", "-candidate", "curl", "Authorization: Bearer topsecret"},
		{"-baseline", "a:1", "-candidate", "env", "API_KEY=topsecret"},
		{"-baseline", "a:1", "-candidate", "./server", "--password=topsecret"},
		{"-baseline", "./server", "--password=topsecret"},
		{"-baseline", "a:1", "-candidate", "b:1", "-uri", "http://me:topsecret@h/x"},
		{"-baseline", "a:1", "-candidate", "b:1", "-uri", "//me:topsecret@h/%"},
		{"-baseline", "a:1", "-candidate", "b:1", "-H", "Authorization Bearer topsecret"},
		{"-baseline", "a:1", "-candidate", "b:1", "-H", "X: y", "-H", "topsecret"},
		{"-baseline", "a:1", "-candidate", "b:1", "-H", "@topsecret"},
		{"-baseline", "a:1", "-candidate", "b:1", "-H", "Transfer-Encoding: topsecret"},
		{"-baseline", "a:1", "-candidate", "b:1", "-d", "topsecret", "-d", "topsecret"},
		{"-baseline", "a:1", "-candidate", "b:1", "-d", "@topsecret"},
		{"-baseline", "a:1", "-candidate", "b:1", "-d", "topsecret", "-X", "http://me:topsecret@h/"},
		{"-baseline", "a:1", "-candidate", "b:1", "-tls", "-cert", "topsecret", "-key", "topsecret"},
		{"-baseline", "a:1", "-candidate", "b:1", "-tls", "-cacert", "topsecret"},
		{"-baseline", "127.0.0.1:1", "-candidate", "127.0.0.1:2", "-H", "X-Token: topsecret", "-d", "topsecret"},
		{"-baseline", "exec false # {addr}", "-candidate", "API_KEY=topsecret exec false # {addr}"},
		{"-baseline", "exec false # {addr}", "-candidate", "DB=postgres://me:topsecret@db/x false {addr}"},
		{"-baseline", "127.0.0.1:1", "-candidate", "./server --token topsecret {addr}"},
	} {
		var stdout, stderr bytes.Buffer
		all := append([]string{"run", "-results", results, "-request-timeout", "1s"}, args...)
		code := run(all, func(string) string { return "" }, &stdout, &stderr)
		require.Equal(t, gate.ExitUnjudged, code, args)
		require.NotEmpty(t, stderr.String())
		require.NotContains(t, stdout.String()+stderr.String(), "topsecret", args)
	}
}
