package inject

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestJar(t *testing.T) {
	const page = "/shop/cart"
	for _, tt := range []struct {
		says []string
		path string // that is asked for then
		want string
	}{
		{nil, page, ""},
		{[]string{"a=b"}, page, "a=b"},
		{[]string{"a=b", "c=d; HttpOnly; Secure; SameSite=Lax; Domain=elsewhere.example"}, page, "a=b; c=d"},
		{[]string{"a=b", "a=c"}, page, "a=c"},
		{[]string{"a=b"}, "/shop", "a=b"},
		{[]string{"a=b"}, "/shop/else/where", "a=b"},
		{[]string{"a=b"}, "/shopping", ""},
		{[]string{"a=b"}, "/", ""},
		{[]string{"a=b; Path=/"}, "/x", "a=b"},
		{[]string{"a=b; Path=/x"}, "/x/y", "a=b"},
		{[]string{"a=b; Path=/x"}, "/xy", ""},
		{[]string{"a=b; Path=x"}, page, "a=b"},
		{[]string{"a=root; Path=/", "a=shop; Path=/shop"}, page, "a=shop; a=root"},
		{[]string{"a=b", "a=; Max-Age=0"}, page, ""},
		{[]string{"a=b", "a=; Max-Age=-1"}, page, ""},
		{[]string{"a=b", "a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"}, page, ""},
		{[]string{"a=b", "a=c; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60"}, page, "a=c"},
		{[]string{"a=b", "a=; Max-Age=0; Path=/"}, page, "a=b"},
		{[]string{"a=b", "a=; Max-Age=0", "a=b"}, page, "a=b"},
		{[]string{`a="b c"`}, page, `a="b c"`},
		{[]string{"a="}, page, "a="},
		{[]string{"", "=", "nonsense", "a b=c", "a=b\x01"}, page, ""},
	} {
		j := jar{path: page}
		for _, said := range tt.says {
			j.hear([]byte("set-Cookie: " + said))
		}
		j.path = tt.path
		require.Equal(t, tt.want, string(j.append(nil, nil)), "%q", tt.says)
	}
}

func TestJarOfOwnCookies(t *testing.T) {
	header, own := withoutCookies(http.Header{"cookie": {"a=1; b=2;", "c"}, "X": {"y"}})
	require.Equal(t, http.Header{"X": {"y"}}, header)
	j := jar{path: "/shop"}
	require.Equal(t, "a=1; b=2; c", string(j.append(nil, own)))
	j.set("b=3")
	require.Equal(t, "a=1; c; b=3", string(j.append(nil, own)), "what the server sets takes its place")
	j.path = "/shop"
	j.set("b=; Max-Age=0")
	require.Equal(t, "a=1; b=2; c", string(j.append(nil, own)))
}

func TestJarIsFull(t *testing.T) {
	j := jar{path: "/"}
	for i := range 3 * mostCookies {
		j.set(fmt.Sprintf("c%d=%s", i, strings.Repeat("x", 10)))
	}
	require.Len(t, j.all, mostCookies)
	require.Contains(t, string(j.append(nil, nil)), fmt.Sprintf("c%d=", 3*mostCookies-1), "the newest is there")
}

// TestJarHearsNothingElse holds that no other header is taken for a cookie.
func TestJarHearsNothingElse(t *testing.T) {
	j := jar{path: "/"}
	for _, line := range []string{"Set-Cookie2: a=b", "Set-Cookie", "X-Set-Cookie: a=b", "Cookie: a=b", "Set-Cookie:"} {
		j.hear([]byte(line))
	}
	require.Empty(t, j.all)
	require.Zero(t, j.age)
	j.hear([]byte("SET-COOKIE:a=b"))
	require.Equal(t, 1, j.age)
	j.hear([]byte("SET-COOKIE:\ta=b "))
	require.Equal(t, 1, j.age, "nothing is new")
}

// counting is a server whose every answer sets a cookie: how many requests of whom it knows there
// were. It counts those who did not send back what they were told last.
type counting struct {
	mu     sync.Mutex
	visits map[string]int
	wrong  int
	logins int
}

func (s *counting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	who, err := r.Cookie("who")
	switch {
	case r.URL.Path == "/login":
		s.logins++
		if r.Header.Get("X-Key") != "topsecret" {
			http.Error(w, "no entry for "+r.Header.Get("X-Key"), http.StatusForbidden)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "who", Value: fmt.Sprintf("vu%d", s.logins), Path: "/"})
		return
	case err != nil:
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	n, err := r.Cookie("n")
	if known := s.visits[who.Value]; err == nil && n.Value != fmt.Sprint(known) || err != nil && known > 0 {
		s.wrong++
	}
	s.visits[who.Value]++
	http.SetCookie(w, &http.Cookie{Name: "n", Value: fmt.Sprint(s.visits[who.Value])})
	io.WriteString(w, "welcome, "+who.Value)
}

// login is the first request to a counting server.
func login(t *testing.T, key string) []Request {
	t.Helper()
	return []Request{{Method: http.MethodPost, URL: uri(t, "/login?vu={vu}"), Numbered: true, Place: "first.txt:1",
		Header: http.Header{"X-Key": {key}}}}
}

// TestCookies holds that each VU logs in once, keeps its own cookies, sends back the last of them,
// and keeps them for the next run.
func TestCookies(t *testing.T) {
	var server counting
	eachProtocol(t, func(w http.ResponseWriter, r *http.Request) { server.ServeHTTP(w, r) },
		func(t *testing.T, target func(func(*HTTPConfig)) *HTTP) {
			server = counting{visits: make(map[string]int)}
			h := target(func(c *HTTPConfig) { c.Cookies, c.First = true, login(t, "topsecret") })
			require.NoError(t, h.Probe(t.Context(), 5*time.Second))
			require.Contains(t, h.Example(), `"welcome, ***"`, "a cookie is the server's secret")
			total := 1
			for _, vus := range []int{3, 2, 5} {
				m, err := Run(t.Context(), h, Load{VUs: vus, Window: 50 * time.Millisecond, Timeout: 5 * time.Second})
				require.NoError(t, err)
				require.Zero(t, m.Failures.Total(), "%v", m.Failures.ByName())
				total += int(m.Completed)
			}
			server.mu.Lock()
			defer server.mu.Unlock()
			require.Equal(t, 1+5, server.logins, "the probe, and each VU once")
			require.Len(t, server.visits, 1+5)
			sum := 0
			for _, n := range server.visits {
				sum += n
			}
			require.Equal(t, total, sum)
			require.Zero(t, server.wrong)
		})
}

// TestFirstRequestFails holds that a run ends with what the server said, and shows no secret.
func TestFirstRequestFails(t *testing.T) {
	var server counting
	eachProtocol(t, func(w http.ResponseWriter, r *http.Request) { server.ServeHTTP(w, r) },
		func(t *testing.T, target func(func(*HTTPConfig)) *HTTP) {
			server = counting{visits: make(map[string]int)}
			h := target(func(c *HTTPConfig) { c.Cookies, c.First = true, login(t, "topsecret2") })
			err := h.Probe(t.Context(), 5*time.Second)
			require.EqualError(t, err, `first request 1 of 1, POST /login?vu={vu} (first.txt:1): status: the server answered `+
				`403, not 2xx: "no entry for ***"`)
			require.Contains(t, h.Advice(t.Context(), err), "say who asks")
			_, err = Run(t.Context(), h, load(2))
			require.ErrorContains(t, err, "status: the server answered 403")
			require.ErrorContains(t, err, "of VU ")
			_, err = Open(t.Context(), h, 2, 5*time.Second)
			require.ErrorContains(t, err, "status: the server answered 403")
			require.NotContains(t, err.Error(), "topsecret2")
		})
}

// TestFirstRequestsAreInterrupted holds that a run that is canceled while VUs log in ends soon.
func TestFirstRequestsAreInterrupted(t *testing.T) {
	eachProtocol(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		func(t *testing.T, target func(func(*HTTPConfig)) *HTTP) {
			ctx, cancel := context.WithCancelCause(t.Context())
			why := errors.New("enough")
			defer time.AfterFunc(50*time.Millisecond, func() { cancel(why) }).Stop()
			h := target(func(c *HTTPConfig) { c.First = login(t, "x") })
			begun := time.Now()
			_, err := Run(ctx, h, Load{VUs: 100, Window: time.Minute, Timeout: time.Minute})
			require.ErrorIs(t, err, why)
			require.Less(t, time.Since(begun), 5*time.Second)
		})
}
