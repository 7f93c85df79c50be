package inject

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseAddress(t *testing.T) {
	for in, want := range map[string]string{
		"localhost":                         "http://localhost",
		" localhost:8080\n":                 "http://localhost:8080",
		"http://h/p#part":                   "http://h/p",
		"http://h#part":                     "http://h",
		"http://h/p?q=1#part?x":             "http://h/p?q=1",
		"host:1/p?u=http://x":               "http://host:1/p?u=http://x",
		"host/p?u=http://me@x":              "http://host/p?u=http://me@x",
		"HTTP://Host:80/":                   "http://Host/",
		"https://h:443":                     "https://h",
		"https://h:80":                      "https://h:80",
		"http://h:/":                        "http://h/",
		"http://h:0080/":                    "http://h/",
		"http://example.org.:8080/":         "http://example.org.:8080/",
		"http://[::1]:80":                   "http://[::1]",
		"http://[fe80::1%25lo]:1/":          "http://[fe80::1%25lo]:1/",
		"[fe80::1%lo]:1":                    "http://[fe80::1%25lo]:1",
		"http://bücher.example/":            "http://xn--bcher-kva.example/",
		"http://B%C3%BCcher.example:8080/":  "http://xn--bcher-kva.example:8080/",
		"http://例え。テスト/":                    "http://xn--r8jz45g.xn--zckzah/",
		"my_service:8080":                   "http://my_service:8080",
		"http://h/a b/é?q=ü v&r=a|b":        "http://h/a%20b/%C3%A9?q=%C3%BC%20v&r=a|b",
		"http://h/a%2Fb/é":                  "http://h/a%2Fb/%C3%A9",
		"http://h/{id}/x^y":                 "http://h/%7Bid%7D/x%5Ey",
		"http://h?100%":                     "http://h?100%",
		"http://h/@user/x":                  "http://h/@user/x",
		"http://h/?mail=a@b":                "http://h/?mail=a@b",
		"http://h:8080/?mail=a@b":           "http://h:8080/?mail=a@b",
		"http://localhost:3000/@vite/x":     "http://localhost:3000/@vite/x",
		"http://127.0.0.1:3000/lib@1/x":     "http://127.0.0.1:3000/lib@1/x",
		"http://me:secret@h/":               "http://me:secret@h/",
		"http://me@h/":                      "http://me@h/",
		"http://me:p@ss:w%2Ford\"^ü@h:1/a@": "http://me:p%40ss%3Aw%2Ford%22%5E%C3%BC@h:1/a@",
	} {
		u, socket, err := ParseAddress(in)
		require.NoError(t, err, in)
		require.Empty(t, socket, in)
		require.Equal(t, want, u.String(), in)
		_, err = NewHTTP(HTTPConfig{URL: u})
		require.NoError(t, err, in)
	}
	for in, want := range map[string][2]string{
		"unix:/run/app.sock":             {"/run/app.sock", "http://localhost"},
		"unix:///run/app.sock:/a b?c#d":  {"/run/app.sock", "http://localhost/a%20b?c"},
		"unix:relative.sock:/http://x/y": {"relative.sock", "http://localhost/http://x/y"},
	} {
		u, socket, err := ParseAddress(in)
		require.NoError(t, err, in)
		require.Equal(t, want, [2]string{socket, u.String()}, in)
	}
}

func TestParseAddressRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "the host is missing",
		"http://":                   "the host is missing",
		"http:///p":                 "the host is missing",
		":8080":                     "the host is missing",
		"unix:":                     "the path of the socket is missing",
		"http:/h/":                  "a slash is missing",
		"ftp://h/":                  "the scheme is neither http nor https",
		"http://h:x/":               "the port is no number",
		"http://h:0/":               "the port is no number",
		"http://h:65536/":           "the port is no number",
		"http://h:-1/":              "the port is no number",
		"::1":                       "an IPv6 address goes into brackets",
		"http://fe80::1:80/":        "an IPv6 address goes into brackets",
		"http://[::1/":              "no IPv6 address in the brackets",
		"http://[127.0.0.1]/":       "no IPv6 address in the brackets",
		"http://[h]/":               "no IPv6 address in the brackets",
		"http://[::1]x/":            "something else than a port follows the brackets",
		"http://a b/":               "the host holds a character",
		"http://a<b/":               "the host holds a character",
		"http://%zz/":               "a % in the host",
		"http://h/%zz":              "a % in the path",
		"http://h/100%":             "a % in the path",
		`http://h\p`:                `write / or %5C`,
		"http://h/a\nb":             "control character",
		"http://xn--ü/":             "no name that DNS can have",
		"http://me:12/34@h/":        "it can be read in two ways",
		"http://me:12/@h/":          "it can be read in two ways",
		"http://me:12?34@h/":        "it can be read in two ways",
		"http://me:12#34@h/":        "it can be read in two ways",
		"http://me:pa/ss@h/":        "it can be read in two ways",
		"http://me:100%secret@h/":   "a % in user or password",
		"user:secret@host:x":        "the port is no number",
		"http://user:se\x01cret@h/": "control character",
	} {
		_, _, err := ParseAddress(in)
		require.ErrorContains(t, err, want, in)
	}
}

// FuzzParseAddress holds that what is taken is one address in one form, that can be sent, and that
// what is shown of any text has nothing before its last @.
func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"http://h/p#part", "host:1/p?u=http://x", "[fe80::1%25lo]:1", "http://me:12/34@h/",
		"bücher.example/é b?ü",
		"unix:/s:/a", "me:secret", "http://[::1]:80/%2F?%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		const secret = "topsecret"
		require.NotContains(t, Mask("http://"+secret+s+"@h"), secret)
		require.NotContains(t, Mask("me:"+secret), secret)
		u, socket, err := ParseAddress(s)
		if err != nil {
			return
		}
		if h, err := NewHTTP(HTTPConfig{URL: u, Socket: socket}); err == nil {
			require.NotContains(t, h.String(), "\n")
		} else if socket == "" {
			require.ErrorContains(t, err, "HTTP cannot carry", s)
		}
		again, _, err := ParseAddress(u.String())
		require.NoError(t, err, u)
		require.Equal(t, u.String(), again.String())
	})
}

func TestMask(t *testing.T) {
	for in, want := range map[string]string{
		"http://h:80/p?q=1":           "http://h:80/p?q=1",
		"http://me:secret@h/":         "http://xxxxx@h/",
		"me:se@cret@h:x":              "xxxxx@h:xxxxx",
		"http://me:secret":            "http://me:xxxxx",
		"http://me:sec/ret":           "http://me:xxxxx",
		"me:secret":                   "me:xxxxx",
		"http:me:secret":              "http:xxxxx",
		"http://me:12/34@h/":          "http://xxxxx@h/",
		"ht tp://me:secret@h":         "xxxxx@h",
		"http://[::1]:secret/":        "http://[::1]:xxxxx",
		"http://[me:secret/":          "http://[me:xxxxx",
		"http://[me:secret]/":         "http://[me:xxxxx",
		"http://[::1]:80/":            "http://[::1]:80/",
		"https://h/?u=http://x/?a=b:": "https://h/?u=http://x/?a=b:",
	} {
		require.Equal(t, want, Mask(in), in)
	}
}

// TestNamesOnTheWire holds what a server gets to see of names: the header Host and the name in TLS,
// both in ASCII, without the zone and the default port, and those of the backend where a header
// Host names one.
func TestNamesOnTheWire(t *testing.T) {
	for name, tt := range map[string]struct {
		host, header string
		want, sni    string
	}{
		"Unicode":           {host: "bücher.example", want: "xn--bcher-kva.example:PORT", sni: "xn--bcher-kva.example"},
		"trailing dot":      {host: "example.org.", want: "example.org.:PORT", sni: "example.org"},
		"name of a backend": {host: "127.0.0.1", header: "app.example", want: "app.example", sni: "app.example"},
		"with a port": {host: "127.0.0.1", header: "app.example:8443", want: "app.example:8443",
			sni: "app.example"},
		"Unicode of a backend": {host: "127.0.0.1", header: "bücher.example", want: "xn--bcher-kva.example",
			sni: "xn--bcher-kva.example"},
		"an address has no SNI": {host: "127.0.0.1", want: "127.0.0.1:PORT"},
	} {
		for _, scheme := range []string{"http", "https"} {
			t.Run(name+"/"+scheme, func(t *testing.T) {
				type asked struct{ host, sni string }
				got := make(chan asked, 1<<16)
				server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					a := asked{host: r.Host}
					if r.TLS != nil {
						a.sni = r.TLS.ServerName
					}
					got <- a
				}))
				server.EnableHTTP2 = true
				if scheme == "https" {
					server.StartTLS()
				} else {
					server.Start()
				}
				defer server.Close()
				address := server.Listener.Addr().String()
				_, port, err := net.SplitHostPort(address)
				require.NoError(t, err)
				u, _, err := ParseAddress(scheme + "://" + tt.host + ":" + port)
				require.NoError(t, err)
				want := asked{host: strings.Replace(tt.want, "PORT", port, 1)}
				if scheme == "https" {
					want.sni = tt.sni
				}
				for _, noHTTP2 := range []bool{false, true} {
					c := HTTPConfig{URL: u, Address: address, Insecure: true, NoHTTP2: noHTTP2}
					if tt.header != "" {
						c.Header = http.Header{"Host": {tt.header}}
					}
					h, err := NewHTTP(c)
					require.NoError(t, err)
					require.NoError(t, h.Probe(t.Context(), 5*time.Second))
					require.Equal(t, want, <-got)
					m, err := Run(t.Context(), h, Load{VUs: 1, Window: 10 * time.Millisecond, Timeout: 5 * time.Second})
					require.NoError(t, err)
					require.Zero(t, m.Failures.Total())
					for range m.Completed {
						require.Equal(t, want, <-got)
					}
				}
			})
		}
	}
}

// TestZone loads a server by an address with a zone, which the VUs need as well as the probe.
func TestZone(t *testing.T) {
	var at string
	interfaces, err := net.Interfaces()
	require.NoError(t, err)
	for _, i := range interfaces {
		addresses, _ := i.Addrs()
		for _, a := range addresses {
			if ip := a.(*net.IPNet).IP; ip.To4() == nil && (ip.IsLinkLocalUnicast() || at == "" && ip.IsLoopback()) {
				at = "[" + ip.String() + "%25" + i.Name + "]"
			}
		}
	}
	if at == "" {
		t.Skip("no IPv6 here")
	}
	l, err := net.Listen("tcp", "[::]:0")
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {}))
	server.Listener.Close()
	server.Listener = l
	server.Start()
	defer server.Close()
	u, _, err := ParseAddress(fmt.Sprintf("http://%s:%d/", at, l.Addr().(*net.TCPAddr).Port))
	require.NoError(t, err)
	for _, probed := range []bool{true, false} {
		for _, blocking := range []bool{true, false} {
			h, err := NewHTTP(HTTPConfig{URL: u})
			require.NoError(t, err)
			h.blocking = blocking
			if probed {
				require.NoError(t, h.Probe(t.Context(), 5*time.Second))
			}
			m, err := Run(t.Context(), h, Load{VUs: 2, Window: 10 * time.Millisecond, Timeout: 5 * time.Second})
			require.NoError(t, err)
			require.Zero(t, m.Failures.Total(), "%v", m.Failures.ByName())
			require.Positive(t, m.Completed)
			require.Empty(t, h.Others())
		}
	}
}

// TestOneOfSeveralAddresses holds that all VUs go to one address of a name, in all levels, and that
// the others are known.
func TestOneOfSeveralAddresses(t *testing.T) {
	ips, err := net.LookupHost("localhost")
	require.NoError(t, err)
	if len(ips) < 2 {
		t.Skipf("localhost has only the address %v here", ips)
	}
	var served [2]string
	l4, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := l4.Addr().(*net.TCPAddr).Port
	l6, err := net.Listen("tcp", fmt.Sprintf("[::1]:%d", port))
	require.NoError(t, err)
	hits := make(chan int, 1<<16)
	for i, l := range []net.Listener{l4, l6} {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits <- i }))
		server.Listener.Close()
		server.Listener = l
		server.Start()
		defer server.Close()
		served[i] = l.Addr().String()
	}
	u, _, err := ParseAddress(fmt.Sprintf("localhost:%d", port))
	require.NoError(t, err)
	for _, probed := range []bool{true, false} {
		for _, blocking := range []bool{true, false} {
			h, err := NewHTTP(HTTPConfig{URL: u})
			require.NoError(t, err)
			h.blocking = blocking
			if probed {
				require.NoError(t, h.Probe(t.Context(), 5*time.Second))
				<-hits
			}
			for range 2 {
				m, err := Run(t.Context(), h, Load{VUs: 4, Window: 10 * time.Millisecond, Timeout: 5 * time.Second})
				require.NoError(t, err)
				require.Zero(t, m.Failures.Total())
				require.Contains(t, served, h.Address())
				require.Len(t, h.Others(), 1)
				for range m.Completed {
					require.Equal(t, h.Address(), served[<-hits])
				}
			}
		}
	}
}

// TestProbeShowsNoSecret has a server that sends back all it was sent, where a client may show it.
func TestProbeShowsNoSecret(t *testing.T) {
	for name, answer := range map[string]string{
		"status":    "HTTP/1.1 401 No\r\nContent-Length: %d\r\n\r\n%s",
		"malformed": "%[2]s\r\n\r\n",
		"header":    "HTTP/1.1 200 OK\r\n%[2]s\r\n\r\n",
	} {
		for _, secret := range []string{"Bearer topsecret", "topsecret", "se", "user", "dXNlcjpodXNoaHVzaA==", "hushhush",
			`pw=x"topsecret`} {
			t.Run(name+"/"+secret, func(t *testing.T) {
				base := raw(t, func(c net.Conn, r *bufio.Reader) {
					if read(r) {
						said := "wrong " + secret
						fmt.Fprintf(c, answer, len(said), said)
					}
				})
				u, err := url.Parse(strings.Replace(base, "//", "//user:hushhush@", 1))
				require.NoError(t, err)
				h, err := NewHTTP(HTTPConfig{URL: u, Method: http.MethodPost, Header: http.Header{"X-Token": {"Bearer topsecret"}},
					Body: []byte(`pw=x"topsecret`)})
				require.NoError(t, err)
				err = h.Probe(t.Context(), 5*time.Second)
				require.Error(t, err)
				for _, never := range []string{"topsecret", "hushhush", "dXNlcjpodXNo"} {
					require.NotContains(t, err.Error(), never)
				}
			})
		}
	}
}
