package notifications

import (
	"context"
	"fmt"
	netmail "net/mail"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"tillstream/events/failpoint"
)

// Mail is one renderOutcome message.
type Mail struct {
	Date      time.Time
	From      netmail.Address
	HTML      string
	Language  string // BCP 47, of what is written in it
	MessageID string // without brackets
	Subject   string
	Text      string
	To        netmail.Address
}

// Mailer hands mails to a mail server over connections that it keeps open. It is safe for concurrent use.
type Mailer struct {
	pool *pool
}

// NewMailer reads the address of a mail server:
//
//	smtp://user:password@host:587          STARTTLS, required
//	smtp://host:1025?tls=none              plain, for a server on the same machine
//	smtp://host:25?tls=opportunistic       STARTTLS if the server offers it
//	smtps://user:password@host:465         TLS from the first byte
//
// ehlo is the name that the shop gives itself; "" stands for the machine's. deadline bounds one mail, from dialling to the
// server's last word. Nothing is dialled yet.
func NewMailer(smtpURL, ehlo string, deadline time.Duration) (*Mailer, error) {
	server, err := parseURL(smtpURL, ehlo, deadline)
	if err != nil {
		return nil, err
	}
	return &Mailer{pool: &pool{server: server, deadline: deadline}}, nil
}

// Close says goodbye on the connections that are idle; those at work are closed when they are done.
func (m *Mailer) Close() { m.pool.close() }

// Send hands a mail over. Once the server has consented to the recipient, and before the first byte of the mail, it calls
// begin; an error of begin ends the dialogue and is returned as it is. Otherwise it returns nil when the server took the
// mail, [ErrRefused], [ErrShopRefused], [ErrUnanswered], or an error that means: not delivered, for now.
func (m *Mailer) Send(ctx context.Context, letter Mail, begin func() error) error {
	msg, err := compose(letter)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, m.pool.deadline)
	defer cancel()
	return m.pool.use(ctx, func(server *smtp.Client) error { return transmit(server, msg, begin) })
}

// deliver is the SMTP dialogue of one mail. It speaks it itself, where go-mail has a method for all of it, because what
// was said to the log must be said between RCPT and DATA.
func transmit(server *smtp.Client, msg *mail.Msg, begin func() error) error {
	sender, err := msg.GetSender(false)
	if err != nil {
		return fmt.Errorf("%w: sender: %w", ErrRefused, err)
	}
	recipients, err := msg.GetRecipients()
	if err != nil {
		return fmt.Errorf("%w: recipient: %w", ErrRefused, err)
	}
	if err := server.Mail(sender); err != nil {
		return classifyError(stageMail, err)
	}
	if err := server.Rcpt(recipients[0]); err != nil {
		return classifyError(stageRcpt, err)
	}
	if err := begin(); err != nil {
		return err
	}
	failpoint.At("notifications.before_data")
	data, err := server.Data()
	if err != nil {
		return classifyError(stageData, err)
	}
	if _, err := msg.WriteTo(data); err != nil {
		// Without the closing dot the server has half a mail, which it must throw away (RFC 5321 §4.1.1.4).
		return fmt.Errorf("write mail: %w", err)
	}
	err = data.Close()
	failpoint.At("notifications.after_data")
	if _, replied := replyOf(err); err != nil && !replied {
		return fmt.Errorf("%w: %w", ErrUnanswered, err)
	}
	return classifyError(stageEnd, err)
}

// compose builds the MIME message: text and HTML as alternatives. Auto-Submitted keeps holiday responders quiet
// (RFC 3834); there are no List headers, because nobody can unsubscribe from their own order.
func compose(m Mail) (*mail.Msg, error) {
	if !isAddress(m.To.Address) {
		return nil, fmt.Errorf("%w: not an e-mail address", ErrRefused)
	}
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	m.From.Name, m.To.Name = oneLine(m.From.Name), oneLine(m.To.Name)
	msg.FromMailAddress(&m.From)
	msg.ToMailAddress(&m.To)
	msg.Subject(oneLine(m.Subject))
	msg.SetMessageIDWithValue(m.MessageID)
	msg.SetDateWithValue(m.Date)
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader("Content-Language", m.Language)
	msg.SetBodyString(mail.TypeTextPlain, m.Text)
	msg.AddAlternativeString(mail.TypeTextHTML, m.HTML)
	return msg, nil
}

// isAddress accepts one bare address and nothing that could be read as a header or a second recipient.
func isAddress(address string) bool {
	parsed, err := netmail.ParseAddress(address)
	return err == nil && parsed.Address == address && !strings.ContainsFunc(address, unicode.IsControl)
}

// oneLine makes a text fit for a header: CR, LF and other control characters become spaces.
func oneLine(text string) string {
	words := strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) || unicode.IsSpace(r) || unicode.Is(unicode.Bidi_Control, r)
	})
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " ")
}
