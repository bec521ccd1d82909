package inbox

import (
	"context"
	"regexp"

	"github.com/emersion/go-smtp"
)

// Stage is a point in the taking of a mail at which a test may step in.
type Stage string

const (
	// StageMail is the sender's address; there is no recipient yet.
	StageMail Stage = "MAIL"

	// StageRcpt is one recipient's address.
	StageRcpt Stage = "RCPT"

	// StageData is after the whole mail arrived and before it is kept: what is refused here was never received.
	StageData Stage = "DATA"

	// StageKept is after the mail was kept and before the client hears so: what hangs here was received, and the
	// client cannot know.
	StageKept Stage = "KEPT"
)

// Behaviour is asked at every stage. Nil goes on; Refuse answers with a code; another error answers 554. To hang, wait
// for ctx, which ends when the inbox stops. At StageData and StageKept it is asked once per mail, with the first recipient.
type Behaviour func(ctx context.Context, at Stage, from, to string) error

// Refuse is an answer for a Behaviour: 4xx asks the client to try again, 5xx not to. The text may begin with an enhanced
// status code, as in Refuse(554, "5.7.1 Relay access denied"); default: X.0.0.
func Refuse(code int, text string) error {
	refusal := &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 0, 0}, Message: text}
	if statusCode.MatchString(text) {
		refusal.EnhancedCode = smtp.NoEnhancedCode // the text has it
	}
	return refusal
}

var statusCode = regexp.MustCompile(`^[45]\.\d{1,3}\.\d{1,3}\b`)

// Behave makes the inbox ask b from now on; nil makes it take everything again.
func (i *Inbox) Behave(b Behaviour) {
	i.behaviour.Store(&b)
}

// ask is nil unless a test wants something else. go-smtp looks at the error's own type, so it is passed on as it is.
func (i *Inbox) ask(at Stage, from, to string) error {
	b := i.behaviour.Load()
	if b == nil || *b == nil {
		return nil
	}
	return (*b)(i.running, at, from, to)
}
