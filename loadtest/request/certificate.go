package request

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// largestPEM is how long a file of certificates may be. Those of all authorities of the web have a
// quarter of a megabyte.
const largestPEM = 16 << 20

// Certificates are the files by which client and server know each other over TLS, as a user names
// them. Empty: none.
type Certificates struct {
	Cert, Key string // of the client; without Key, Cert holds both
	CACert    string // certificates of the authorities that vouch for the server
}

// Names are how a user calls the three: the names of variables or of flags.
type Names struct{ Cert, Key, CACert string }

// Read reads the files. The error names which of them is no good, and shows neither what is in it
// nor its path.
func (c Certificates) Read(n Names) (client *tls.Certificate, authorities *x509.CertPool, err error) {
	if c.CACert != "" {
		if authorities, err = readAuthorities(c.CACert); err != nil {
			return nil, nil, fmt.Errorf("%s: want a file with the certificates of authorities, in PEM: %w", n.CACert, err)
		}
	}
	switch {
	case c.Cert == "" && c.Key == "":
		return nil, authorities, nil
	case c.Cert == "":
		return nil, nil, fmt.Errorf("%s without %s: want the file with the certificate there", n.Key, n.Cert)
	}
	cert, err := read(c.Cert, largestPEM)
	if err != nil || !holds(cert, "CERTIFICATE") {
		return nil, nil, fmt.Errorf("%s: want a file with the certificate of the client, in PEM: %w", n.Cert,
			orElse(err, "it holds none"))
	}
	key, called := cert, n.Cert
	if c.Key != "" {
		if key, err = read(c.Key, largestPEM); err != nil {
			return nil, nil, fmt.Errorf("%s: want a file with the private key of the client, in PEM: %w", n.Key, err)
		}
		called = n.Key
	}
	switch {
	case holds(key, "ENCRYPTED PRIVATE KEY") || strings.Contains(string(key), "Proc-Type: 4,ENCRYPTED"):
		return nil, nil, fmt.Errorf("%s: the private key needs a password: want one that needs none, as openssl pkey "+
			"writes it", called)
	case !holds(key, "PRIVATE KEY") && c.Key == "":
		return nil, nil, fmt.Errorf("%s without %s: want the file with the private key there, as %[1]s holds none",
			n.Cert, n.Key)
	case !holds(key, "PRIVATE KEY"):
		return nil, nil, fmt.Errorf("%s: want a file with the private key of the client, in PEM: it holds none", n.Key)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil { // by what it says of itself, and not by what is in the files
		return nil, nil, fmt.Errorf("%s does not fit the certificate of %s: %w; want the private key that belongs to it",
			called, n.Cert, err)
	}
	return &pair, authorities, nil
}

// holds reports whether a text in PEM has a block of a type that ends like this.
func holds(text []byte, kind string) bool {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if strings.HasSuffix(block.Type, kind) {
			return true
		}
	}
	return false
}

func orElse(err error, reason string) error {
	if err == nil {
		return errors.New(reason)
	}
	return err
}

// readAuthorities reads certificates. One that cannot be read is an error, as a server that it
// vouches for would be refused for another reason.
func readAuthorities(path string) (*x509.CertPool, error) {
	text, err := read(path, largestPEM)
	if err != nil {
		return nil, err
	}
	pool, n := x509.NewCertPool(), 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		n++
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d in it is broken", n)
		}
		pool.AddCert(cert)
	}
	if n == 0 {
		return nil, errors.New("it holds none")
	}
	return pool, nil
}
