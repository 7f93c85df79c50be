package k6

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/inject"
)

func TestClassOfCode(t *testing.T) {
	for class, codes := range map[inject.Class][]int{
		inject.OK:        {1000, 1010, 1020, 1200, 1202, 1399, 1700, 1999}, // the message decides
		inject.Timeout:   {1050, 1211},
		inject.Dial:      {1100, 1101, 1110, 1111, 1210, 1212, 1213},
		inject.Reset:     {1201, 1220, 1630, 1631, 1639, 1644},
		inject.TLS:       {1300, 1301, 1310, 1311},
		inject.Status:    {1400, 1404, 1500, 1503, 1599},
		inject.EOF:       {1610, 1611, 1624},
		inject.Malformed: {1600, 1650, 1651, 1664},
		inject.Body:      {1701},
	} {
		for _, code := range codes {
			require.Equal(t, class, classOfCode(code), code)
		}
	}
}

func TestMessages(t *testing.T) {
	for message, class := range map[string]inject.Class{
		"EOF":                                 inject.EOF,
		"unexpected EOF":                      inject.EOF,
		"http: server closed idle connection": inject.EOF,
		"net/http: HTTP/1.x transport connection broken: unexpected EOF":                           inject.EOF,
		`net/http: HTTP/1.x transport connection broken: malformed HTTP response "EOF tls: 220 x"`: inject.Malformed,
		`malformed HTTP status code "20"`:                                                          inject.Malformed,
		"malformed chunked encoding":                                                               inject.Malformed,
		"http chunk length too large":                                                              inject.Malformed,
		"invalid byte in chunk length":                                                             inject.Malformed,
		`bad Content-Length "x"`:                                                                   inject.Malformed,
		`unsupported transfer encoding: "gzip"`:                                                    inject.Malformed,
		"net/http: server response headers exceeded 10485760 bytes; aborted":                       inject.Malformed,
		"unsupported response status: 101 Switching Protocols":                                     inject.Malformed,
		"write tcp 127.0.0.1:1->127.0.0.1:2: use of closed network connection":                     inject.Write,
		"write: unknown errno `5` on linux with message `x`":                                       inject.Write,
		"read: unknown errno `5` on linux with message `x`":                                        inject.OK,
		"remote error: tls: handshake failure":                                                     inject.TLS,
		"x509: certificate has expired or is not yet valid":                                        inject.TLS,
		"http: server gave HTTP response to HTTPS client":                                          inject.TLS,
		"context deadline exceeded":                                                                inject.Timeout,
		"read tcp 127.0.0.1:1->127.0.0.1:2: connection reset by peer":                              inject.Reset,
		"failed to parse Location header \"%\": parse error":                                       inject.Status,
		"something new": inject.OK,
	} {
		got := inject.OK
		for _, m := range messages {
			if strings.Contains(message, m.Part) {
				got = m.Class
				break
			}
		}
		require.Equal(t, class, got, message)
	}
}
