package process

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"tillstream/events/api"
)

// TLS are the settings by which a process serves HTTPS instead of HTTP, for networks in which others could listen. As a client, a
// process trusts the authorities of the system, or those of the file that SSL_CERT_FILE names (see crypto/x509).
type TLS struct {
	CertFile string `name:"tls-cert-file" env:"TLS_CERT_FILE" help:"Serve HTTPS with the certificate chain in this PEM file; needs the key. A renewed certificate is used after a restart."`
	KeyFile  string `name:"tls-key-file" env:"TLS_KEY_FILE" help:"Private key of the certificate, in PEM."`
}

// Listen opens the address on which a server serves HTTP, or HTTPS if a certificate is configured, and returns the scheme of its
// URLs.
func (t TLS) Listen(server, address string) (listener net.Listener, scheme string, err error) {
	if (t.CertFile == "") != (t.KeyFile == "") {
		return nil, "", errors.New("set both TLS_CERT_FILE and TLS_KEY_FILE to serve HTTPS, or none of them")
	}
	if t.CertFile == "" {
		listener, err = api.Listen(server, address)
		return listener, "http", err
	}
	certificate, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, "", fmt.Errorf("read the certificate of %s: %w", server, err)
	}
	if listener, err = api.Listen(server, address); err != nil {
		return nil, "", err
	}
	return tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}), "https", nil
}
