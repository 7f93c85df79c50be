package lab

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/gate"
	"rampart/loadtest/result"
)

func TestFiles(t *testing.T) {
	root := filepath.Join(t.TempDir(), "a", "results")
	started := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, name := range []string{"20261123T120000Z", "20261123T120000Z-2", "20261123T120000Z-3"} {
		files, err := NewFiles(root, started)
		require.NoError(t, err)
		require.NoError(t, files.Unlinked())
		require.Equal(t, filepath.Join(root, name), files.Dir())
		to, err := os.Readlink(filepath.Join(root, "latest"))
		require.NoError(t, err)
		require.Equal(t, name, to)
		for range 2 { // again after the next level
			require.NoError(t, files.Write(result.Result{Kind: result.KindRamp, Started: started}))
			require.Equal(t, []string{"bench.txt", "ramp.csv", "report.html", "result.json"}, names(t, files.Dir()))
		}
	}
	require.Len(t, names(t, root), 4, "nothing is left over")

	files, err := NewFiles(root, started)
	require.NoError(t, err)
	require.NoError(t, files.Write(result.Result{Kind: result.KindLevels, Started: started}))
	require.Equal(t, []string{"bench.txt", "report.html", "result.json"}, names(t, files.Dir()),
		"no ramp, no table of one")
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
	require.ErrorContains(t, files.Write(result.Result{}), "write results")
}

// TestFilesWithoutLink holds that results are written also where "latest" is somebody's folder or
// file, which stays as it is.
func TestFilesWithoutLink(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"a folder with files": func(path string) error { return os.MkdirAll(filepath.Join(path, "old"), 0o777) },
		"an empty folder":     func(path string) error { return os.Mkdir(path, 0o777) },
		"a file":              func(path string) error { return os.WriteFile(path, []byte("mine"), 0o666) },
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			require.NoError(t, put(filepath.Join(root, latest)))
			before, err := os.Lstat(filepath.Join(root, latest))
			require.NoError(t, err)
			files, err := NewFiles(root, time.Now())
			require.NoError(t, err)
			require.ErrorContains(t, files.Unlinked(), "latest is there and is no link")
			require.NoError(t, files.Write(result.Result{Kind: result.KindRamp}))
			require.FileExists(t, filepath.Join(files.Dir(), "result.json"))
			after, err := os.Lstat(filepath.Join(root, latest))
			require.NoError(t, err)
			require.True(t, os.SameFile(before, after))
			require.Len(t, names(t, root), 2, "nothing is left over")
		})
	}
}

// TestFilesWhereNoLinkCanBeMade has something in the way of the link, as a file system without
// links is.
func TestFilesWhereNoLinkCanBeMade(t *testing.T) {
	root, started := t.TempDir(), time.Now()
	require.NoError(t, os.Mkdir(filepath.Join(root, ".latest-"+started.UTC().Format("20060102T150405Z")), 0o777))
	files, err := NewFiles(root, started)
	require.NoError(t, err)
	require.ErrorContains(t, files.Unlinked(), "no link to these results")
	require.NoError(t, files.Write(result.Result{Kind: result.KindRamp}))
}

// TestFilesErrorsInOrder: errors came in a random order.
func TestFilesErrorsInOrder(t *testing.T) {
	files, err := NewFiles(t.TempDir(), time.Now())
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(files.Dir()))
	first := [2]string{
		files.Write(result.Result{Kind: result.KindRamp}).Error(),
		files.WriteDuel(result.Duel{}, gate.Report{}).Error(),
	}
	for range 20 {
		require.EqualError(t, files.Write(result.Result{Kind: result.KindRamp}), first[0])
		require.EqualError(t, files.WriteDuel(result.Duel{}, gate.Report{}), first[1])
	}
}
