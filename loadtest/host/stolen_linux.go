package host

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// StolenTime is the processor time that this machine, or the container of this process, was kept
// from using so far, although it had something to do: stolen by the hypervisor, or withheld by the
// CPU limit of the container. A [Meter].
func StolenTime() (time.Duration, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("stolen time: %w", err)
	}
	stolen, err := parseSteal(stat)
	if err != nil {
		return 0, fmt.Errorf("stolen time: /proc/stat: %w", err)
	}
	withheld, err := withheldTime(controlGroups())
	if err != nil {
		return 0, fmt.Errorf("withheld time: cpu.stat: %w", err)
	}
	return stolen + withheld, nil
}

// parseSteal reads the eighth number of the line of all processors in /proc/stat (proc_stat(5)).
func parseSteal(stat []byte) (time.Duration, error) {
	const steal = 8
	line, _, _ := bytes.Cut(stat, []byte{'\n'})
	fields := strings.Fields(string(line))
	if len(fields) <= steal || fields[0] != "cpu" {
		return 0, fmt.Errorf("no stolen time in %q", line)
	}
	ticks, err := strconv.ParseInt(fields[steal], 10, 64)
	return time.Duration(ticks) * tick, err
}
