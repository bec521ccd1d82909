package notifications

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	netmail "net/mail"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/wneessen/go-mail"
)

// authServer is a mail server that requires a password, and TLS.
type authServer struct{ accepted atomic.Int32 }

func (g *authServer) NewSession(*smtp.Conn) (smtp.Session, error) {
	return &authSession{server: g}, nil
}

type authSession struct {
	server *authServer
	known  bool
}

func (*authSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *authSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "till" || password != "p@ss" {
			return smtp.ErrAuthFailed
		}
		s.known = true
		return nil
	}), nil
}

func (s *authSession) Mail(string, *smtp.MailOptions) error {
	if !s.known {
		return smtp.ErrAuthRequired
	}
	return nil
}

func (s *authSession) Rcpt(string, *smtp.RcptOptions) error { return nil }

func (s *authSession) Data(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	s.server.accepted.Add(1)
	return err
}

func (*authSession) Reset()        {}
func (*authSession) Logout() error { return nil }

// startAuthServer starts the server with a certificate that roots trust.
func startAuthServer(t *testing.T, implicit bool) (g *authServer, addr string, roots *x509.CertPool) {
	t.Helper()
	certified := httptest.NewTLSServer(nil) // for its certificate of 127.0.0.1
	t.Cleanup(certified.Close)
	roots = x509.NewCertPool()
	roots.AddCert(certified.Certificate())
	g = &authServer{}
	server := smtp.NewServer(g)
	server.TLSConfig = &tls.Config{Certificates: certified.TLS.Certificates}
	server.Domain = "localhost"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if implicit {
		l = tls.NewListener(l, server.TLSConfig)
	}
	go func() {
		if err := server.Serve(l); err != nil && !errors.Is(err, smtp.ErrServerClosed) {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { _ = server.Close() })
	return g, l.Addr().String(), roots
}

func testMail() Mail {
	return Mail{From: netmail.Address{Address: "orders@shop.example"}, To: netmail.Address{Address: "ada@example.com"},
		MessageID: "m1@shop.example", Subject: "Hello", Text: "Hello", HTML: "<p>Hello</p>", Language: "en", Date: time.Now()}
}

func TestMailIsEncryptedAndAuthenticated(t *testing.T) {
	t.Parallel()
	for name, scheme := range map[string]string{"ImplicitTLS": "smtps", "StartTLS": "smtp"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, addr, roots := startAuthServer(t, scheme == "smtps")
			m, err := NewMailer(scheme+"://till:p%40ss@"+addr, "", time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(m.Close)
			trust := &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
			if scheme == "smtps" {
				m.pool.server.tls = trust
			}
			m.pool.server.options = append(m.pool.server.options, mail.WithTLSConfig(trust))
			if err := m.Send(t.Context(), testMail(), func() error { return nil }); err != nil || g.accepted.Load() != 1 {
				t.Errorf("got %v and %d accepted mails, want no error and 1", err, g.accepted.Load())
			}
		})
	}
}

// An untrusted certificate or a wrong password delays mails and fails none.
func TestUntrustedServerGetsNoMail(t *testing.T) {
	t.Parallel()
	g, addr, roots := startAuthServer(t, false)
	for name, c := range map[string]struct {
		url   string
		roots *x509.CertPool
	}{
		"UnknownCertificate": {"smtp://till:p%40ss@" + addr, x509.NewCertPool()},
		"WrongPassword":      {"smtp://till:wrong@" + addr, roots},
		"PlainPassword":      {"smtp://till:p%40ss@" + addr + "?tls=none", roots},
	} {
		m, err := NewMailer(c.url, "", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		m.pool.server.options = append(m.pool.server.options, mail.WithTLSConfig(&tls.Config{RootCAs: c.roots, ServerName: "127.0.0.1"}))
		err = m.Send(context.Background(), testMail(), func() error { return nil })
		if err == nil || errors.Is(err, ErrRefused) || errors.Is(err, ErrUnanswered) {
			t.Errorf("%s: got %v, want the mail to be deferred", name, err)
		}
		if got := errors.Is(err, ErrShopRefused); got != (name == "WrongPassword") {
			t.Errorf("%s: got %v, want ErrShopRefused for a wrong password alone", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "p@ss") {
			t.Errorf("%s: got %v, want an error without the password", name, err)
		}
		m.Close()
	}
	if g.accepted.Load() != 0 {
		t.Errorf("got %d accepted mails, want 0", g.accepted.Load())
	}
}
