package lab

import (
	"fmt"
	"slices"
	"strings"
)

// variables are the names that [SettingsFromEnv] reads.
var variables = []string{"BASELINE", "BODY", "CACERT", "CANDIDATE", "CERT", "COOKIES", "DURATION", "ENGINE", "EXPECT",
	"FIRST", "HEADERS", "HTTP2", "INSECURE", "ITERATIONS", "KEEPALIVE", "KEY", "MAX_VUS", "MERGE", "METHOD", "OUTPUT",
	"RAMP", "REQUEST_TIMEOUT", "RESULTS", "SERVER", "SERVER_NAME", "SLO", "START_AT", "STOP", "TARGETS", "VUS", "WARMUP"}

// Misspelt returns a warning for each variable of an environment, as [os.Environ] has it, whose
// name is almost that of a setting: nothing reads it, and the setting has its default. No value is
// in a warning. The name may be another program's, so it is no error.
func Misspelt(environ []string) []string {
	var warnings []string
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		if value == "" || slices.Contains(variables, name) {
			continue
		}
		for _, meant := range variables {
			if isNear(strings.ToUpper(name), meant) {
				const warning = "%s is set, and nothing here reads it: write %s if you mean that"
				warnings = append(warnings, fmt.Sprintf(warning, name, meant))
			}
		}
	}
	slices.Sort(warnings)
	return warnings
}

// isNear reports whether one slip of the finger makes a of b: a letter too many, too few, wrong, or
// before its neighbour.
func isNear(a, b string) bool {
	for a != "" && b != "" && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for a != "" && b != "" && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return len(a) <= 1 && len(b) <= 1 || len(a) == 2 && len(b) == 2 && a[0] == b[1] && a[1] == b[0]
}
