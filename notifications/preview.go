package notifications

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"tillstream/events"
	"tillstream/events/api"
	eventlog "tillstream/events/log"
)

// Content is what a mail says, rendered again from the events in the log.
type Content struct {
	MessageID string `json:"message_id"`
	Subject   string `json:"subject"`
	Language  string `json:"language"` // BCP 47
	Text      string `json:"text"`
	HTML      string `json:"html"`
}

// content renders a message about an order again. The values are those of the mail, because they are in the log; wording, name and
// address of the shop are those of now. The link to the order is without the token with which the customer may change the order:
// staff have their own permissions. It returns [eventlog.ErrNotFound] and [ErrTemplate].
func (s *Service) content(ctx context.Context, orderID, messageID string) (Content, error) {
	subject, err := events.Subject(events.PrefixNotification, orderID)
	if err != nil {
		return Content{}, err
	}
	var queued *events.MessageQueued
	_, err = s.log.Since(ctx, []string{subject}, time.Unix(0, 0), func(m eventlog.Message) error {
		e, err := m.Event()
		if err != nil || m.Voided() {
			return nil //nolint:nilerr // another message about the order may be readable
		}
		if p, ok := e.Payload.(events.MessageQueued); ok && p.MessageID == messageID {
			queued = &p
		}
		return nil
	})
	if err != nil {
		return Content{}, fmt.Errorf("read the messages of order %s: %w", orderID, err)
	}
	if queued == nil {
		return Content{}, fmt.Errorf("message %.80q of order %s: %w", messageID, orderID, eventlog.ErrNotFound)
	}
	placed, err := s.readPlaced(ctx, orderID)
	if err != nil {
		return Content{}, err
	}
	preview := *s.renderer
	preview.orderURL = func(id string) string { return s.public + "/orders/" + url.PathEscape(id) }
	mail, err := preview.render(*queued, placed)
	return Content{MessageID: mail.MessageID, Subject: mail.Subject, Language: mail.Language, Text: mail.Text, HTML: mail.HTML}, err
}

type contentRequest struct {
	Order   string `path:"order" doc:"Id of the order"`
	Message string `path:"message" doc:"Id of the message"`
}

type contentResponse struct{ Body Content }

// getContent answers with a mail as it is rendered now.
func (s *Service) getContent(ctx context.Context, r *contentRequest) (*contentResponse, error) {
	content, err := s.content(ctx, r.Order, r.Message)
	if err != nil {
		return nil, api.Problems{Logger: s.logger, Table: problems}.Answer(ctx, err)
	}
	return &contentResponse{content}, nil
}
