package notifications

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

const (
	// maxIdle bounds the connections that are kept open between mails.
	maxIdle = 16
	// idleFor is how long an idle connection is kept. Servers close idle connections after one to five minutes.
	idleFor = 30 * time.Second
	// quitTimeout bounds QUIT on a connection.
	quitTimeout = time.Second
)

// server is a mail server and how to connect to it, from an SMTP URL.
type server struct {
	host    string
	options []mail.Option
	tls     *tls.Config // TLS from the first byte; nil for plain or STARTTLS
}

// parseURL parses an SMTP URL; see [NewMailer] for its forms.
func parseURL(smtpURL, ehlo string, deadline time.Duration) (server, error) {
	u, err := url.Parse(smtpURL)
	if err != nil || u.Hostname() == "" || (u.Scheme != "smtp" && u.Scheme != "smtps") {
		// The URL may have a password, and the parser's error repeats the URL, so the error has neither.
		return server{}, errors.New("want smtp://user:password@host:port, smtps://… or smtp://host:port?tls=none")
	}
	s := server{host: u.Hostname(), options: []mail.Option{mail.WithTimeout(deadline)}}
	if ehlo != "" {
		s.options = append(s.options, mail.WithHELO(ehlo))
	}
	port, policy, err := security(u)
	if err != nil {
		return server{}, err
	}
	if u.Scheme == "smtps" {
		s.tls = &tls.Config{ServerName: s.host, MinVersion: tls.VersionTLS12}
	}
	if text := u.Port(); text != "" {
		if port, err = strconv.Atoi(text); err != nil {
			return server{}, fmt.Errorf("port %q is not a number", text)
		}
	}
	s.options = append(s.options, mail.WithTLSPolicy(policy), mail.WithPort(port))
	if u.User != nil {
		password, _ := u.User.Password()
		s.options = append(s.options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(u.User.Username()), mail.WithPassword(password))
	}
	_, err = mail.NewClient(s.host, s.options...)
	return s, err
}

// security returns the default port of a scheme and the policy for STARTTLS. Under smtps the policy is opportunistic: the server
// does not offer STARTTLS, and only with this policy does go-mail check whether the connection is encrypted already.
func security(u *url.URL) (port int, policy mail.TLSPolicy, err error) {
	if u.Scheme == "smtps" {
		return 465, mail.TLSOpportunistic, nil
	}
	switch wanted := u.Query().Get("tls"); wanted {
	case "", "mandatory":
		return 587, mail.TLSMandatory, nil
	case "opportunistic":
		return 25, mail.TLSOpportunistic, nil
	case "none":
		return 25, mail.NoTLS, nil
	default:
		return 0, 0, fmt.Errorf("tls=%s: want mandatory, opportunistic or none", wanted)
	}
}

// dial connects, sends EHLO, encrypts and authenticates. It opens the connection itself, because go-mail leaves it open when the
// greeting fails: a faulty mail server would leak one descriptor per attempt.
func (s server) dial(ctx context.Context) (*smtp.Client, error) {
	var conn net.Conn
	stop := func() bool { return true }
	connect := mail.WithDialContextFunc(func(dialling context.Context, network, address string) (net.Conn, error) {
		made, err := s.connect(dialling, network, address)
		if err == nil {
			conn, stop = made, context.AfterFunc(ctx, func() { _ = made.Close() }) // ends a slow greeting
		}
		return made, err
	})
	client, err := mail.NewClient(s.host, append(slices.Clip(s.options), connect)...)
	if err != nil {
		return nil, err
	}
	greeted, err := client.DialToSMTPClientWithContext(ctx)
	stop()
	if err != nil && conn != nil {
		_ = conn.Close() // the error of the dialogue is reported
	}
	return greeted, err
}

// connect connects to the server. go-mail's address lacks the brackets of an IPv6 address.
func (s server) connect(ctx context.Context, network, address string) (net.Conn, error) {
	address = net.JoinHostPort(s.host, address[strings.LastIndexByte(address, ':')+1:])
	if s.tls != nil {
		return (&tls.Dialer{Config: s.tls}).DialContext(ctx, network, address)
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

// pool keeps connections to one mail server. Connecting, TLS and authentication cost more than the mail itself.
type pool struct {
	server   server
	deadline time.Duration

	mu     sync.Mutex
	idle   []idle // the most recently used is last
	closed bool
}

type idle struct {
	server *smtp.Client
	since  time.Time
}

// use runs a dialogue on a connection. The server may have closed an idle connection. If the check before the dialogue shows
// that, the dialogue runs on a new connection.
func (p *pool) use(ctx context.Context, dialogue func(*smtp.Client) error) error {
	if server := p.take(); server != nil {
		begun := false
		err := p.run(ctx, server, func(c *smtp.Client) error {
			if err := p.check(c); err != nil {
				return err
			}
			begun = true
			return dialogue(c)
		})
		if begun || ctx.Err() != nil {
			return err
		}
	}
	server, err := p.server.dial(ctx)
	if err != nil {
		return classifyError(stageConnect, err)
	}
	return p.run(ctx, server, dialogue)
}

// check returns an error if an idle connection no longer works. It resets the state of the last dialogue.
func (p *pool) check(server *smtp.Client) error {
	if err := server.UpdateDeadline(p.deadline); err != nil {
		return err
	}
	return server.Reset()
}

// run runs a dialogue, aborts it when ctx ends, and keeps the connection after success. After an error it closes the connection,
// because the state of the server is unknown.
func (p *pool) run(ctx context.Context, server *smtp.Client, dialogue func(*smtp.Client) error) error {
	// Close the text connection, because Close of the client waits for the command that hangs.
	stop := context.AfterFunc(ctx, func() { _ = server.Text.Close() })
	err := server.UpdateDeadline(p.deadline)
	if err == nil {
		err = dialogue(server)
	}
	if !stop() || err != nil {
		_ = server.Text.Close() // the error of the dialogue is reported
		return err
	}
	p.keep(server)
	return nil
}

// take returns the most recently used idle connection, nil if there is none, and closes those that were idle for too long.
func (p *pool) take() *smtp.Client {
	p.mu.Lock()
	defer p.mu.Unlock()
	oldest := time.Now().Add(-idleFor)
	for len(p.idle) > 0 && p.idle[0].since.Before(oldest) {
		go quit(p.idle[0].server)
		p.idle = p.idle[1:]
	}
	if len(p.idle) == 0 {
		return nil
	}
	latest := p.idle[len(p.idle)-1]
	p.idle = p.idle[:len(p.idle)-1]
	return latest.server
}

func (p *pool) keep(server *smtp.Client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) >= maxIdle {
		go quit(server)
		return
	}
	p.idle = append(p.idle, idle{server: server, since: time.Now()})
}

func (p *pool) close() {
	p.mu.Lock()
	kept := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	var closing sync.WaitGroup
	for _, k := range kept {
		closing.Go(func() { quit(k.server) })
	}
	closing.Wait()
}

// quit sends QUIT and closes the connection. It ignores errors, because every mail was answered before.
func quit(server *smtp.Client) {
	if err := server.UpdateDeadline(quitTimeout); err == nil {
		_ = server.Quit()
	}
	_ = server.Text.Close()
}
