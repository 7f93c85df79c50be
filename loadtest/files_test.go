//go:build !load

package loadtest

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/report"
)

func TestFiles(t *testing.T) {
	root := filepath.Join(t.TempDir(), "a", "results")
	started := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, name := range []string{"20261123T120000Z", "20261123T120000Z-2", "20261123T120000Z-3"} {
		files, err := NewFiles(root, started)
		require.NoError(t, err)
		require.Equal(t, filepath.Join(root, name), files.Dir())
		to, err := os.Readlink(filepath.Join(root, "latest"))
		require.NoError(t, err)
		require.Equal(t, name, to)
		for range 2 { // again after the next level
			require.NoError(t, files.Write(Result{Kind: report.KindRamp, Started: started}))
			require.Equal(t, []string{"bench.txt", "ramp.csv", "report.html", "result.json"}, names(t, files.Dir()))
		}
	}
	require.Len(t, names(t, root), 4, "nothing is left over")

	files, err := NewFiles(root, started)
	require.NoError(t, err)
	require.NoError(t, files.Write(Result{Kind: report.KindLevels, Started: started}))
	require.Equal(t, []string{"bench.txt", "report.html", "result.json"}, names(t, files.Dir()), "no ramp, no table of one")
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestFilesWhereNoneCanBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o666))
	_, err := NewFiles(filepath.Join(file, "results"), time.Now())
	require.ErrorContains(t, err, "set RESULTS")

	files, err := NewFiles(t.TempDir(), time.Now())
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(files.Dir()))
	require.ErrorContains(t, files.Write(Result{}), "write results")
}
