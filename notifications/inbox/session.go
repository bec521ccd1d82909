package inbox

import (
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/emersion/go-smtp"
)

func newServer(i *Inbox) *smtp.Server {
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &session{inbox: i}, nil
	}))
	s.Domain = "localhost"
	s.MaxMessageBytes = maxBytes
	s.MaxRecipients = 100
	s.EnableSMTPUTF8 = true
	s.ReadTimeout, s.WriteTimeout = patience, patience
	s.ErrorLog = serverLog{i.cfg.Logger}
	return s
}

// session is one client's connection; it may hand over any number of mails.
type session struct {
	inbox *Inbox
	from  string
	to    []string
}

// Mail implements smtp.Session.
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.from, s.to = from, nil
	return s.inbox.ask(StageMail, from, "")
}

// Rcpt implements smtp.Session.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if err := s.inbox.ask(StageRcpt, s.from, to); err != nil {
		return err
	}
	s.to = append(s.to, to)
	return nil
}

// Data implements smtp.Session. The server asks for it only after a recipient was taken.
func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := s.inbox.ask(StageData, s.from, s.to[0]); err != nil {
		return err
	}
	if err := s.inbox.keep(parse(raw, s.from, s.to)); err != nil {
		s.inbox.cfg.Logger.Error("keep mail", "error", err)
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: keepText(err)}
	}
	return s.inbox.ask(StageKept, s.from, s.to[0])
}

func keepText(err error) string {
	if errors.Is(err, ErrStopped) {
		return "The inbox is stopping, try again"
	}
	return "The mail could not be written down, try again"
}

// Reset implements smtp.Session.
func (s *session) Reset() { s.from, s.to = "", nil }

// Logout implements smtp.Session.
func (s *session) Logout() error { return nil }

// serverLog hands what the SMTP server says to slog.
type serverLog struct{ log *slog.Logger }

// Printf implements smtp.Logger.
func (l serverLog) Printf(format string, v ...any) { l.log.Warn(fmt.Sprintf(format, v...)) }

// Println implements smtp.Logger.
func (l serverLog) Println(v ...any) { l.log.Warn(fmt.Sprint(v...)) }
