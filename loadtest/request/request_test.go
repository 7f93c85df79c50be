package request

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

func TestMethod(t *testing.T) {
	for _, s := range methods {
		got, err := Method(s)
		require.NoError(t, err)
		require.Equal(t, s, got)
	}
	for _, s := range []string{"", "get", "CONNECT", "GET / HTTP/1.1"} {
		_, err := Method(s)
		require.ErrorContains(t, err, "want one of GET, HEAD", s)
	}
	require.Equal(t, http.MethodGet, MethodFor(nil))
	require.Equal(t, http.MethodPost, MethodFor([]byte{0}))
}

func TestHeader(t *testing.T) {
	want := http.Header{"Accept": {"text/html"}, "X-Token": {"a: b", ""}, "Cookie": {"a=b; c=d"}}
	const lines = "accept: text/html\r\n\nX-Token:a: b \nx-token:\n\t\nCookie: a=b; c=d\n"
	got, err := Header(lines)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(want, got))
	got, err = Header("@" + file(t, lines))
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(want, got))
	got, err = Header("\n")
	require.NoError(t, err)
	require.Nil(t, got)
	for in, want := range map[string]string{
		"topsecret":                "line 1 has no colon",
		"A: b\ntopsecret":          "line 2 has no colon",
		" A: topsecret":            "line 1 begins with a blank",
		"Bearer topsecret: A":      "line 1 has no name before its colon",
		": topsecret":              "line 1 has no name before its colon",
		"A: topsecret\x01":         "line 1 holds a control character",
		"@topsecret":               "no such file",
		"@" + t.TempDir():          "it is no file",
		"@" + file(t, "topsecret"): "line 1 has no colon",
	} {
		_, err := Header(in)
		require.ErrorContains(t, err, want, in)
		require.ErrorContains(t, err, "want lines of the form Name: value")
		require.NotContains(t, err.Error(), "topsecret")
	}
}

func TestBody(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "a=b\n": "a=b\n", "{\"a\": 1}": "{\"a\": 1}", "@" + file(t, "\x00\n"): "\x00\n",
	} {
		got, err := Body(in)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
	for in, want := range map[string]string{
		`@{"password":"topsecret"}`: "no such file", "@/dev/zero": "it is no file", "@" + t.TempDir(): "it is no file",
	} {
		_, err := Body(in)
		require.ErrorContains(t, err, "want a text, or @FILE with the name of a file of at most 256 MB: "+want)
		require.NotContains(t, err.Error(), "topsecret")
	}
}

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// pair returns a certificate and its key, in PEM.
func pair(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, private.Public(), private)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}

func TestCertificates(t *testing.T) {
	cert, key := pair(t)
	other, otherKey := pair(t)
	names := Names{Cert: "-cert", Key: "-key", CACert: "-cacert"}
	both := file(t, cert+key)
	for _, good := range []Certificates{
		{Cert: file(t, cert), Key: file(t, key)}, {Cert: both}, {Cert: both, Key: both}, {Cert: file(t, key+cert+other)},
	} {
		client, authorities, err := good.Read(names)
		require.NoError(t, err)
		require.NotNil(t, client)
		require.Nil(t, authorities)
	}
	client, authorities, err := Certificates{CACert: file(t, "# two\n"+cert+other)}.Read(names)
	require.NoError(t, err)
	require.Nil(t, client)
	require.True(t, authorities.Equal(authorities.Clone()))
	client, authorities, err = Certificates{}.Read(names)
	require.NoError(t, err)
	require.Nil(t, client)
	require.Nil(t, authorities)

	const (
		wantCert = "-cert: want a file with the certificate of the client, in PEM: "
		wantKey  = "-key: want a file with the private key of the client, in PEM: "
		wantCA   = "-cacert: want a file with the certificates of authorities, in PEM: "
		misfit   = " does not fit the certificate of -cert: tls: private key does not match"
	)
	locked := strings.ReplaceAll(key, "PRIVATE KEY", "ENCRYPTED PRIVATE KEY")
	broken := strings.Replace(cert, "\n", "\nAAAA", 1)
	for _, tt := range []struct {
		bad  Certificates
		want string
	}{
		{Certificates{Cert: file(t, cert)}, "-cert without -key: want the file with the private key there"},
		{Certificates{Key: file(t, key)}, "-key without -cert: want the file with the certificate there"},
		{Certificates{Cert: "topsecret"}, wantCert + "no such file"},
		{Certificates{Cert: t.TempDir()}, wantCert + "it is no file"},
		{Certificates{Cert: file(t, "topsecret")}, wantCert + "it holds none"},
		{Certificates{Cert: file(t, key)}, wantCert + "it holds none"},
		{Certificates{Cert: both, Key: "topsecret"}, wantKey + "no such file"},
		{Certificates{Cert: both, Key: file(t, "topsecret")}, wantKey + "it holds none"},
		{Certificates{Cert: both, Key: file(t, otherKey)}, "-key" + misfit},
		{Certificates{Cert: file(t, cert+otherKey)}, "-cert" + misfit},
		{Certificates{Cert: both, Key: file(t, locked)}, "-key: the private key needs a password: want one that needs none"},
		{Certificates{Cert: file(t, broken+key)}, "-cert does not fit the certificate of -cert"},
		{Certificates{CACert: "topsecret"}, wantCA + "no such file"},
		{Certificates{CACert: file(t, key)}, wantCA + "it holds none"},
		{Certificates{CACert: file(t, cert+broken)}, wantCA + "certificate 2"},
	} {
		_, _, err := tt.bad.Read(names)
		require.ErrorContains(t, err, tt.want)
		require.NotContains(t, err.Error(), "topsecret")
		require.NotContains(t, err.Error(), "\n")
		require.NotContains(t, err.Error(), key[40:60])
	}
}

// FuzzHeader holds that what is taken for header lines can be sent as such, and that no error shows
// any of them.
func FuzzHeader(f *testing.F) {
	for _, s := range []string{"A: b", "A: b\nC:d", ":", "A", " A: b", "A: b\x01", "A : b", "\xff: \xff", "A:\tb\t"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.HasPrefix(s, "@") {
			return // a file
		}
		header, err := Header(s)
		if err != nil {
			require.Contains(t, err.Error(), "want lines of the form Name: value, of which nothing is shown here")
			return
		}
		lines := 0
		for name, values := range header {
			require.Equal(t, http.CanonicalHeaderKey(name), name)
			for _, v := range values {
				lines++
				require.NotContains(t, v, "\n")
				require.NotContains(t, v, "\r")
			}
		}
		require.LessOrEqual(t, lines, strings.Count(s, "\n")+1)
	})
}
