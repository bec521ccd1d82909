package invariants

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// mailbox is how many messages with one Message-ID the mailbox holds.
type mailbox struct {
	total int
	by    map[string]int
}

// readMailbox counts the mailbox, message by message: with thousands of mails its answer is not one to hold in memory.
func (c *checker) readMailbox(ctx context.Context) error {
	if c.Mail == "" {
		c.skipped[MailedOnce] = "the mailbox: none was given (--mail)"
		return nil
	}
	body, err := c.get(ctx, strings.TrimSuffix(strings.TrimRight(c.Mail, "/"), "/mail")+"/mail/messages", "")
	if err != nil {
		return err
	}
	defer body.Close()
	c.mailbox = mailbox{by: map[string]int{}}
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
		c.mailbox.by[strings.Trim(message.MessageID, "<> ")]++
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

// checkMailbox is I4 at the other end. A worker that was killed between handing a mail over and noting it down may hand
// it over once more, under the same Message-ID and on record as a further attempt; more copies than attempts it may not.
func (c *checker) checkMailbox() {
	if c.mailbox.by == nil {
		return
	}
	again := 0
	for id, copies := range c.mailbox.by {
		attempts := 1
		if m, ok := c.ledger.mails[hash(id)]; ok {
			attempts = max(attempts, int(m.attempts))
		}
		if copies > attempts {
			c.ledger.find(MailedOnce, "mail "+id, fmt.Sprintf("is in the mailbox %d times, and the log knows of %d attempts", copies, attempts))
		} else if copies > 1 {
			again++
		}
	}
	c.scopes[MailedOnce] += fmt.Sprintf(", %d in the mailbox", c.mailbox.total)
	if again > 0 {
		c.scopes[MailedOnce] += fmt.Sprintf(" (%d sent again after a crash, under their first Message-ID)", again)
	}
}

// get fetches a URL; the caller closes the body.
func (c *checker) get(ctx context.Context, url, bearer string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", url, err)
	}
	if bearer != "" {
		request.Header.Set("Authorization", "Bearer "+bearer)
	}
	response, err := c.Client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%w; is it running?", err) // names method and URL already
	}
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 300)) // only to tell more about an error that is told anyway
		_ = response.Body.Close()                                 // it was only read
		return nil, fmt.Errorf("ask %s: %s: %s", url, response.Status, strings.TrimSpace(string(text)))
	}
	return response.Body, nil
}
