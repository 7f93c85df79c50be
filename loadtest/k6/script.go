package k6

import (
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"rampart/loadtest/inject"
)

//go:embed script.js
var source string

// gun is by when the last VU has begun and the warm-up begins, counted from the start of the script. k6 starts VUs one by
// one.
const gun = 100 * time.Millisecond

// settings is what the script is told. Times are in milliseconds.
type settings struct {
	Method      string            `json:"method"`
	URL         string            `json:"url"`
	Headers     map[string]string `json:"headers"`
	Body        *string           `json:"body"` // base64; null: none
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
	s := settings{
		Method:      c.Method,
		URL:         bare(c.URL),
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
	// Twice: JSON's strings are JavaScript's, as package json escapes the two line ends that only JSON allows.
	literal, err := json.Marshal(string(text))
	if err != nil {
		return nil, fmt.Errorf("script for k6: %w", err)
	}
	before, after, _ := strings.Cut(source, "JSON.parse(CONFIG)")
	return strings.NewReader(before + "JSON.parse(" + string(literal) + ")" + after), nil
}

// bare is u without what is not sent as part of it: user and password, which k6 would show, and the fragment.
func bare(u *url.URL) string {
	b := *u
	b.User, b.Fragment, b.RawFragment = nil, "", ""
	return b.String()
}

// headers are the headers of each request. k6 sends each name once, so several values become the list that they mean.
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
