package request

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"rampart/loadtest/inject"
)

// Targets are the requests of a file.
type Targets struct {
	Requests []inject.Request
	// Base is scheme and host of the absolute URLs among them, which all have the same. Nil: there
	// is none.
	Base *url.URL
	// BaseAt is where Base is written.
	BaseAt string
	// Weighed is where a weight is written; empty: nowhere.
	Weighed string
}

// InDuel is the name of the file that t is read from, and what of it a duel leaves out: each of two
// servers has an address of its own.
func (t Targets) InDuel(file string) string {
	if t.Base == nil {
		return file
	}
	return fmt.Sprintf("%s, without the %s there", file, t.Base)
}

// largestTargets is how long a file of requests may be.
const largestTargets = 64 << 20

// ReadTargets reads a file of requests, in either of the two formats of vegeta. In the text format,
// requests look like this, and files of bodies are found from the folder of the file:
//
//	POST /orders?vu={vu}
//	Content-Type: application/json
//	# weight: 3
//	@order.json
//
// The other one has a JSON object on each line, with method, url, header, body in base64, and
// weight. {vu} and {seq} in URL, header values and body stand for numbers, see [inject.Request].
// The error names file and line.
func ReadTargets(path string) (Targets, error) {
	text, err := read(path, largestTargets)
	if err != nil {
		return Targets{}, fmt.Errorf("%s: %w", path, err)
	}
	return parseTargets(path, text, func(body string) ([]byte, error) {
		if !filepath.IsAbs(body) {
			body = filepath.Join(filepath.Dir(path), body)
		}
		return read(body, largestBody)
	})
}

// parser is what the lines of a file have in common.
type parser struct {
	name     string
	line     int // from 1
	targets  Targets
	readFile func(string) ([]byte, error)
}

// parseTargets reads the text of a file. readFile reads files that it names.
func parseTargets(name string, text []byte, readFile func(string) ([]byte, error)) (Targets, error) {
	p := parser{name: name, readFile: readFile}
	lines := strings.Split(string(bytes.TrimPrefix(text, []byte("\ufeff"))), "\n")
	read := p.text
	if isJSON(lines) {
		read = p.json
	}
	if err := read(lines); err != nil {
		return Targets{}, fmt.Errorf("%s: %w", p.place(), err)
	}
	if len(p.targets.Requests) == 0 {
		return Targets{}, fmt.Errorf("%s: there is no request in it: want lines such as GET /path, or JSON objects with "+
			"a url", name)
	}
	return p.targets, nil
}

// isJSON reports whether a file has JSON on its lines, by the first that says something.
func isJSON(lines []string) bool {
	for _, line := range lines {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			return line[0] == '{'
		}
	}
	return false
}

// place is that of the line which is being read.
func (p *parser) place() string { return fmt.Sprintf("%s:%d", p.name, p.line) }

// requestLine is how a request begins.
var requestLine = regexp.MustCompile(`^([A-Z]+)[ \t]+(.*)$`)

// weightLine is a comment that is none.
var weightLine = regexp.MustCompile(`(?i)^#[ \t]*weight[ \t]*[:=](.*)$`)

// text reads the lines of the text format.
func (p *parser) text(lines []string) error {
	var r *inject.Request
	for i, line := range lines {
		p.line = i + 1
		line = strings.TrimRight(line, " \t\r")
		begins := requestLine.FindStringSubmatch(line)
		weighs := weightLine.FindStringSubmatch(line)
		switch {
		case line == "":
			p.end(r)
			r = nil
		case weighs != nil && r == nil:
			return errors.New("a weight behind no request: want it behind the line of the request that it belongs to")
		case weighs != nil:
			if r.Weight != 0 {
				return errors.New("a second weight of one request: want one at most")
			}
			n, err := strconv.Atoi(strings.TrimSpace(weighs[1]))
			if err != nil {
				return errWeight
			}
			if err := p.weigh(r, n); err != nil {
				return err
			}
		case line[0] == '#':
		case begins != nil:
			p.end(r)
			var err error
			if r, err = p.begin(begins[1], begins[2]); err != nil {
				return err
			}
		case r == nil:
			return errors.New("want a method in capitals and a URL, such as GET /path")
		case line[0] == '@' && r.Body != nil:
			return errors.New("a second body of one request: want one at most")
		case line[0] == '@':
			body, err := p.readFile(line[1:])
			if err != nil {
				return fmt.Errorf("file of a body: %w", err)
			}
			r.Body = append([]byte{}, body...) // not nil
		default:
			if r.Body != nil {
				return errors.New("a header behind the body: want it before, or an empty line before the next request")
			}
			if err := AddField(r.Header, line); err != nil {
				return fmt.Errorf("header line %w", err)
			}
		}
	}
	p.end(r)
	return nil
}

// object is a request in JSON.
type object struct {
	Method string                     `json:"method"`
	URL    string                     `json:"url"`
	Header map[string]json.RawMessage `json:"header"`
	Body   []byte                     `json:"body"`
	Weight *int                       `json:"weight"`
}

// json reads lines with an object on each.
func (p *parser) json(lines []string) error {
	for i, line := range lines {
		p.line = i + 1
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		var o object
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.DisallowUnknownFields() // such as weigth
		if err := decoder.Decode(&o); err != nil {
			return badJSON(err)
		}
		if strings.TrimSpace(line[decoder.InputOffset():]) != "" {
			return errors.New("bad JSON: something follows the object: want one on each line")
		}
		if o.Method == "" {
			o.Method = MethodFor(o.Body)
		}
		r, err := p.begin(o.Method, o.URL)
		if err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(o.Header)) { // so that of several errors it is always the same one
			var values []string
			raw := o.Header[name]
			if json.Unmarshal(raw, &values) != nil {
				values = make([]string, 1)
				if json.Unmarshal(raw, &values[0]) != nil {
					return errors.New("bad JSON: field header: want lists of strings by name, such as {\"X\": [\"y\"]}")
				}
			}
			for _, value := range values {
				if !isToken(name) || strings.ContainsAny(value, "\r\n") {
					return errors.New("header: want names of letters, digits and -, and values without the end of a line")
				}
				if err := AddField(r.Header, name+": "+value); err != nil {
					return fmt.Errorf("header %w", err)
				}
			}
		}
		r.Body = o.Body
		if o.Weight != nil {
			if err := p.weigh(r, *o.Weight); err != nil {
				return err
			}
		}
		p.end(r)
	}
	return nil
}

// badJSON says what is wrong with a line without showing any value of it.
func badJSON(err error) error {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return fmt.Errorf("bad JSON: %s: want method, url and body as strings, header as an object, and weight as a whole "+
			"number", cmp.Or(kind.Field, "no object"))
	}
	if text := err.Error(); strings.Contains(text, "base64") {
		return errors.New("bad JSON: field body: want base64")
	}
	return fmt.Errorf("bad JSON: %w", err)
}

// begin begins a request.
func (p *parser) begin(method, at string) (*inject.Request, error) {
	r := &inject.Request{Header: http.Header{}, Place: p.place()}
	var err error
	if r.Method, err = Method(method); err != nil {
		return nil, fmt.Errorf("method: %w", err)
	}
	for _, mark := range placeholder.FindAllString(at, -1) {
		if mark != "{vu}" && mark != "{seq}" {
			return nil, fmt.Errorf("placeholder %.40s in the URL: want {vu} or {seq}, or %%7B for a brace", mark)
		}
	}
	const want = "want an absolute URL, or its path with a query if need be, such as /search?q=go"
	shown, _, _ := strings.Cut(at, "#")
	absolute := !strings.HasPrefix(at, "/")
	whole := at
	if !absolute {
		whole = "http://localhost" + at
	} else if !strings.Contains(at, "://") {
		return nil, errors.New("URL without a scheme: " + want)
	}
	u, socket, err := inject.ParseAddress(whole)
	if err != nil || socket != "" {
		return nil, fmt.Errorf("URL: %w; %s", orElse(err, "it is a unix socket"), want)
	}
	if absolute {
		shown = pathOf(shown)
		if err := p.base(u); err != nil {
			return nil, err
		}
		if u.User != nil {
			password, _ := u.User.Password()
			authorized := &http.Request{Header: r.Header}
			authorized.SetBasicAuth(u.User.Username(), password)
		}
	}
	r.Name = r.Method + " " + shown
	r.URL = &url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery, ForceQuery: u.ForceQuery}
	return r, nil
}

// pathOf is what stands behind scheme and host of an absolute URL, where a user and a password may
// be.
func pathOf(at string) string {
	_, rest, _ := strings.Cut(at, "://")
	if i := strings.IndexAny(rest, "/?"); i >= 0 && rest[i] == '/' {
		return rest[i:]
	} else if i >= 0 {
		return "/" + rest[i:]
	}
	return "/"
}

// placeholder is what stands for something, or was meant to.
var placeholder = regexp.MustCompile(`\{[A-Za-z_][A-Za-z0-9_]*\}`)

// base takes note of scheme and host of an absolute URL.
func (p *parser) base(u *url.URL) error {
	base := &url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host)}
	switch t := &p.targets; {
	case t.Base == nil:
		t.Base, t.BaseAt = base, p.place()
	case *t.Base != *base:
		return fmt.Errorf("URL at %s, and at %s in line %s: want one server, or paths alone", base, t.Base,
			t.BaseAt[strings.LastIndexByte(t.BaseAt, ':')+1:])
	}
	return nil
}

var errWeight = fmt.Errorf("weight: want a whole number from 1 to %d", inject.MostWeight)

func (p *parser) weigh(r *inject.Request, n int) error {
	if n < 1 || n > inject.MostWeight {
		return errWeight
	}
	r.Weight, p.targets.Weighed = n, p.place()
	return nil
}

// end adds a request that has been read, if there is one.
func (p *parser) end(r *inject.Request) {
	if r == nil {
		return
	}
	r.Numbered = hasMark(r.URL.Path) || hasMark(r.URL.RawQuery) || hasMark(string(r.Body))
	for _, values := range r.Header {
		for _, v := range values {
			r.Numbered = r.Numbered || hasMark(v)
		}
	}
	if len(r.Header) == 0 {
		r.Header = nil
	}
	p.targets.Requests = append(p.targets.Requests, *r)
}

func hasMark(s string) bool { return strings.Contains(s, "{vu}") || strings.Contains(s, "{seq}") }
