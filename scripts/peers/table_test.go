package main

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files")

func TestTable(t *testing.T) {
	named := func(t tool, version string) tool { t.is = version; return t }
	got := table{
		settings: settings{rounds: 3, duration: 2 * time.Second, vus: levels{8, 64}, tools: toolNames(), seed: 42},
		tools:    []tool{named(rampart, "1234567"), named(wrk, "4.2.0"), hey},
		missing:  []string{"vegeta", "k6"},
		server:   "nginx 1.22.1 with one worker",
		machine:  "Some CPU, 2 CPUs, Linux 6.1, go1.26",
		rows:     compare(someSamples(), "wrk"),
	}.String()
	path := filepath.Join("..", "..", "testdata", "peers", "table.md")
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o666))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(string(want), got))
}
