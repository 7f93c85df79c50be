//go:build linux

package prefork

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A log that is renamed goes on under its old name until the signal, and under its name after it.
// No line is lost or torn, whoever writes it.
func TestLogFile(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{0, 2} {
		t.Run(fmt.Sprintf("workers=%d", workers), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "log")
			s := startMaster(t, Config{Workers: workers, Counters: 1, Gauges: 1, LogFile: path})
			var addr string
			eventually(t, "it listens", func() bool {
				text, _ := os.ReadFile(path)
				_, addr, _ = strings.Cut(string(text), "listening on ")
				addr, _, _ = strings.Cut(addr, "\n")
				return addr != ""
			})
			s.addr = addr
			require.NotContains(t, s.text(), "listening on", "on standard error")

			const writers, lines = 4, 200
			var group sync.WaitGroup
			failures := make(chan error, writers)
			for w := range writers {
				group.Go(func() {
					client := s.client()
					defer client.CloseIdleConnections()
					for n := range lines {
						said := strings.Repeat(fmt.Sprintf("%d-%d,", w, n), 40)
						if _, err := fetch(client, s.url("/say?what="+said)); err != nil {
							failures <- err
							return
						}
					}
				})
			}
			const renamed = 5
			for n := range renamed {
				require.NoError(t, os.Rename(path, fmt.Sprintf("%s.%d", path, n)))
				s.signal(unix.SIGUSR1)
				eventually(t, "opened again", func() bool {
					text, err := os.ReadFile(path)
					return err == nil && strings.Contains(string(text), "log file opened again")
				})
			}
			group.Wait()
			close(failures)
			for err := range failures {
				require.NoError(t, err)
			}
			before := readFile(t, path+".4")
			s.get("/say?what=after")
			eventually(t, "all write to the new file", func() bool { return strings.Contains(readFile(t, path), "\nafter\n") })
			require.Equal(t, before, readFile(t, path+".4"))
			s.signal(unix.SIGTERM)
			require.Equal(t, 0, s.wait())

			all := readFile(t, path)
			for n := range renamed {
				all += readFile(t, fmt.Sprintf("%s.%d", path, n))
			}
			whole := regexp.MustCompile(`^(\d-\d+,){40}$`)
			found := map[string]bool{}
			for line := range strings.Lines(all) {
				if strings.Contains(line, "-") && strings.Contains(line, ",") && !strings.Contains(line, "level=") {
					line = strings.TrimSuffix(line, "\n")
					require.Regexp(t, whole, line)
					found[line] = true
				}
			}
			require.Len(t, found, writers*lines)
		})
	}
}

// A log that cannot be opened again is gone on with, and that is said.
func TestLogFileThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "logs")
	require.NoError(t, os.Mkdir(dir, 0o700))
	path := filepath.Join(dir, "log")
	s := startMaster(t, Config{Workers: 1, Counters: 1, Gauges: 1, LogFile: path})
	has := func(path, what string) {
		t.Helper()
		eventually(t, what, func() bool {
			text, _ := os.ReadFile(path)
			return strings.Contains(string(text), what)
		})
	}
	has(path, "listening on ")
	require.NoError(t, os.Rename(dir, dir+".old"))
	s.signal(unix.SIGUSR1)
	has(dir+".old/log", "the log goes on where it was")
	s.signal(unix.SIGTERM)
	require.Equal(t, 0, s.wait())
	has(dir+".old/log", "msg=stopped")

	other := startMaster(t, Config{Workers: 1, LogFile: path})
	require.Equal(t, exitFailed, other.wait())
	other.waitLog("log file: open "+path, "no such file or directory")
	require.NotContains(t, other.text(), "worker started")
}
