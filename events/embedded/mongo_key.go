package embedded

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"time"

	"tillstream/events/durable"
)

// makeKeyFile makes a private key and a certificate for it. The server and its clients use the same two and trust no others, so a
// client is who can read the file. A file that exists is kept, so that clients outlive a restart of the server, unless it cannot
// be read or its certificate is not for the host of addr.
func makeKeyFile(path, addr string) error {
	host, _, err := splitAddr(addr)
	if err != nil {
		return err
	}
	if pair, err := tls.LoadX509KeyPair(path, path); err == nil && (isAny(host) || pair.Leaf.VerifyHostname(host) == nil) {
		return nil
	}
	data, err := newKeyPair(host)
	if err != nil {
		return fmt.Errorf("make key file %s: %w", path, err)
	}
	return durable.WriteFile(path, data)
}

// newKeyPair returns a key and its certificate as PEM. The certificate does not expire, because a key file is replaced by
// deleting it.
func newKeyPair(host string) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, IsCA: true, BasicConstraintsValid: true}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = append(template.IPAddresses, ip)
	} else if !isAny(host) {
		template.DNSNames = append(template.DNSNames, host)
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})...), nil
}

// clientURI returns the URI of a server for clients on this machine, with the options of TLS if there is a key file.
func clientURI(server, keyFile string) string {
	u, err := url.Parse(server)
	if err != nil {
		return server
	}
	u.Host = DialAddr(u.Host)
	if keyFile != "" {
		u.RawQuery = url.Values{"tls": {"true"}, "tlsCAFile": {keyFile}, "tlsCertificateKeyFile": {keyFile}}.Encode()
	}
	return u.String()
}
