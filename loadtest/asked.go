package loadtest

import (
	"cmp"
	"fmt"
	"net/http"

	"rampart/loadtest/inject"
)

// asked is what both sides of a duel are asked, as it may be shown. Each has its own address.
func asked(c inject.HTTPConfig) string {
	if n := len(c.Requests); n > 0 {
		return fmt.Sprintf("%d requests of %s", n, cmp.Or(c.Source, "a list"))
	}
	shown := c.URL.RequestURI()
	if c.URL.Scheme == "https" {
		shown = "https://" + addrMark + shown
	}
	if c.Method != "" && c.Method != http.MethodGet {
		shown = c.Method + " " + shown
	}
	return shown
}
