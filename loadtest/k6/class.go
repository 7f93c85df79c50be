package k6

import "rampart/loadtest/inject"

// classOfCode is the class of a failure to which k6 gave an error code
// (https://grafana.com/docs/k6/latest/javascript-api/error-codes/). It is OK where the code does
// not say enough: then the message has to be asked.
func classOfCode(code int) inject.Class {
	switch {
	case code == 1050, code == 1211: // of a request, of dialing
		return inject.Timeout
	case 1100 <= code && code <= 1111, // DNS, blocked hosts
		code == 1210, code == 1212, code == 1213: // dialing
		return inject.Dial
	case code == 1201, code == 1220: // broken pipe, reset by peer
		return inject.Reset
	case 1300 <= code && code <= 1311:
		return inject.TLS
	case 1400 <= code && code <= 1599: // 1000 and the status
		return inject.Status
	case 1610 <= code && code <= 1629: // HTTP/2: the server goes away
		return inject.EOF
	case 1630 <= code && code <= 1649: // HTTP/2: it resets the stream
		return inject.Reset
	case 1600 <= code && code <= 1699: // HTTP/2: the rest is not HTTP/2
		return inject.Malformed
	case code == 1701: // decompression
		return inject.Body
	}
	return inject.OK
}

// classified is a part of an error message, and the class of a failure with that message.
type classified struct {
	Part  string
	Class inject.Class
}

// messages classify what k6 has no code for, most of it errors of Go's HTTP client. The first that
// fits decides. A message may quote what the server sent, therefore those that do come first.
var messages = []classified{
	{"malformed", inject.Malformed},
	{"failed to parse Location header", inject.Status},
	{"write tcp", inject.Write},
	{"write: unknown errno", inject.Write},
	{"EOF", inject.EOF},
	{"server closed idle connection", inject.EOF},
	{"tls: ", inject.TLS},
	{"x509: ", inject.TLS},
	{"HTTP response to HTTPS client", inject.TLS},
	{"deadline exceeded", inject.Timeout},
	{"i/o timeout", inject.Timeout},
	{"connection reset", inject.Reset},
	{"broken pipe", inject.Reset},
	{"chunk", inject.Malformed},
	{"Content-Length", inject.Malformed},
	{"transfer encoding", inject.Malformed},
	{"response headers exceeded", inject.Malformed},
	{"unsupported response status", inject.Malformed},
	{"transport connection broken", inject.Malformed},
}
