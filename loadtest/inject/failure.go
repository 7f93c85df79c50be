package inject

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
)

// Class says how a request failed. The zero value, OK, says that it did not.
type Class uint8

// The classes of failure. A request has the class of the first thing that went wrong.
const (
	OK        Class = iota
	Dial            // no connection: refused, no route, name not found
	TLS             // the TLS handshake failed
	Write           // the request could not be sent
	Read            // the answer could not be read, for a reason that no other class names
	Reset           // the connection was reset
	EOF             // the connection ended before the answer did
	Timeout         // no complete answer in time
	Malformed       // the answer breaks the protocol
	Status          // a complete answer with a status other than 2xx
	Body            // a complete answer that is not the expected one
	numClasses
)

var classNames = [numClasses]string{
	"ok", "dial", "tls", "write", "read", "reset", "eof", "timeout", "malformed", "status", "body",
}

// String returns the name that the class has in reports.
func (c Class) String() string { return classNames[c] }

// Failures counts failures by class. The zero value counts none.
type Failures [numClasses]uint64

// Total is the number of failures of all classes.
func (f Failures) Total() uint64 {
	var sum uint64
	for _, n := range f[OK+1:] {
		sum += n
	}
	return sum
}

// ByName returns the classes that occurred, with their counts.
func (f Failures) ByName() map[string]uint64 {
	m := make(map[string]uint64)
	for c := OK + 1; c < numClasses; c++ {
		if f[c] > 0 {
			m[c.String()] = f[c]
		}
	}
	return m
}

// FailuresByName is the reverse of ByName. The error names a class that there is not.
func FailuresByName(m map[string]uint64) (Failures, error) {
	var f Failures
	for name, n := range m {
		c := slices.Index(classNames[:], name)
		if c <= int(OK) {
			return f, fmt.Errorf("class of failure %q: want one of %s", name, strings.Join(classNames[OK+1:], ", "))
		}
		f[c] = n
	}
	return f, nil
}

// Failure is an error that knows its class. The function of a [Func] returns one to choose it.
type Failure struct {
	Class Class
	Err   error
}

// Error returns the class and the reason.
func (f *Failure) Error() string { return f.Class.String() + ": " + f.Err.Error() }

// Unwrap returns the reason.
func (f *Failure) Unwrap() error { return f.Err }

// Classify returns the class of an error: that of a [Failure], or the one that an error of package
// net, io or tls belongs to, or else otherwise.
func Classify(err error, otherwise Class) Class {
	var (
		failure *Failure
		op      *net.OpError
		record  tls.RecordHeaderError
		alert   tls.AlertError
		cert    *tls.CertificateVerificationError
		unknown x509.UnknownAuthorityError
	)
	switch {
	case err == nil:
		return OK
	case errors.As(err, &failure):
		return failure.Class
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return Timeout
	case errors.As(err, &record), errors.As(err, &alert), errors.As(err, &cert), errors.As(err, &unknown):
		return TLS
	case errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error"):
		return TLS // an alert, as package tls names it
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return Reset // also in dialing: there was a connection, and it ended before anybody looked
	case errors.As(err, &op) && op.Op == "dial":
		return Dial
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return EOF
	}
	return otherwise
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
