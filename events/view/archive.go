package view

import (
	"fmt"
	"time"

	"tillstream/events"
	"tillstream/events/internal/feed"
)

// Archived is one message of the log as the archive keeps it: enough to put it back.
type Archived struct {
	ID      string              `bson:"_id"` // stream/sequence
	EventID string              `bson:"event_id"`
	Type    string              `bson:"type"`
	Subject string              `bson:"subject"`
	Stored  time.Time           `bson:"stored"` // by the broker
	Headers map[string][]string `bson:"headers"`
	Data    []byte              `bson:"data"`
}

func archived(stream string, m feed.Message) (Archived, error) {
	meta, err := m.Metadata()
	if err != nil {
		return Archived{}, fmt.Errorf("archive %s/%d: %w", stream, m.Sequence, err)
	}
	header := m.Headers()
	return Archived{
		ID: fmt.Sprintf("%s/%d", stream, m.Sequence), EventID: header.Get(events.HeaderID), Type: header.Get(events.HeaderType),
		Subject: m.Subject(), Stored: meta.Timestamp.UTC(), Headers: header, Data: m.Data(),
	}, nil
}
