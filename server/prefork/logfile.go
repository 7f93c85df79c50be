//go:build linux

package prefork

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// logEnv tells a worker which file its standard error is.
const logEnv = "RAMPART_LOG"

// openLog makes the file of a path this process's standard error, from which the processes that it
// starts inherit it. Whatever is written goes to the end of the file in one piece, so lines of
// several processes stay whole, also while some of them still have the file that had this name
// before. An empty path changes nothing.
func openLog(path string) error {
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("prefork: log file: %w", err)
	}
	defer f.Close()
	if err := unix.Dup3(int(f.Fd()), unix.Stderr, 0); err != nil {
		return fmt.Errorf("prefork: log file %s: dup3: %w", path, err)
	}
	return nil
}

// logPath is cfg.LogFile as an absolute path.
func logPath(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("prefork: log file: %w", err)
	}
	return path, nil
}

// reopenLog has the log file opened again by its name, by this process and its workers.
func (m *master) reopenLog() {
	if m.cfg.LogFile == "" {
		m.cfg.Log.Warn("signal ignored: there is no log file", "signal", unix.SIGUSR1.String())
		return
	}
	if err := openLog(m.cfg.LogFile); err != nil {
		m.cfg.Log.Error("the log goes on where it was", "error", err)
		return
	}
	m.cfg.Log.Info("log file opened again", "path", m.cfg.LogFile)
	for _, s := range m.slots {
		if s.process != nil {
			send(s.process.control, orderReopen)
		}
	}
}
