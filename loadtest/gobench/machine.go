package gobench

import (
	"os"

	"rampart/loadtest/host"
)

// machine is the name of the machine and the model of its processor; empty where nobody knows.
func machine() (name, model string) {
	name, _ = os.Hostname()
	return name, host.CPUModel()
}
