//go:build unix

package process_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"tillstream/cmd/internal/proof/fleet"
	"tillstream/cmd/internal/proof/proc"
	"tillstream/events/log/logtest"
	"tillstream/events/project/projecttest"
)

// certificate is a self-signed certificate for 127.0.0.1, in files.
type certificate struct{ certFile, keyFile string }

func makeCertificate(t *testing.T) certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c := certificate{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	writePEM(t, c.certFile, "CERTIFICATE", cert)
	writePEM(t, c.keyFile, "PRIVATE KEY", private)
	return c
}

func writePEM(t *testing.T, path, kind string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// client returns a client that trusts the certificate.
func (c certificate) client(t *testing.T) *http.Client {
	t.Helper()
	data, err := os.ReadFile(c.certFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		t.Fatal("the certificate cannot be read")
	}
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
}

// startTLSBroker starts a broker that requires TLS, and returns its URL.
func startTLSBroker(t *testing.T, c certificate) string {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		t.Fatal(err)
	}
	broker := logtest.ServerWith(t, &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true,
		TLS: true, TLSTimeout: 10, TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}})
	return "tls://" + strings.TrimPrefix(strings.TrimPrefix(broker.ClientURL(), "nats://"), "tls://")
}

// Worker, storefront, broker and shopper talk over TLS with a certificate that only the file in SSL_CERT_FILE makes trusted.
func TestTLSBetweenProcesses(t *testing.T) {
	t.Parallel()
	c := makeCertificate(t)
	broker := startTLSBroker(t, c)
	if conn, err := nats.Connect(broker); !errors.As(err, new(x509.UnknownAuthorityError)) {
		t.Errorf("connect without trust in the certificate: got %v, %v; want an unknown authority", conn, err)
	}
	programs := proc.MustBuild(t, "tillstream/cmd/inventory", "tillstream/cmd/storefront")
	settings := fleet.NewSettings()
	common := []string{"HTTP_ADDR=127.0.0.1:0", "TLS_CERT_FILE=" + c.certFile, "TLS_KEY_FILE=" + c.keyFile, "SSL_CERT_FILE=" + c.certFile}
	worker := proc.MustStart(t, proc.Command{Name: "inventory", Path: filepath.Join(programs, "inventory"),
		Env: append(settings.Env(broker, projecttest.URI(t)), common...)})
	api := proc.MustAwaitURL(t, worker)
	pages := proc.MustStart(t, proc.Command{Name: "storefront", Path: filepath.Join(programs, "storefront"),
		Env: append(settings.StorefrontEnv(func(string) string { return api }), common...)})
	shop := proc.MustAwaitURL(t, pages)
	client := c.client(t)
	for _, url := range []string{api + "/readyz", shop + "/api/items", shop + "/"} {
		proc.WaitFor(t, url+" answers over TLS", 30*time.Second, func() bool { return strings.HasPrefix(url, "https://") && answersOK(t, client, url) })
	}
}

// answersOK reports whether a URL answers 200. A failure of the connection fails the test.
func answersOK(t *testing.T, client *http.Client, url string) bool {
	t.Helper()
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode == http.StatusOK
}

// A certificate without its key, or one that cannot be read, ends the start with an error that names the settings.
func TestIncompleteTLSSettingsAreRefused(t *testing.T) {
	t.Parallel()
	c := makeCertificate(t)
	program := filepath.Join(proc.MustBuild(t, "tillstream/cmd/storefront"), "storefront")
	for _, env := range [][]string{
		{"TLS_CERT_FILE=" + c.certFile},
		{"TLS_CERT_FILE=" + c.certFile, "TLS_KEY_FILE=" + c.certFile},
	} {
		p := proc.MustStart(t, proc.Command{Name: "storefront", Path: program,
			Env: append(fleet.NewSettings().StorefrontEnv(func(string) string { return "http://127.0.0.1:1" }), env...)})
		if err := p.Wait(30 * time.Second); err == nil {
			t.Errorf("start with %v: got no error, want a refusal", env)
		}
	}
}
