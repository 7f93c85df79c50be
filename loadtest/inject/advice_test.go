package inject

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// certificate returns one for names, valid until an instant, that nobody else vouches for.
func certificate(t *testing.T, until time.Time, names ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: names,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		NotBefore: until.Add(-time.Hour), NotAfter: until,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// TestAdvice holds that what is advised would help against what failed. INSECURE=1 is advised
// exactly where it would.
func TestAdvice(t *testing.T) {
	valid := time.Now().Add(30 * time.Minute)
	nobodys := certificate(t, valid, "app.example")
	asked := func(h *HTTP) { h.tls.ServerName = "app.example" }
	secure := func(change func(*tls.Config)) func(*testing.T) string {
		return func(t *testing.T) string {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			server.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that fail on purpose
			server.TLS = &tls.Config{Certificates: []tls.Certificate{nobodys}}
			change(server.TLS)
			server.StartTLS()
			t.Cleanup(server.Close)
			return server.URL
		}
	}
	// plain serves without TLS: it answers, or ends the connection, whatever it gets.
	plain := func(answer string) func(*testing.T) string {
		return func(t *testing.T) string {
			return raw(t, func(c net.Conn, r *bufio.Reader) {
				if line, err := r.ReadString('\n'); err == nil && strings.Contains(line, "HTTP/1.1") {
					for ; err == nil && strings.TrimSpace(line) != ""; line, err = r.ReadString('\n') {
					}
					io.WriteString(c, okEmpty)
					return
				}
				io.WriteString(c, answer)
			})
		}
	}
	trust := func(h *HTTP, c tls.Certificate) {
		h.tls.RootCAs = x509.NewCertPool()
		h.tls.RootCAs.AddCert(c.Leaf)
	}
	good, old := certificate(t, valid, "app.example"), certificate(t, time.Now().Add(-time.Minute), "app.example")
	asIs := func(*tls.Config) {}
	wants := func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }
	shows := func(cert tls.Certificate) func(*tls.Config) {
		return func(c *tls.Config) { c.Certificates = []tls.Certificate{cert} }
	}
	const needsPlain, needsTLS, needsOther = "write http:// before", "write https:// before", "a client's certificate"
	for name, tt := range map[string]struct {
		serve    func(*testing.T) string
		scheme   string // that is asked by
		insecure bool
		change   func(*HTTP)
		want     string
	}{
		"https, and it answers a handshake in HTTP": {
			serve: plain("HTTP/1.1 400 Bad Request\r\n\r\n"), scheme: "https", want: needsPlain,
		},
		"https, and it ends the handshake":         {serve: plain(""), scheme: "https", want: needsPlain},
		"https, and it answers something else":     {serve: plain("<!DOCTYPE HTML>"), scheme: "https", want: needsPlain},
		"https, insecure, and no TLS":              {serve: plain(""), scheme: "https", insecure: true, want: needsPlain},
		"http, and it speaks TLS":                  {serve: secure(asIs), scheme: "http", want: needsTLS},
		"http, and it wants TLS and a certificate": {serve: secure(wants), scheme: "http", want: needsTLS},
		"a client's certificate":                   {serve: secure(wants), insecure: true, want: needsOther},
		"a client's certificate, TLS 1.2": {
			serve:    secure(func(c *tls.Config) { wants(c); c.MaxVersion = tls.VersionTLS12 }),
			insecure: true, want: needsOther,
		},
		"unknown authority":                           {serve: secure(asIs), change: asked, want: "-cacert"},
		"unknown authority and a client's, the first": {serve: secure(wants), change: asked, want: "-cacert"},
		"another name": {
			serve: secure(shows(good)), change: func(h *HTTP) { trust(h, good) }, want: "a name that is in the certificate",
		},
		"expired": {
			serve: secure(shows(old)), change: func(h *HTTP) { trust(h, old); asked(h) }, want: "renew the certificate",
		},
		"an old version": {
			serve:    secure(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }),
			insecure: true, want: "TLS 1.2 and 1.3",
		},
		"a server that knows no such name": {
			serve: secure(func(c *tls.Config) {
				c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, io.EOF }
			}),
			insecure: true, want: "refused the handshake",
		},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := url.Parse(tt.serve(t))
			require.NoError(t, err)
			if u.Scheme = tt.scheme; u.Scheme == "" {
				u.Scheme = "https"
			}
			h, err := NewHTTP(HTTPConfig{URL: u, Insecure: tt.insecure})
			require.NoError(t, err)
			if tt.change != nil {
				tt.change(h)
			}
			err = h.Probe(t.Context(), 5*time.Second)
			require.Error(t, err)
			advice := h.Advice(t.Context(), err)
			require.Contains(t, advice, tt.want, "%v", err)
			helps := []string{"-cacert", "a name that is in the certificate", "renew the certificate"}
			require.Equal(t, slices.Contains(helps, tt.want), strings.Contains(advice, "INSECURE=1"), "%v: %s", err, advice)
		})
	}
}

// TestAdviceOnStatus holds what is advised where a server answers, and not with a success.
func TestAdviceOnStatus(t *testing.T) {
	for status, want := range map[int]string{
		301: "redirect", 401: "Authorization", 403: "Authorization", 404: "", 400: "", 503: "",
	} {
		says := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
		server := httptest.NewServer(http.HandlerFunc(says))
		h := target(t, server.URL)
		err := h.Probe(t.Context(), 5*time.Second)
		require.Error(t, err)
		advice := h.Advice(t.Context(), err)
		require.Equal(t, want == "", advice == "", "%d: %s", status, advice)
		require.Contains(t, advice, want)
		server.Close()
	}
	h := target(t, "http://no-such-name.invalid/")
	err := h.Probe(t.Context(), 5*time.Second)
	require.Contains(t, h.Advice(t.Context(), err), "no such name is known", "%v", err)
}
