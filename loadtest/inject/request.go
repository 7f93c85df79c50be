package inject

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
)

// ours are the header fields that say how a connection and a message are framed. A user who could
// set them would measure something else than the result says.
var ours = []string{"Connection", "Content-Length", "Expect", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding",
	"Upgrade"}

// newRequest makes the request that c describes. The error says what is wrong with it; it never
// shows a password.
func newRequest(c HTTPConfig) (*http.Request, error) {
	method := c.Method
	switch method {
	case "":
		method = http.MethodGet
	case http.MethodConnect:
		return nil, fmt.Errorf("method %s is not supported: it opens a tunnel and asks for nothing", method)
	}
	shown := *c.URL
	shown.User = nil
	req, err := http.NewRequest(method, shown.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	req.Header.Set("Accept", "*/*")
	req.Header.Set("User-Agent", "rampart")
	for _, name := range slices.Sorted(maps.Keys(c.Header)) { // so that of several errors it is always the same one
		values := c.Header[name]
		name = textproto.CanonicalMIMEHeaderKey(name)
		if slices.Contains(ours, name) {
			return nil, fmt.Errorf("header %s cannot be set: it follows from method, body and keep-alive", name)
		}
		if name == "Host" {
			for _, host := range values {
				req.Host = host
			}
			continue
		}
		req.Header[name] = slices.Clone(values)
	}
	if u := c.URL.User; u != nil {
		password, _ := u.Password()
		req.SetBasicAuth(u.Username(), password)
	}
	if len(c.Body) > 0 {
		req.ContentLength = int64(len(c.Body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(c.Body)), nil }
	}
	return req, nil
}

// wire returns the bytes of req in HTTP/1.1, with Connection: close where closing is set. Package
// net/http reads them again, so that nothing goes out that is not the one request it should be.
func wire(req *http.Request, closing bool) ([]byte, error) {
	once := *req
	once.Close = closing
	if req.GetBody != nil {
		once.Body, _ = req.GetBody() // of bytes in memory
	}
	var b bytes.Buffer
	if err := once.Write(&b); err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	from := bufio.NewReader(bytes.NewReader(b.Bytes()))
	again, err := http.ReadRequest(from)
	if err != nil {
		return nil, fmt.Errorf("request: net/http does not take what would be sent: %w", err)
	}
	_, err = io.Copy(io.Discard, again.Body)
	for _, name := range ours { // Write added what is needed of them
		again.Header.Del(name)
	}
	if err != nil || from.Buffered() > 0 || again.Method != req.Method ||
		!maps.EqualFunc(again.Header, req.Header, slices.Equal[[]string]) {
		return nil, fmt.Errorf("request: HTTP cannot carry this method, URL or these headers")
	}
	return b.Bytes(), nil
}
