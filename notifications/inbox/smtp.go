package inbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"

	"github.com/emersion/go-smtp"
)

// Stage is a point in the receipt of a mail at which a test can intervene.
type Stage string

const (
	// StageMail is the sender's address; there is no recipient yet.
	StageMail Stage = "MAIL"

	// StageRcpt is one recipient's address.
	StageRcpt Stage = "RCPT"

	// StageData is after the whole mail has arrived and before it is stored: a mail that is refused here was not received.
	StageData Stage = "DATA"

	// StageStored is after the mail is stored and before the client is answered: a mail that is refused here was received, but
	// the client is told that it was not.
	StageStored Stage = "KEPT"
)

// Interceptor is called at every stage. Nil accepts the mail; an error of Refuse is answered with its code, another error with
// 554. To hang, wait for ctx, which ends when the inbox stops. At StageData and StageStored it is called once per mail, with the
// first recipient.
type Interceptor func(ctx context.Context, at Stage, from, to string) error

// Refuse returns the error with which an Interceptor refuses a mail: with 4xx temporarily, with 5xx permanently. The text may
// begin with an enhanced status code, as in Refuse(554, "5.7.1 Relay access denied"); default X.0.0.
func Refuse(code int, text string) error {
	refusal := &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 0, 0}, Message: text}
	if statusCode.MatchString(text) {
		refusal.EnhancedCode = smtp.NoEnhancedCode // it is in the text
	}
	return refusal
}

var statusCode = regexp.MustCompile(`^[45]\.\d{1,3}\.\d{1,3}\b`)

// Intercept sets the interceptor. Nil accepts every mail.
func (i *Inbox) Intercept(f Interceptor) { i.interceptor.Store(&f) }

// intercept returns the interceptor's error unchanged, because go-smtp checks its type.
func (i *Inbox) intercept(at Stage, from, to string) error {
	f := i.interceptor.Load()
	if f == nil || *f == nil {
		return nil
	}
	return (*f)(i.running, at, from, to)
}

func newServer(i *Inbox) *smtp.Server {
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &session{inbox: i}, nil
	}))
	s.Domain = "localhost"
	s.MaxMessageBytes = maxBytes
	s.MaxRecipients = 100
	s.EnableSMTPUTF8 = true
	s.ReadTimeout, s.WriteTimeout = idleTimeout, idleTimeout
	s.ErrorLog = serverLog{i.cfg.Logger}
	return s
}

// session is one connection of a client, over which any number of mails arrive.
type session struct {
	inbox *Inbox
	from  string
	to    []string
}

// Mail implements smtp.Session.
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.from, s.to = from, nil
	return s.inbox.intercept(StageMail, from, "")
}

// Rcpt implements smtp.Session.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if err := s.inbox.intercept(StageRcpt, s.from, to); err != nil {
		return err
	}
	s.to = append(s.to, to)
	return nil
}

// Data implements smtp.Session. The server calls it only after Rcpt accepted a recipient.
func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := s.inbox.intercept(StageData, s.from, s.to[0]); err != nil {
		return err
	}
	if err := s.inbox.keep(parse(raw, s.from, s.to)); err != nil {
		s.inbox.cfg.Logger.Error("store mail", "error", err)
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: refusalText(err)}
	}
	return s.inbox.intercept(StageStored, s.from, s.to[0])
}

func refusalText(err error) string {
	if errors.Is(err, ErrStopped) {
		return "The inbox is stopping, try again"
	}
	return "The mail could not be stored, try again"
}

// Reset implements smtp.Session.
func (s *session) Reset() { s.from, s.to = "", nil }

// Logout implements smtp.Session.
func (s *session) Logout() error { return nil }

// serverLog logs the SMTP server's messages with slog.
type serverLog struct{ log *slog.Logger }

// Printf implements smtp.Logger.
func (l serverLog) Printf(format string, v ...any) { l.log.Warn(fmt.Sprintf(format, v...)) }

// Println implements smtp.Logger.
func (l serverLog) Println(v ...any) { l.log.Warn(fmt.Sprint(v...)) }
