package inject

import (
	"cmp"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// shortestSecret is how long a word is at least that is hidden by itself. Shorter ones are in half
// of all sentences.
const shortestSecret = 6

// largestBody is how much of a body is looked through for words.
const largestBody = 64 << 10

// largestBodies is how much of all bodies together is.
const largestBodies = 1 << 20

// secrets are the values of c that are nobody's business but the server's: user and password, the
// values of headers, and what the body holds. With a value come its words, because a server that
// refuses a token says so without the word Bearer before it. There may be more.
func secrets(c HTTPConfig, more []string) []string {
	var all []string
	add := func(value string) {
		all = append(all, value, strings.Trim(strconv.Quote(value), `"`))
		for word := range strings.FieldsFuncSeq(value,
			func(r rune) bool { return strings.ContainsRune(" \t\r\n,;=&:\"'{}[]()<>", r) }) {
			if len(word) >= shortestSecret {
				all = append(all, word)
			}
		}
	}
	headers, bodies := []http.Header{c.Header}, [][]byte{c.Body}
	for _, r := range slices.Concat(c.Requests, c.First) {
		headers, bodies = append(headers, r.Header), append(bodies, r.Body)
	}
	for _, header := range headers {
		for name, values := range header {
			if !strings.EqualFold(name, "Host") { // it is part of the address
				for _, v := range values {
					add(v)
				}
			}
		}
	}
	if c.URL != nil && c.URL.User != nil {
		name, password := c.URL.User.Username(), ""
		password, _ = c.URL.User.Password()
		all = append(all, name, password, base64.StdEncoding.EncodeToString([]byte(password)),
			base64.StdEncoding.EncodeToString([]byte(name+":"+password)), url.QueryEscape(password))
	}
	left := largestBodies
	for _, body := range bodies {
		n := min(len(body), largestBody, left)
		left -= n
		add(string(body[:n]))
	}
	all = append(all, more...)
	all = slices.DeleteFunc(all, func(s string) bool { return len(s) < 3 })
	// What holds another one comes first, so that nothing of it is left.
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b)) })
	return slices.Compact(all)
}

// Hide replaces in a text, such as a server's own words, what c asks with and nobody else should
// read.
func (c HTTPConfig) Hide(text string) string { return c.hideAll(text, nil) }

// hideAll is Hide that hides more.
func (c HTTPConfig) hideAll(text string, more []string) string {
	for _, s := range secrets(c, more) {
		text = strings.ReplaceAll(text, s, "***")
	}
	return text
}

// hiddenError is an error whose text shows no secret. What it wraps may.
type hiddenError struct {
	text string
	err  error
}

func (e *hiddenError) Error() string { return e.text }

func (e *hiddenError) Unwrap() error { return e.err }
