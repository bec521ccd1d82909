package invariants

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"io"
	"net/http"
	"slices"
	"strings"

	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/target"
	"tillstream/events"
)

// hashSeed makes hashes comparable within the process. Among ten million mails the chance that two have the same 64 bits is
// one in 400,000; the false alarm is then examined by a person.
var hashSeed = maphash.MakeSeed()

func hash(text string) uint64 { return maphash.String(hashSeed, text) }

// mail is how often a mail was sent according to the log.
type mail struct {
	queued   bool
	attempts uint16
	sent     uint16
}

// addMail finds a template that is queued twice about one fact, and a mail that is sent twice. A mail that was never queued
// has no fact, so a second one about the same fact could not be found.
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
			l.find(MailedOnce, "order "+id, fmt.Sprintf("mail %s is sent again after it was sent", p.MessageID))
		case !m.queued:
			l.find(MailedOnce, "order "+id, fmt.Sprintf("mail %s is sent but was never queued", p.MessageID))
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

// mailbox counts the mails in the mailbox.
type mailbox struct {
	total  int
	copies map[string]int // by Message-ID; nil if there is no mailbox
}

// mailKey returns the API key if the mailbox is that of the shop itself. No other mailbox gets the key.
func mailKey(shop target.Shop) string {
	if shop.Mail != shop.Ops {
		return ""
	}
	return shop.OpsKey
}

// readMailbox counts the mails in the mailbox. It decodes one at a time, because a mailbox of thousands needs too much memory
// at once.
func (c *checker) readMailbox(ctx context.Context) error {
	if c.Mail == "" {
		c.skipped[MailedOnce] = "the mailbox (pass --mail)"
		return nil
	}
	body, err := c.get(ctx, strings.TrimSuffix(strings.TrimRight(c.Mail, "/"), "/mail")+"/mail/messages", c.MailToken)
	if err != nil {
		return err
	}
	defer body.Close()
	c.mailbox = mailbox{copies: map[string]int{}}
	decoder := json.NewDecoder(body)
	if err := enterArray(decoder, "messages"); err != nil {
		return fmt.Errorf("read mailbox: %w", err)
	}
	for decoder.More() {
		var message struct {
			MessageID string `json:"message_id"`
		}
		if err := decoder.Decode(&message); err != nil {
			return fmt.Errorf("read mailbox: %w", err)
		}
		c.mailbox.total++
		c.mailbox.copies[strings.Trim(message.MessageID, "<> ")]++
		c.done.Add(1)
	}
	return nil
}

// enterArray reads up to the first element of an array that is a member of the outermost object.
func enterArray(decoder *json.Decoder, name string) error {
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return fmt.Errorf("want an object, got %v: %w", token, err)
	}
	for {
		token, err := decoder.Token()
		if err != nil {
			return fmt.Errorf("find %q: %w", name, err)
		}
		if token == name {
			break
		}
		var skipped json.RawMessage
		if err := decoder.Decode(&skipped); err != nil {
			return fmt.Errorf("find %q: %w", name, err)
		}
	}
	if token, err := decoder.Token(); err != nil || token != json.Delim('[') {
		return fmt.Errorf("want an array of %s, got %v: %w", name, token, err)
	}
	return nil
}

// checkMailbox is I4 in the mailbox. A worker that is killed after it sent a mail and before it appended the result sends the
// mail again, with the same Message-ID and as another attempt in the log. There may not be more copies than attempts.
func (c *checker) checkMailbox() {
	if c.mailbox.copies == nil {
		return
	}
	again := 0
	for id, copies := range c.mailbox.copies {
		attempts := 1
		if m, ok := c.ledger.mails[hash(id)]; ok {
			attempts = max(attempts, int(m.attempts))
		}
		if copies > attempts {
			c.ledger.find(MailedOnce, "mail "+id, fmt.Sprintf("is in the mailbox %d times, but the log has %s", copies, output.Count(attempts, "attempt")))
		} else if copies > 1 {
			again++
		}
	}
	c.scopes[MailedOnce] += fmt.Sprintf(", %s in the mailbox", output.Number(c.mailbox.total))
	if again > 0 {
		c.scopes[MailedOnce] += fmt.Sprintf(" (%s sent again after a crash, with the same Message-ID)", output.Number(again))
	}
}

// get fetches a URL. The caller closes the body.
func (c *checker) get(ctx context.Context, url, bearer string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", url, err)
	}
	if bearer != "" {
		request.Header.Set("Authorization", "Bearer "+bearer)
	}
	response, err := c.Client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%w; is it running?", err) // it names method and URL
	}
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 300)) // without it the error is only shorter
		_ = response.Body.Close()                                 // it was only read
		return nil, fmt.Errorf("get %s: %s: %s", url, response.Status, strings.TrimSpace(string(text)))
	}
	return response.Body, nil
}
