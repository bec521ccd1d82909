package notifications

import (
	"context"
	"errors"
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

// The errors of [Mailer.Send] and of rendering. Any other error means that the mail was not delivered and can be sent later.
var (
	// ErrRefused is returned when the server refuses this mail permanently, or the address is invalid.
	ErrRefused = errors.New("refused permanently")
	// ErrShopRefused is returned when the server refuses the shop: its name, address, account or limits. The mail was not
	// delivered, and every other mail would be refused until operators act or the limit passes.
	ErrShopRefused = errors.New("mail server refuses the shop")
	// ErrUnanswered is returned when the server did not reply after the mail was transmitted, or the connection broke. The mail may
	// have been delivered.
	ErrUnanswered = errors.New("mail transmitted without an answer")
	// ErrTemplate is returned for a message with an unknown template or unreadable facts.
	ErrTemplate = errors.New("message cannot be rendered")

	// errServerDown is returned when the server cannot be reached, or accepts no mail at the moment.
	errServerDown = errors.New("mail server is unavailable")
	// errRecipientDeferred is returned when the recipient is deferred: greylisted, over quota, a domain that cannot be looked
	// up. The server accepts other mails.
	errRecipientDeferred = errors.New("recipient is deferred")
	// errTakenOver is returned when another process has sent the message or has started to send it.
	errTakenOver = errors.New("message was taken over by another process")
)

// Mail is a rendered message.
type Mail struct {
	Also      []netmail.Address // further recipients
	Date      time.Time
	From      netmail.Address
	HTML      string
	Language  string // BCP 47, of the content
	MessageID string // without brackets
	Subject   string
	Text      string
	To        netmail.Address
}

// Mailer sends mails to a mail server over connections that it keeps open. It is safe for concurrent use.
type Mailer struct {
	pool *pool
}

// NewMailer returns a mailer for the server of a URL:
//
//	smtp://user:password@host:587          STARTTLS, required
//	smtp://host:1025?tls=none              plain, for a server on the same machine
//	smtp://host:25?tls=opportunistic       STARTTLS if the server offers it
//	smtps://user:password@host:465         TLS from the first byte
//
// ehlo is the name of the shop in EHLO, "" for the machine's. deadline bounds one mail, from the connection to the server's last
// reply. NewMailer does not connect.
func NewMailer(smtpURL, ehlo string, deadline time.Duration) (*Mailer, error) {
	server, err := parseURL(smtpURL, ehlo, deadline)
	if err != nil {
		return nil, err
	}
	return &Mailer{pool: &pool{server: server, deadline: deadline}}, nil
}

// Close closes the idle connections. Connections in use are closed after their mail.
func (m *Mailer) Close() { m.pool.close() }

// Send sends a mail. It calls begin after the server has accepted the recipient and before the first byte of the mail. If begin
// returns an error, Send ends the dialogue and returns that error unchanged. Send returns nil if the server accepted the mail, or
// [ErrRefused], [ErrShopRefused], [ErrUnanswered], or another error for a mail that was not delivered and can be sent later.
func (m *Mailer) Send(ctx context.Context, letter Mail, begin func() error) error {
	msg, err := compose(letter)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, m.pool.deadline)
	defer cancel()
	return m.pool.use(ctx, func(server *smtp.Client) error { return transmit(server, msg, begin) })
}

// transmit is the SMTP dialogue of one mail. It does not use go-mail's method for the whole dialogue, because begin must run
// between RCPT and DATA.
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
	if err := nameRecipients(server, recipients); err != nil {
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
		// Without the closing dot the mail is incomplete, and the server must discard it (RFC 5321 §4.1.1.4).
		return fmt.Errorf("write mail: %w", err)
	}
	err = data.Close()
	failpoint.At("notifications.after_data")
	if _, replied := replyOf(err); err != nil && !replied {
		return fmt.Errorf("%w: %w", ErrUnanswered, err)
	}
	return classifyError(stageEnd, err)
}

// nameRecipients names the recipients of a mail. One that the server refuses does not keep the mail from the others.
func nameRecipients(server *smtp.Client, recipients []string) error {
	refusals := make([]error, 0, len(recipients))
	for _, recipient := range recipients {
		if err := server.Rcpt(recipient); err != nil {
			refusals = append(refusals, err)
		}
	}
	if len(refusals) == len(recipients) {
		return refusals[0]
	}
	return nil
}

// compose builds the MIME message, with text and HTML as alternatives. Auto-Submitted prevents automatic replies (RFC 3834).
// There are no List headers, because a customer cannot unsubscribe from an order.
func compose(m Mail) (*mail.Msg, error) {
	if !isAddress(m.To.Address) {
		return nil, fmt.Errorf("%w: not an e-mail address", ErrRefused)
	}
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	m.From.Name, m.To.Name = oneLine(m.From.Name), oneLine(m.To.Name)
	msg.FromMailAddress(&m.From)
	msg.ToMailAddress(&m.To)
	for _, also := range m.Also {
		also.Name = oneLine(also.Name)
		msg.AddToMailAddress(&also)
	}
	msg.Subject(oneLine(m.Subject))
	msg.SetMessageIDWithValue(m.MessageID)
	msg.SetDateWithValue(m.Date)
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader("Content-Language", m.Language)
	msg.SetBodyString(mail.TypeTextPlain, m.Text)
	msg.AddAlternativeString(mail.TypeTextHTML, m.HTML)
	return msg, nil
}

// isAddress reports whether a text is one bare address, and not a header or a second recipient.
func isAddress(address string) bool {
	parsed, err := netmail.ParseAddress(address)
	return err == nil && parsed.Address == address && !strings.ContainsFunc(address, unicode.IsControl)
}

// oneLine returns a text that is safe in a header: CR, LF and other control characters become spaces.
func oneLine(text string) string {
	words := strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) || unicode.IsSpace(r) || unicode.Is(unicode.Bidi_Control, r)
	})
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " ")
}
