package gate

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// setting is a line "key: value". Whether it is configuration or the output of a program is known
// only from both files, see [configuration].
type setting struct {
	at         int
	key, value string
	first      bool // of a stream: all before is forgotten
}

// parseSetting parses such a line, as benchfmt does.
func parseSetting(text string) (key, value string, ok bool) {
	key, value, ok = strings.Cut(text, ":")
	if !ok || key == "" || !unicode.IsLower([]rune(key[:min(len(key), 4)])[0]) ||
		strings.ContainsFunc(key, func(r rune) bool {
			return unicode.IsSpace(r) || unicode.IsUpper(r)
		}) {
		return "", "", false
	}
	trimmed := strings.TrimLeft(value, " \t")
	return key, trimmed, value == "" || trimmed != value
}

// usualKeys are those that package testing prints.
var usualKeys = []string{"goos", "goarch", "pkg", "cpu"}

// keys returns the keys of a file, by whether they are set before its first result, and the values
// that each has.
func (r Results) keys() (head map[string]bool, values map[string]map[string]bool) {
	head, values = map[string]bool{}, map[string]map[string]bool{}
	first := 0
	if len(r.lines) > 0 {
		first = r.lines[0].settings
	}
	for i, s := range r.settings {
		if values[s.key] == nil {
			values[s.key] = map[string]bool{}
		}
		head[s.key] = head[s.key] || i < first
		values[s.key][s.value] = true
	}
	return head, values
}

// configuration returns the keys that are configuration and tell benchmarks apart: those of package
// testing, and others that both files have, if one has them before its first result, or both with
// the same values. All else that looks like "key: value" is what a program printed: "error:
// connection refused" between two samples does not make them two benchmarks.
func configuration(x, y Results) map[string]bool {
	headX, valuesX := x.keys()
	headY, valuesY := y.keys()
	keys := map[string]bool{}
	for key := range valuesX {
		if valuesY[key] != nil && (headX[key] || headY[key] || maps.Equal(valuesX[key], valuesY[key])) {
			keys[key] = true
		}
	}
	for _, key := range usualKeys {
		keys[key] = true
	}
	return keys
}

// output names the first line that is no configuration but stands between results like one; empty:
// there is none.
func (r Results) output(keys map[string]bool) string {
	for i, s := range r.settings {
		if !keys[s.key] && len(r.lines) > 0 && i >= r.lines[0].settings && i < r.lines[len(r.lines)-1].settings {
			return fmt.Sprintf("%s:%d: %q and such are taken for the output of a program, not for configuration: want it "+
				"before the first result of a file",
				r.path, s.at, clip(s.key+": "+s.value))
		}
	}
	return ""
}

// each visits the lines with the configuration that some keys have there. Lines in a row share the
// map where it is the same.
func (r Results) each(keys map[string]bool, visit func(l line, config map[string]string, changed bool)) {
	config := map[string]string{}
	seen := 0
	for _, l := range r.lines {
		changed := false
		for ; seen < l.settings; seen++ {
			s := r.settings[seen]
			if s.first && len(config) > 0 {
				config, changed = map[string]string{}, true
			}
			if keys[s.key] && config[s.key] != s.value {
				if !changed {
					config, changed = maps.Clone(config), true
				}
				config[s.key] = s.value
			}
		}
		visit(l, config, changed)
	}
}

// varying returns those of some keys whose values change within the file: they tell its benchmarks
// apart.
func (r Results) varying(keys map[string]bool) map[string]bool {
	varying := make(map[string]bool)
	var last map[string]string
	r.each(keys, func(_ line, config map[string]string, changed bool) {
		if last != nil && changed {
			for key := range keys {
				if config[key] != last[key] {
					varying[key] = true
				}
			}
		}
		last = config
	})
	return varying
}

// config is the configuration of the first line.
func (r Results) config(keys map[string]bool) (first map[string]string) {
	one := r
	one.lines = slices.Clip(r.lines[:min(1, len(r.lines))])
	one.each(keys, func(_ line, config map[string]string, _ bool) { first = config })
	return first
}
