package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// standInGo is a go command that builds programs which do next to nothing: perfgate prints JSON and
// leaves a file.
const standInGo = `#!/bin/sh
case $1 in
tool) echo a table; exit ;;
esac
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\nmkdir -p results/latest && echo x >results/latest/candidate.txt\necho "{}"\n' >"$2"
chmod +x "$2"
`

// TestGateScriptPrintsJSONAlone runs scripts/gate.sh in a repository of its own.
func TestGateScriptPrintsJSONAlone(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git")
	}
	dir := t.TempDir()
	script, err := os.ReadFile(filepath.Join("..", "gate.sh"))
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "scripts"), 0o777))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "scripts", "gate.sh"), script, 0o777))
	stand := filepath.Join(t.TempDir(), "go")
	require.NoError(t, os.WriteFile(stand, []byte(standInGo), 0o777))
	for _, args := range [][]string{
		{"init", "-q"}, {"add", "."}, {"-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-q", "-m", "x"},
	} {
		out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	for flags, alone := range map[string]bool{
		"-json": true, "--json -unit req/s": true, "-alpha 0.01 -json=true": true, "-unit req/s": false, "-json=false": false,
	} {
		cmd := exec.Command("sh", filepath.Join(dir, "scripts", "gate.sh"))
		cmd.Env = append(os.Environ(), "GO="+stand, "BASE=HEAD", "GATE_FLAGS="+flags)
		out, err := cmd.Output()
		require.NoError(t, err, flags)
		require.Equal(t, alone, json.Valid(out), "%s: %s", flags, out)
		require.Equal(t, !alone, strings.Contains(string(out), "a table"), flags)
	}
}
