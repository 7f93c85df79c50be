package inject

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"
)

// jar keeps the cookies of one VU, as RFC 6265 has it, of one server: a cookie goes to the paths
// below its own, until the server deletes it. Its domain is not looked at, as there is one server.
// Nor is Secure, as a server on loopback stands for one behind a proxy that speaks TLS, nor is how
// long it lasts, which is longer than a level.
type jar struct {
	all  []cookie // longest paths first
	path string   // of the request under way
	age  int      // grows with every change
}

// cookie is one of a jar.
type cookie struct {
	name, path string
	text       string // name=value, as it is sent back
	line, from string // what the server said, in answer to a request for which path
}

// mostCookies is how many a jar keeps, which is more than browsers do.
const mostCookies = 200

// setCookie is the header with which a server sets one.
const setCookie = "set-cookie"

// hear takes in a header line of an answer.
func (j *jar) hear(line []byte) {
	const n = len(setCookie)
	if len(line) <= n || line[n] != ':' || !equalFold(line[:n], setCookie) {
		return
	}
	said := trim(line[n+1:])
	for i := range j.all { // most answers say the same as the one before
		if c := &j.all[i]; c.line == string(said) && c.from == j.path {
			return
		}
	}
	j.set(string(said))
}

// set takes in what a server said in Set-Cookie. What no cookie can be is passed over, as browsers
// do it.
func (j *jar) set(said string) {
	parsed, err := http.ParseSetCookie(said)
	if err != nil {
		return
	}
	text, _, _ := strings.Cut(said, ";")
	c := cookie{name: parsed.Name, path: parsed.Path, text: strings.Trim(text, " \t"), line: said, from: j.path}
	if !strings.HasPrefix(c.path, "/") {
		c.path = folder(j.path)
	}
	before := len(j.all)
	j.all = slices.DeleteFunc(j.all, func(d cookie) bool { return d.name == c.name && d.path == c.path })
	gone := parsed.MaxAge < 0 || parsed.MaxAge == 0 && !parsed.Expires.IsZero() && parsed.Expires.Before(time.Now())
	if gone && len(j.all) == before {
		return
	}
	j.age++
	if gone {
		return
	}
	if len(j.all) == mostCookies {
		j.all = j.all[:mostCookies-1]
	}
	j.all = append(j.all, c)
	slices.SortStableFunc(j.all, func(a, b cookie) int { return cmp.Compare(len(b.path), len(a.path)) })
}

// folder is the path of a cookie that has none, by that of the request (RFC 6265, section 5.1.4).
func folder(path string) string {
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		return path[:i]
	}
	return "/"
}

// within reports whether a path is below that of a cookie, or the same (RFC 6265, section 5.1.4).
func within(path, of string) bool {
	return strings.HasPrefix(path, of) && (len(path) == len(of) || of[len(of)-1] == '/' || path[len(of)] == '/')
}

// append appends what is sent back with the request under way, beside cookies of its own. Those
// that the server has set since take their place.
func (j *jar) append(b []byte, own []cookie) []byte {
	begin := len(b)
	add := func(text string) {
		if len(b) > begin {
			b = append(b, "; "...)
		}
		b = append(b, text...)
	}
	for i := range own {
		if !slices.ContainsFunc(j.all, func(c cookie) bool { return c.name == own[i].name && within(j.path, c.path) }) {
			add(own[i].text)
		}
	}
	for i := range j.all {
		if within(j.path, j.all[i].path) {
			add(j.all[i].text)
		}
	}
	return b
}

// hear takes in what an answer over HTTP/2 sets.
func (a *asker) hear(header http.Header) {
	if a.jar != nil {
		for _, said := range header["Set-Cookie"] {
			a.jar.set(said)
		}
	}
}

// values are those of all cookies, which nobody else should read.
func (j *jar) values() []string {
	var all []string
	if j != nil {
		for _, c := range j.all {
			_, value, _ := strings.Cut(c.text, "=")
			all = append(all, value)
		}
	}
	return all
}

// withoutCookies returns a header without its cookies, and these.
func withoutCookies(header http.Header) (http.Header, []cookie) {
	var cookies []cookie
	rest := make(http.Header)
	for name, values := range header {
		if http.CanonicalHeaderKey(name) != "Cookie" {
			rest[name] = values
			continue
		}
		for _, line := range values {
			for text := range strings.SplitSeq(line, ";") {
				if text = strings.Trim(text, " \t"); text != "" {
					name, _, _ := strings.Cut(text, "=")
					cookies = append(cookies, cookie{name: name, path: "/", text: text})
				}
			}
		}
	}
	return rest, cookies
}
