package inject

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"time"
)

// certificateError is the failure of a probe that the server asked for a client's certificate.
type certificateError struct {
	error
	shown bool // the client has one, and showed it
}

func (e *certificateError) Unwrap() error { return e.error }

// acceptAny is how to accept any certificate: the variable of experiments, the flag of perfgate.
const acceptAny = "INSECURE=1 or -insecure"

// lookingAgain is how long it may take to find out whether a server speaks TLS.
const lookingAgain = 2 * time.Second

// Advice says what would help against the error of a probe, for whom chose address and settings;
// empty: it does not know, or ctx is done, and then the error is that of who ended it. It may
// connect once more, to find out whether the server speaks TLS, and sends nothing then that is
// secret.
func (h *HTTP) Advice(ctx context.Context, err error) string {
	advice := h.advice(ctx, err)
	if ctx.Err() != nil {
		return ""
	}
	return advice
}

func (h *HTTP) advice(ctx context.Context, err error) string {
	var (
		failure  *Failure
		wanted   *certificateError
		unknown  x509.UnknownAuthorityError
		name     x509.HostnameError
		invalid  x509.CertificateInvalidError
		verify   *tls.CertificateVerificationError
		answered *statusError
		unnamed  *net.DNSError
	)
	if !errors.As(err, &failure) {
		return ""
	}
	status := 0
	if errors.As(err, &answered) {
		status = answered.status
	}
	refused := status == 0 || status == 400 || status == 401 || status == 403
	switch {
	case errors.As(err, &unknown):
		return "name the file with the authority's certificate, CACERT=ca.pem or -cacert ca.pem, or accept any " +
			"certificate, " + acceptAny
	case errors.As(err, &name):
		return "ask by a name that is in the certificate: by SERVER_NAME or -servername, as the host of the URL, or as " +
			"a header Host; or accept any certificate, " + acceptAny
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "renew the certificate, or compare the clocks of the machines, or accept any certificate, " + acceptAny
	case errors.As(err, &invalid), errors.As(err, &verify):
		return "repair the certificate, or accept any, " + acceptAny
	case errors.As(err, &wanted) && refused && wanted.shown:
		return "the server asks for a client's certificate and may not take the one that it was shown: show one whose " +
			"authority it trusts, with those between in the same file"
	case errors.As(err, &wanted) && refused:
		return "the server asks for a client's certificate, and this client has none: name its files, CERT=client.pem " +
			"KEY=client.key or -cert client.pem -key client.key"
	case failure.Class == TLS:
		return h.adviceTLS(ctx, err)
	case h.tls == nil && (failure.Class == Malformed || failure.Class == EOF || failure.Class == Reset || status == 400):
		if h.speaksTLS(ctx) {
			return "the server speaks TLS there: write https:// before the address"
		}
	case errors.As(err, &unnamed) && unnamed.IsNotFound:
		return "no such name is known here: write it as DNS or /etc/hosts have it, or an IP address"
	case 300 <= status && status < 400:
		return "a redirect is not followed: load the address that it leads to, or expect it, status=3xx"
	case status == 401 || status == 403:
		return "say who asks: user:password@ before the host, or a header Authorization"
	}
	return ""
}

// adviceTLS is advice for a handshake that failed for another reason than the server's certificate.
func (h *HTTP) adviceTLS(ctx context.Context, err error) string {
	said := err.Error()
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &record) && string(record.RecordHeader[:]) == "HTTP/":
		return "the server speaks HTTP without TLS there: write http:// before the address"
	case strings.Contains(said, "protocol version"):
		return "this client speaks TLS 1.2 and 1.3, and the server neither: allow one of them there"
	case strings.Contains(said, "unrecognized name"):
		return "the server does not know this name: ask by another, as the host of the URL, or as a header Host at this " +
			"address"
	case strings.Contains(said, "remote error"):
		return "the server refused the handshake, and its log says why; it may want another name, " +
			"as the host of the URL or as a header Host at this address"
	case h.speaksPlain(ctx):
		return "the server speaks HTTP without TLS there: write http:// before the address"
	}
	return "nobody speaks TLS there, as far as can be seen: compare the port with that of the server, or write http:// " +
		"before the address"
}

// speaksTLS reports whether the server begins a handshake.
func (h *HTTP) speaksTLS(ctx context.Context) bool {
	conn, err := h.connect(ctx, &tls.Config{InsecureSkipVerify: true}, lookingAgain)
	if err == nil {
		conn.Close()
		return true
	}
	return strings.Contains(err.Error(), "remote error: tls")
}

// speaksPlain reports whether the server answers HTTP without TLS.
func (h *HTTP) speaksPlain(ctx context.Context) bool {
	conn, err := h.connect(ctx, nil, lookingAgain)
	if err != nil {
		return false
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(lookingAgain))
	if _, err := io.WriteString(conn, "OPTIONS * HTTP/1.1\r\nHost: "+h.request.URL.Host+
		"\r\nConnection: close\r\n\r\n"); err != nil {
		return false
	}
	var begin [len(version)]byte
	_, err = io.ReadFull(conn, begin[:])
	return err == nil && string(begin[:]) == version
}
