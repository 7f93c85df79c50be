//go:build linux

package prefork

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ServeAlone runs srv in this process, without a master and workers, and stops it in the same way:
// on SIGTERM or the end of ctx it answers what is queued and running for as long as cfg.Grace, on
// SIGINT and SIGQUIT it stops at once. Other signals of the table are there for workers; they are
// logged and change nothing.
//
// Of cfg it needs Addr; it heeds PIDFile, LogFile, Grace, Log and Ready. Like Run it returns nil
// after a stop that was asked for, even if requests had to be cut off (the log says so), and an
// error if it could not listen or the server stopped by itself.
func ServeAlone(ctx context.Context, cfg Config, srv *http.Server) error {
	cfg.Workers = 1
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	if cfg.LogFile, err = logPath(cfg.LogFile); err != nil {
		return err
	}
	var pid *pidFile
	if cfg.PIDFile != "" {
		if pid, err = openPIDFile(cfg.PIDFile); err != nil {
			return err
		}
		defer pid.release()
	}
	socket, addr, err := openSocket(cfg.Addr)
	if err != nil {
		return err
	}
	if err := openLog(cfg.LogFile); err != nil {
		unix.Close(socket)
		return err
	}
	file := os.NewFile(uintptr(socket), "listener")
	board := privateScoreboard()
	board.words[headGrace].Store(uint64(cfg.Grace))
	board.setState(0, stateReady)
	l, err := newListener(file, board, 0)
	if err != nil {
		file.Close()
		return err
	}
	l.setMode(greedy) // there is nobody to share with

	signals, unsubscribe := subscribe(masterSignals...)
	defer unsubscribe()
	service := startService(srv, l, board, 0, nil)
	if err := pid.write(); err != nil {
		cfg.Log.Error("the pid file is not written", "error", err)
	}
	cfg.Ready(addr)

	quick, leaveNow := context.WithCancel(context.Background())
	defer leaveNow()
	drained := make(chan error, 1)
	stop := func(why string) {
		if err := refuseNew(socket); err != nil {
			cfg.Log.Debug("no socket filter: a client that connects during the stop may be reset", "error", err)
		}
		cfg.Log.Info("stopping", "reason", why, "graceful", true)
		go func() { drained <- service.drain(quick, orderDrain, nil) }()
	}
	canceled := ctx.Done()
	var termed time.Time
	for stopping := false; ; {
		var s os.Signal
		why := "canceled"
		served := service.served
		if stopping {
			served = nil // drain's to read
		}
		select {
		case err := <-served:
			return fmt.Errorf("prefork: serving: %w", err)
		case err := <-drained:
			if err != nil {
				cfg.Log.Warn("requests were cut off", "error", err)
			}
			return nil
		case s = <-signals:
			why = s.String()
		case <-canceled:
			canceled = nil
			if stopping {
				continue
			}
			s = unix.SIGTERM
		}
		switch {
		case s == unix.SIGTERM && cfg.Grace > 0 && (termed.IsZero() || time.Since(termed) < insistence):
			if !stopping {
				stopping, termed = true, time.Now()
				stop(why)
			}
		case s == unix.SIGTERM || s == unix.SIGINT || s == unix.SIGQUIT:
			cfg.Log.Info("stopping", "reason", s.String(), "graceful", false)
			if !stopping {
				_ = service.quit() // what is cut off was to be
				return nil
			}
			leaveNow()
		case s == unix.SIGUSR1 && cfg.LogFile != "":
			if err := openLog(cfg.LogFile); err != nil {
				cfg.Log.Error("the log goes on where it was", "error", err)
			} else {
				cfg.Log.Info("log file opened again", "path", cfg.LogFile)
			}
		default:
			cfg.Log.Warn("signal ignored: it is for worker processes, and there are none", "signal", s.String())
		}
	}
}
