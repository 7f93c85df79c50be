package k6

import (
	"slices"
	"strings"

	"rampart/loadtest/inject"
)

// environment is the environment of k6: of ours, without variables that change what it does. K6_*
// beat what the script says, and a proxy would be what is measured.
func environment(ours []string, c inject.HTTPConfig) []string {
	var debug []string // GODEBUG
	env := slices.DeleteFunc(slices.Clone(ours), func(pair string) bool {
		name, value, _ := strings.Cut(pair, "=")
		name = strings.ToUpper(name)
		if name == "GODEBUG" && value != "" {
			debug = append(debug, value)
		}
		return strings.HasPrefix(name, "K6_") || name == "HTTP_PROXY" || name == "HTTPS_PROXY" || name == "GODEBUG"
	})
	if c.NoHTTP2 {
		debug = append(debug, "http2client=0")
	}
	if debug != nil {
		env = append(env, "GODEBUG="+strings.Join(debug, ","))
	}
	// The script imports nothing that would have to be fetched; k6 need not look.
	return append(env, "K6_AUTO_EXTENSION_RESOLUTION=false")
}
