package request

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"rampart/loadtest/inject"
)

// parse parses a text whose only other file is order.json.
func parse(text string) (Targets, error) {
	return parseTargets("f", []byte(text), func(path string) ([]byte, error) {
		if path != "order.json" {
			return nil, os.ErrNotExist
		}
		return []byte(`{"id": "{seq}"}`), nil
	})
}

func TestTargetsOfBothFormats(t *testing.T) {
	order := `{"id": "{seq}"}`
	want := []inject.Request{
		{Method: http.MethodGet, Name: "GET /", URL: &url.URL{Path: "/"}, Place: "f:1"},
		{
			Method:   http.MethodPost,
			Name:     "POST /orders?vu={vu}",
			URL:      &url.URL{Path: "/orders", RawQuery: "vu={vu}"},
			Numbered: true,
			Weight:   3,
			Header:   http.Header{"Content-Type": {"application/json"}, "X-Token": {"a", "b"}},
			Body:     []byte(order),
		},
		{Method: http.MethodGet, Name: "GET /a b/{vu}", URL: &url.URL{Path: "/a b/{vu}"}, Numbered: true,
			Header: http.Header{"Accept": {"*/*"}}},
		{Method: http.MethodDelete, Name: "DELETE /x", URL: &url.URL{Path: "/x"}, Numbered: true,
			Header: http.Header{"Idempotency-Key": {"{seq}"}}},
		{Method: http.MethodPut, Name: "PUT /y?", URL: &url.URL{Path: "/y", ForceQuery: true}, Body: []byte{}},
	}
	const text = `GET /

# an order

POST /orders?vu={vu}#part
content-type: application/json
# weight: 3
X-Token: a
# and another
X-Token:b
@order.json
GET /a b/{vu}
Accept: */*

DELETE /x
Idempotency-Key: {seq}
PUT /y?
@empty
`
	got, err := parseTargets("f", []byte(text), func(path string) ([]byte, error) {
		return map[string][]byte{"order.json": []byte(order)}[path], nil
	})
	require.NoError(t, err)
	require.Nil(t, got.Base)
	require.Equal(t, "f:7", got.Weighed)
	ignorePlace := func(r []inject.Request) (all []inject.Request) {
		for _, one := range r {
			one.Place = ""
			all = append(all, one)
		}
		return all
	}
	require.Empty(t, cmp.Diff(ignorePlace(want), ignorePlace(got.Requests)))
	var places []string
	for _, r := range got.Requests {
		places = append(places, r.Place)
	}
	require.Equal(t, []string{"f:1", "f:5", "f:12", "f:15", "f:17"}, places)

	ofWindows := "\ufeff" + strings.ReplaceAll(text, "\n", "\r\n")
	windows, err := parseTargets("f", []byte(ofWindows), func(path string) ([]byte, error) {
		return map[string][]byte{"order.json": []byte(order)}[path], nil
	})
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(got, windows))

	lines := `{"url": "/"}

{"method": "POST", "url": "/orders?vu={vu}", "weight": 3,
 "header": {"content-type": ["application/json"], "X-Token": ["a", "b"]},
 "body": "BODY"}
{"method": "GET", "url": "/a b/{vu}", "header": {"Accept": "*/*"}}
{"method": "DELETE", "url": "/x", "header": {"Idempotency-Key": ["{seq}"]}}
{"method": "PUT", "url": "/y?", "body": ""}
`
	lines = strings.ReplaceAll(lines, ",\n", ",")
	lines = strings.ReplaceAll(lines, "BODY", base64.StdEncoding.EncodeToString([]byte(order)))
	got, err = parse(lines)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(ignorePlace(want), ignorePlace(got.Requests)))
	require.Equal(t, "f:6", got.Requests[4].Place)
}

func TestTargetsOfOneServer(t *testing.T) {
	got, err := parse("GET http://Example.org:80/a?b\nGET /c\nGET HTTP://me:topsecret@example.org/d\n")
	require.NoError(t, err)
	require.Equal(t, "http://example.org", got.Base.String())
	require.Equal(t, "f:1", got.BaseAt)
	require.Empty(t, got.Requests[0].URL.Host)
	require.Equal(t, http.Header{"Authorization": {"Basic bWU6dG9wc2VjcmV0"}}, got.Requests[2].Header)
	var names []string
	for _, r := range got.Requests {
		names = append(names, r.Name)
	}
	require.Equal(t, []string{"GET /a?b", "GET /c", "GET /d"}, names, "a name has no password")
	require.Equal(
		t,
		[]string{"/", "/?q", "/x/?#"},
		[]string{pathOf("http://h"), pathOf("http://me:pw@h?q"), pathOf("http://h/x/?#")},
	)
}

func TestTargetsRefuse(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "f: there is no request in it: want lines such as GET /path",
		"# nothing\n\n":                    "f: there is no request in it",
		"/path\n":                          "f:1: want a method in capitals and a URL, such as GET /path",
		"GET\n":                            "f:1: want a method in capitals and a URL",
		"get /\n":                          "f:1: want a method in capitals and a URL",
		"GET /\n\nA: topsecret\n":          "f:3: want a method in capitals and a URL",
		"FETCH /\n":                        "f:1: method: want one of GET, HEAD",
		"GET path\n":                       "f:1: URL without a scheme: want an absolute URL, or its path",
		"GET example.org/topsecret\n":      "f:1: URL without a scheme: want an absolute URL, or its path",
		"GET /%topsecret\n":                "f:1: URL: a % in the path begins no escape",
		"GET ftp://h/\n":                   "f:1: URL: the scheme is neither http nor https; want an absolute URL",
		"GET unix:///s\n":                  "f:1: URL: it is a unix socket",
		"GET /{id}\n":                      "f:1: placeholder {id} in the URL: want {vu} or {seq}, or %7B for a brace",
		"GET /\nGET /?a={VU}\n":            "f:2: placeholder {VU} in the URL",
		"GET http://a/\nGET http://b/\n":   "f:2: URL at http://b, and at http://a in line 1: want one server",
		"GET http://a/\nGET https://a/\n":  "f:2: URL at https://a, and at http://a in line 1",
		"GET http://a/\nGET http://a:81/":  "f:2: URL at http://a:81, and at http://a in line 1",
		"GET /\nX-A topsecret\n":           "f:2: header line has no colon: want lines of the form Name: value",
		"GET /\n A: topsecret\n":           "f:2: header line begins with a blank",
		"GET /\n@missing\n":                "f:2: file of a body: file does not exist",
		"GET /\n@order.json\n@order.json":  "f:3: a second body of one request",
		"GET /\n@order.json\nA: topsecret": "f:3: a header behind the body",
		"# weight: 3\nGET /\n":             "f:1: a weight behind no request: want it behind the line of the request",
		"GET /\n# weight: many\n":          "f:2: weight: want a whole number from 1 to 1073741824",
		"GET /\n#Weight=0\n":               "f:2: weight: want a whole number from 1",
		"GET /\n# weight: 1.5\n":           "f:2: weight: want a whole number from 1",
		"GET /\n# weight: 1\n# weight: 1":  "f:3: a second weight of one request",

		`{"url": "/"}` + strings.Repeat("\n", 16) + `{"url": "/"`: "f:17: bad JSON: unexpected EOF",
		`{"url": "/"} {"url": "/topsecret"}`:                      "f:1: bad JSON: something follows the object",
		`{"url": "/"}}`:                                           "f:1: bad JSON: something follows the object",
		`{"url": "/", "weigth": 3}`:                               `f:1: bad JSON: json: unknown field "weigth"`,
		`{"url": "/", "weight": "topsecret"}`:                     "f:1: bad JSON: weight: want method, url and body",
		`{"url": "/", "weight": 1.5}`:                             "f:1: bad JSON: weight: want",
		`{"url": "/", "weight": 0}`:                               "f:1: weight: want a whole number from 1",
		`{"url": "/", "body": "topsecret!"}`:                      "f:1: bad JSON: field body: want base64",
		`{"url": "/", "header": {"A": 1}}`:                        "f:1: bad JSON: field header: want lists of strings",
		`{"url": "/", "header": {"A": ["topsecret\nB: c"]}}`:      "f:1: header: want names of letters",
		`{"url": "/", "header": {"A:b": ["topsecret"]}}`:          "f:1: header: want names of letters",
		`{"method": "GET"}`:                                       "f:1: URL without a scheme",
		"{\"url\": \"/\"}\nGET /\n":                               "f:2: bad JSON: invalid character",
		"{\"url\": \"/\"}\n[1]\n":                                 "f:2: bad JSON: no object: want",
		"{\"url\": \"/\"}\n# comment\n":                           "f:2: bad JSON: invalid character",
	} {
		_, err := parse(text)
		require.ErrorContains(t, err, want, "%q", text)
		require.NotContains(t, err.Error(), "topsecret", "%q", text)
		require.NotContains(t, err.Error(), "\n", "%q", text)
	}
}

// TestBracesAreNoPlaceholders holds that JSON in a body is what it was, and that a brace that names
// nothing is a brace.
func TestBracesAreNoPlaceholders(t *testing.T) {
	got, err := parse("GET /a{1}{}?b={\nX: {foo}\n\n" + "GET /%7Bfoo%7D\n")
	require.NoError(t, err)
	require.False(t, got.Requests[0].Numbered)
	require.Equal(t, "/a{1}{}", got.Requests[0].URL.Path)
	require.Equal(t, "/{foo}", got.Requests[1].URL.Path)
	body := base64.StdEncoding.EncodeToString([]byte(`{"a": {"b": {name}}}`))
	got, err = parse(`{"url": "/", "body": "` + body + `"}`)
	require.NoError(t, err)
	require.Equal(t, http.MethodPost, got.Requests[0].Method)
	require.False(t, got.Requests[0].Numbered)
}

func TestReadTargets(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "targets.txt")
	require.NoError(t, os.WriteFile(path, []byte("POST /\n@order.json\n"), 0o600))
	_, err := ReadTargets(path)
	require.ErrorContains(t, err, "targets.txt:2: file of a body: no such file")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "order.json"), []byte("{}"), 0o600))
	got, err := ReadTargets(path)
	require.NoError(t, err)
	require.Equal(t, "{}", string(got.Requests[0].Body), "beside the file, whatever the working directory is")
	require.Equal(t, path+":1", got.Requests[0].Place)
	_, err = ReadTargets(filepath.Join(dir, "missing"))
	require.ErrorContains(t, err, "missing: no such file")
	_, err = ReadTargets(dir)
	require.ErrorContains(t, err, "it is no file")
}

// FuzzTargets holds that what is read can be asked, or else is refused with its place, and that an
// error names a line that there is.
func FuzzTargets(f *testing.F) {
	for _, s := range []string{
		"GET /\n", "POST http://a:1/b?c={vu}\nA: b\n# weight: 2\n@order.json\n\nGET http://a:1/\n",
		"{\"url\":\"/\",\"weight\":3}\n", "GET /{\n", "GET /\nContent-Length: 3\n",
		`{"method":"PUT","url":"http://u:p@h/","header":{"A":["b"]},"body":"e3NlcX0="}`,
		"\ufeffGET /\r\n", "GET /\nHost: x y\n", "GET //h/\n", "GET /?\x7f", "PUT /a%zz", "{\"url\":\"/\"}\n{",
	} {
		f.Add(s)
	}
	named := regexp.MustCompile(`^f:([0-9]+)?:? `)
	base := &url.URL{Scheme: "http", Host: "localhost"}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parse(s)
		if err != nil {
			require.Regexp(t, named, err.Error())
			return
		}
		require.NotEmpty(t, got.Requests)
		for _, r := range got.Requests {
			require.Empty(t, r.URL.Host)
			require.LessOrEqual(t, r.Weight, inject.MostWeight)
			require.GreaterOrEqual(t, r.Weight, 0)
		}
		h, err := inject.NewHTTP(inject.HTTPConfig{URL: base, Requests: got.Requests, First: got.Requests})
		if err != nil {
			require.Regexp(t, named, err.Error())
			return
		}
		require.Contains(t, h.String(), "requests of a list to localhost:80")
	})
}
