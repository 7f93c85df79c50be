package k6

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"rampart/loadtest/inject"
)

// hostile tries to get out of whatever it is quoted in.
const hostile = "\"'`${exec.test.abort()}\\\r\n\u2028\u2029</script>*/ // __proto__ 💥"

// TestScript holds that nothing of a request becomes code, and everything arrives.
func TestScript(t *testing.T) {
	c := inject.HTTPConfig{
		URL: &url.URL{
			Scheme: "http", User: url.UserPassword("me", "geheim"+hostile), Host: "127.0.0.1:1",
			Path: "/" + hostile, RawQuery: "q=" + url.QueryEscape(hostile), Fragment: "f",
		},
		Method: "PUT",
		Header: http.Header{
			"__proto__": {hostile}, "Accept": {"a", "b"}, "Cookie": {"c=d", "e=f"}, "host": {"one", "two"},
			"Content-Length": {"17"}, "X-None": nil,
		},
		Body: []byte(hostile + "\x00\xff"), NoKeepAlive: true, Insecure: true,
	}
	r, err := script(c, load(7), "token")
	require.NoError(t, err)
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	text := string(b)
	require.NotContains(t, text, "geheim")
	require.Equal(t, strings.Count(source, "\n"), strings.Count(text, "\n"), "it all stays in one line")
	require.NotContains(t, text, "JSON.parse(CONFIG)")
	require.NotContains(t, text, "</script>")

	s := settingsIn(text)
	require.Equal(t, "PUT", s.Method)
	require.Equal(t, "http://127.0.0.1:1"+c.URL.RequestURI(), s.URL)
	require.Empty(t, cmp.Diff(map[string]string{
		"__proto__": hostile, "Accept": "a, b", "Cookie": "c=d; e=f", "Host": "one",
		"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte("me:geheim"+hostile)),
	}, s.Headers))
	body, err := base64.StdEncoding.DecodeString(*s.Body)
	require.NoError(t, err)
	require.Equal(t, c.Body, body)
	require.True(t, s.NoKeepAlive)
	require.True(t, s.Insecure)
	require.Equal(t, 7, s.VUs)
	require.Equal(t, 200.0, s.Window)
	require.Equal(t, "5s", s.Timeout)
	require.Len(t, s.Classes, len(inject.Failures{})-1)
	require.Len(t, s.Codes, 1000)
}

func TestScriptOfAPlainGET(t *testing.T) {
	r, err := script(inject.HTTPConfig{URL: &url.URL{Scheme: "http", Host: "host"}}, load(1), "token")
	require.NoError(t, err)
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	s := settingsIn(string(b))
	require.Equal(t, "GET", s.Method)
	require.Nil(t, s.Body)
	require.Empty(t, cmp.Diff(map[string]string{"Accept": "*/*"}, s.Headers))
}

// TestScriptSaysWhereANameLeads holds that k6 goes where the built-in engine goes, and asks there
// by the same name.
func TestScriptSaysWhereANameLeads(t *testing.T) {
	for name, tt := range map[string]struct {
		url, host, address string
		want               string
		hosts              map[string]string
	}{
		"one of several": {"http://App.example/x", "", "192.0.2.1:80", "http://App.example/x",
			map[string]string{"app.example:80": "192.0.2.1:80"}},
		"TLS": {"https://app.example:1/x", "", "[2001:db8::1]:1", "https://app.example:1/x",
			map[string]string{"app.example:1": "[2001:db8::1]:1"}},
		"a backend by name": {"https://192.0.2.1:8443/x", "app.example", "", "https://app.example/x",
			map[string]string{"app.example:443": "192.0.2.1:8443"}},
		"no TLS, no matter": {"http://192.0.2.1/x", "app.example", "", "http://192.0.2.1/x", nil},
		"an address":        {"http://192.0.2.1/x", "", "192.0.2.1:80", "http://192.0.2.1/x", nil},
		"not for k6":        {"http://my_app/x", "", "192.0.2.1:80", "http://my_app/x", nil},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := url.Parse(tt.url)
			require.NoError(t, err)
			c := inject.HTTPConfig{URL: u, Address: tt.address, Header: http.Header{}}
			if tt.host != "" {
				c.Header.Set("Host", tt.host)
			}
			r, err := script(c, load(1), "token")
			require.NoError(t, err)
			b, err := io.ReadAll(r)
			require.NoError(t, err)
			s := settingsIn(string(b))
			require.Equal(t, tt.want, s.URL)
			require.Empty(t, cmp.Diff(tt.hosts, s.Hosts))
		})
	}
}
