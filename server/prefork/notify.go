//go:build linux

package prefork

import (
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// notify tells systemd, if it listens, how the service does (sd_notify(3)).
func (m *master) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		m.cfg.Log.Warn("systemd was not told", "state", state, "error", err)
	}
}

// notifyReloading is followed by notify(daemon.SdNotifyReady) when the reload has ended, in
// whichever way.
func (m *master) notifyReloading() {
	m.notify(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
}

// startWatchdog takes from the environment how often systemd wants to hear that the service is
// well; twice as often it will.
func (m *master) startWatchdog() {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		m.cfg.Log.Warn("no watchdog", "error", err)
		return
	}
	m.watchdog = every / 2
}

// feedWatchdog says that the service is well if it is: a worker serves, or is about to end what it
// has.
func (m *master) feedWatchdog(now time.Time) {
	if m.watchdog == 0 || !m.serving || now.Before(m.watchdogAt) {
		return
	}
	m.watchdogAt = now.Add(m.watchdog)
	for i := range m.slots {
		if state := m.post(i).state; state == stateReady || state == stateDraining {
			m.notify(daemon.SdNotifyWatchdog)
			return
		}
	}
}
