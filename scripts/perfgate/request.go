package main

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"strings"

	"rampart/loadtest"
	"rampart/loadtest/inject"
	"rampart/loadtest/request"
	"rampart/loadtest/result"
)

// requestHelp explains the flags that say what is asked.
const requestHelp = `What is asked, of both servers alike:
	-uri URI              path and query (default /?it1=60000&it2=1, the bundled server's workload)
	-X METHOD             method (default GET; POST with -d)
	-H 'NAME: VALUE'      a header, again for each; or @FILE with lines of them
	-d DATA               body, or @FILE with the file that holds it; sent as it is, without a Content-Type
	-tls                  both speak https, also those of COMMAND; of a host:port, https:// before it says the same
	-cacert FILE          certificates of the authorities that vouch for both (default: whom the system trusts)
	-servername NAME      the name to ask for by TLS, and that certificates must have (default: -H Host, else the address)
	-insecure             accept any certificate
	-cert FILE -key FILE  the client's own certificate and private key, in PEM; -cert alone: a file that holds both
	-targets FILE         many requests in place of -uri, -X and -d: lines such as GET /path, header lines, @BODY-FILE; or
	                      JSON lines. # weight: 3 draws one three times as often; {vu} and {seq} stand for numbers.
	                      Each is judged by itself as well (request-p50-ns, failures), up to 50
	-first FILE           requests that each virtual user makes once before, untimed, such as a log-in
	-cookies              each virtual user keeps the cookies that it gets, and sends them back
	-http2=off            HTTP/1.1 also with servers that offer HTTP/2
	-keepalive=off        a new connection for each request
Values of headers, bodies and what is in files are in no output, but for the methods and URLs of -targets.
`

// usualURI is the workload of the bundled server.
const usualURI = "/?it1=60000&it2=1"

// asking is what flags say of the requests, as text.
type asking struct {
	uri, method, serverName string
	headers, bodies         []string
	files                   request.Certificates
	tls, insecure           bool
	http2, keepAlive        bool
	targets, first          string
	cookies                 bool
	expect                  inject.Expect // of the answers
}

// defineRequest defines the flags that say what is asked. None is refused where it is parsed:
// package flag would show its value.
func (a *asking) defineRequest(flags *flag.FlagSet) {
	a.http2, a.keepAlive = true, true
	flags.StringVar(&a.uri, "uri", usualURI, "")
	flags.StringVar(&a.method, "X", "", "")
	flags.Func("H", "", appendTo(&a.headers))
	flags.Func("d", "", appendTo(&a.bodies))
	flags.StringVar(&a.files.CACert, "cacert", "", "")
	flags.StringVar(&a.files.Cert, "cert", "", "")
	flags.StringVar(&a.files.Key, "key", "", "")
	flags.StringVar(&a.serverName, "servername", "", "")
	flags.BoolFunc("tls", "", onOff(&a.tls))
	flags.BoolFunc("insecure", "", onOff(&a.insecure))
	flags.StringVar(&a.targets, "targets", "", "")
	flags.StringVar(&a.first, "first", "", "")
	flags.BoolFunc("cookies", "", onOff(&a.cookies))
	flags.BoolFunc("http2", "", onOff(&a.http2))
	flags.BoolFunc("keepalive", "", onOff(&a.keepAlive))
}

func appendTo(all *[]string) func(string) error {
	return func(s string) error {
		*all = append(*all, s)
		return nil
	}
}

func onOff(to *bool) func(string) error {
	return func(s string) (err error) {
		*to, err = request.Switch(s)
		return err
	}
}

// config returns what both contenders are asked.
func (a asking) config(contenders ...loadtest.Contender) (c inject.HTTPConfig, err error) {
	if c.URL, err = loadtest.RequestURL(a.uri); err != nil {
		return c, fmt.Errorf("-uri %w", err)
	}
	if len(a.bodies) > 1 {
		return c, fmt.Errorf("-d %d times: want one body", len(a.bodies))
	}
	for _, body := range a.bodies {
		if c.Body, err = request.Body(body); err != nil {
			return c, fmt.Errorf("-d: %w", err)
		}
		c.Method = http.MethodPost
	}
	if a.method != "" {
		if c.Method, err = request.Method(a.method); err != nil {
			return c, fmt.Errorf("-X %q: %w", inject.Mask(a.method), err)
		}
	}
	c.Header = http.Header{}
	for i, lines := range a.headers {
		header, err := request.Header(lines)
		if err == nil && header == nil {
			err = errors.New("it is empty: want Name: value")
		}
		if err != nil {
			return c, fmt.Errorf("-H, number %d: %w", i+1, err)
		}
		for name, values := range header {
			c.Header[name] = append(c.Header[name], values...)
		}
	}
	names := request.Names{Cert: "-cert", Key: "-key", CACert: "-cacert"}
	if c.Certificate, c.Authorities, err = a.files.Read(names); err != nil {
		return c, err
	}
	c.Expect = a.expect
	c.ServerName, c.Insecure, c.NoHTTP2, c.NoKeepAlive = a.serverName, a.insecure, !a.http2, !a.keepAlive
	if err := a.speaksTLS(contenders); err != nil {
		return c, err
	}
	if a.tls {
		c.URL.Scheme = "https"
	}
	if err := a.readFiles(&c); err != nil {
		return c, err
	}
	// What only shows when all is put together: a header that cannot be set, say.
	whole, at := c, *c.URL
	at.Host = "localhost"
	whole.URL = &at
	if _, err := inject.NewHTTP(whole); err != nil {
		return c, fmt.Errorf("-X, -H, -d, -expect, -servername, -targets or -first: %w", err)
	}
	return c, nil
}

// readFiles reads the files of requests.
func (a asking) readFiles(c *inject.HTTPConfig) error {
	c.Cookies = a.cookies
	if a.targets != "" {
		if a.uri != usualURI || a.method != "" || a.bodies != nil {
			return errors.New("-targets with -uri, -X or -d: want what is asked in the file alone")
		}
		targets, err := request.ReadTargets(a.targets)
		if err != nil {
			return fmt.Errorf("-targets: %w", err)
		}
		c.Requests, c.Source = targets.Requests, targets.InDuel(a.targets)
	}
	if a.first != "" {
		first, err := request.ReadTargets(a.first)
		if err == nil && first.Weighed != "" {
			err = fmt.Errorf("%s: weight: want none, because each of the first requests is made once", first.Weighed)
		}
		if err != nil {
			return fmt.Errorf("-first: %w", err)
		}
		c.First = first.Requests
	}
	return nil
}

// speaksTLS says what contradicts itself in what is said of TLS.
func (a asking) speaksTLS(contenders []loadtest.Contender) error {
	secure := a.tls
	for i, c := range contenders {
		scheme, _, _ := strings.Cut(strings.ToLower(c.Address), "://")
		if a.tls && scheme == "http" {
			return fmt.Errorf("-tls with -%s %s: want https:// there, or no -tls", result.SideNames[i], c)
		}
		secure = secure || scheme == "https"
	}
	used := a.files != request.Certificates{} || a.serverName != "" || a.insecure
	if used && !secure {
		return errors.New("-cert, -key, -cacert, -servername and -insecure are of use with TLS only: add -tls where the " +
			"servers speak it, or write https:// before the host:port")
	}
	return nil
}
