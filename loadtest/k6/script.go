package k6

import (
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"rampart/loadtest/inject"
)

//go:embed script.js
var source string

// gun is by when the last VU has begun and the warm-up begins, counted from the start of the
// script. k6 starts VUs one by one.
const gun = 100 * time.Millisecond

// settings is what the script is told. Times are in milliseconds.
type settings struct {
	Method      string            `json:"method"`
	URL         string            `json:"url"`
	Headers     map[string]string `json:"headers"`
	Hosts       map[string]string `json:"hosts"` // where a name leads, host:port to address:port
	Body        *string           `json:"body"`  // base64; null: none
	Timeout     string            `json:"timeout"`
	NoKeepAlive bool              `json:"noKeepAlive"`
	Insecure    bool              `json:"insecure"`
	VUs         int               `json:"vus"`
	Gun         float64           `json:"gun"`
	Warmup      float64           `json:"warmup"`
	Window      float64           `json:"window"`
	MaxDuration string            `json:"maxDuration"` // by then the last request has ended
	Stats       []string          `json:"stats"`
	Classes     []string          `json:"classes"`  // names of the classes of failure, from class 1 on
	Codes       []int             `json:"codes"`    // classes of error codes from 1000 on; 0: ask the message
	Messages    [][2]any          `json:"messages"` // part and class
	Token       string            `json:"token"`    // what the script says at an edge of the window
}

// script is the program of one level for k6.
func script(c inject.HTTPConfig, load inject.Load, token string) (io.Reader, error) {
	url, hosts := whereabouts(c)
	s := settings{
		Method:      c.Method,
		URL:         bare(url),
		Hosts:       hosts,
		Headers:     headers(c),
		Timeout:     load.Timeout.String(),
		NoKeepAlive: c.NoKeepAlive,
		Insecure:    c.Insecure,
		VUs:         load.VUs,
		Gun:         milliseconds(gun),
		Warmup:      milliseconds(load.Warmup),
		Window:      milliseconds(load.Window),
		MaxDuration: (gun + load.Warmup + load.Window + load.Timeout + 10*time.Second).String(),
		Stats:       trendStats(),
		Token:       token,
	}
	if s.Method == "" {
		s.Method = http.MethodGet
	}
	if len(c.Body) > 0 {
		body := base64.StdEncoding.EncodeToString(c.Body)
		s.Body = &body
	}
	for class := inject.OK + 1; int(class) < len(inject.Failures{}); class++ {
		s.Classes = append(s.Classes, class.String())
	}
	for code := 1000; code < 2000; code++ {
		s.Codes = append(s.Codes, int(classOfCode(code)))
	}
	for _, m := range messages {
		s.Messages = append(s.Messages, [2]any{m.Part, m.Class})
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("script for k6: %w", err)
	}
	// Twice: JSON's strings are JavaScript's, as package json escapes the two line ends that only JSON
	// allows.
	literal, err := json.Marshal(string(text))
	if err != nil {
		return nil, fmt.Errorf("script for k6: %w", err)
	}
	before, after, _ := strings.Cut(source, "JSON.parse(CONFIG)")
	return strings.NewReader(before + "JSON.parse(" + string(literal) + ")" + after), nil
}

// whereabouts returns the URL for k6, and where the name in it leads: to the one address that c has
// chosen, of which k6 would otherwise choose another at any time. A header Host is not what k6
// names to TLS, so the URL has to have that name.
func whereabouts(c inject.HTTPConfig) (*url.URL, map[string]string) {
	u, port := *c.URL, c.URL.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	to := c.Address
	if to == "" {
		to = net.JoinHostPort(u.Hostname(), port)
	}
	if name := c.Header.Get("Host"); name != "" && u.Scheme == "https" {
		u.Host = name
		if port = u.Port(); port == "" {
			port = "443"
		}
	}
	at, err := netip.ParseAddrPort(to)
	name := strings.ToLower(u.Hostname()) // k6 finds no other
	if _, is := netip.ParseAddr(name); is == nil || err != nil || at.Addr().Zone() != "" || !mappable.MatchString(name) {
		return &u, nil
	}
	return &u, map[string]string{net.JoinHostPort(name, port): to}
}

// mappable are the names for which k6 takes an address. It finds the others by itself.
var mappable = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)

// bare is u without what is not sent as part of it: user and password, which k6 would show, and the
// fragment.
func bare(u *url.URL) string {
	b := *u
	b.User, b.Fragment, b.RawFragment = nil, "", ""
	return b.String()
}

// headers are the headers of each request. k6 sends each name once, so several values become the
// list that they mean.
func headers(c inject.HTTPConfig) map[string]string {
	all := map[string]string{"Accept": "*/*"}
	if c.URL.User != nil {
		all["Authorization"] = "Basic " + credentials(c.URL.User)
	}
	for name, values := range c.Header {
		name = http.CanonicalHeaderKey(name)
		separator := ", "
		switch {
		case len(values) == 0:
			continue
		case name == "Content-Length": // k6 computes it
			continue
		case name == "Host":
			values = values[:1]
		case name == "Cookie":
			separator = "; "
		}
		all[name] = strings.Join(values, separator)
	}
	return all
}

// credentials is a user as basic authentication sends it.
func credentials(u *url.Userinfo) string {
	password, _ := u.Password()
	return base64.StdEncoding.EncodeToString([]byte(u.Username() + ":" + password))
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
