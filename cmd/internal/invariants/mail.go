package invariants

import (
	"fmt"
	"hash/maphash"
	"slices"

	"tillstream/events"
)

// seed makes hashes comparable within the process. 64 bits tell ten million mails apart with a chance of error of one
// in 400,000, and a false alarm is read by a person.
var seed = maphash.MakeSeed()

func hash(text string) uint64 { return maphash.String(seed, text) }

// mail is how often a message was handed to the mail server, as far as the log knows.
type mail struct {
	queued   bool
	attempts uint16
	sent     uint16
}

// addMail finds what the log says twice: a template queued again for one fact, or one message sent again. A message that
// was never queued has no fact, so nothing could tell whether it is the second about one.
func (l *ledger) addMail(id string, o *order, p events.Payload) {
	switch p := p.(type) {
	case events.MessageQueued:
		key := hash(p.Template + "\n" + p.Fact)
		if slices.Contains(o.queued, key) {
			l.find(MailedOnce, "order "+id, fmt.Sprintf("mail %s about event %s is queued twice", p.Template, p.Fact))
			return
		}
		o.queued = append(o.queued, key)
		l.mail(p.MessageID).queued = true
	case events.MessageSending:
		m := l.mail(p.MessageID)
		m.attempts++
		switch {
		case m.sent > 0:
			l.find(MailedOnce, "order "+id, fmt.Sprintf("mail %s is handed over again after it was sent", p.MessageID))
		case !m.queued:
			l.find(MailedOnce, "order "+id, fmt.Sprintf("mail %s is handed over and was never queued", p.MessageID))
		}
	case events.MessageSent:
		if m := l.mail(p.MessageID); m.sent == 0 {
			m.sent++
		} else {
			l.find(MailedOnce, "order "+id, fmt.Sprintf("mail %s is sent twice", p.MessageID))
		}
	}
}

func (l *ledger) mail(messageID string) *mail {
	key := hash(messageID)
	m, ok := l.mails[key]
	if !ok {
		m = &mail{}
		l.mails[key] = m
	}
	return m
}
