package log

import (
	"context"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// batch is requests that are stored together.
type batch struct {
	js       jetstream.JetStream
	requests []*request
	messages int
	expected int             // requests
	subjects map[string]bool // that a request has expectations about
	sent     *sending        // nil as long as its messages are to be published one by one
}

func newBatch(js jetstream.JetStream, expected int) *batch {
	return &batch{js: js, expected: expected, subjects: map[string]bool{}}
}

// fits reports whether a request may join: two expectations about one subject cannot both hold in one batch.
func (b *batch) fits(r *request) bool {
	if b.messages+len(r.messages) > MaxBatch {
		return false
	}
	for _, m := range r.messages {
		if _, expects := expectation(m); expects && b.subjects[m.Subject] {
			return false
		}
	}
	return true
}

// maxSingles is how many lone messages are cheaper to publish one by one than as an atomic batch, where each is synced by
// itself but many are on the way. For an atomic batch a broker with one replica makes and deletes a store of its own:
// measured on ext4 with nats-server 2.15.2, 2.1 to 2.9 ms and 12 µs per message, against 80 to 220 µs for a single one.
const maxSingles = 20

// add takes a request in. Once it is clear, or likely, that this becomes an atomic batch, it is on its way while more
// requests are waited for: the broker makes its store meanwhile.
func (b *batch) add(r *request) {
	b.requests = append(b.requests, r)
	b.messages += len(r.messages)
	for _, m := range r.messages {
		if _, expects := expectation(m); expects {
			b.subjects[m.Subject] = true
		}
	}
	switch {
	case b.sent != nil:
		b.sent.add(r)
	case len(r.messages) > 1 || max(len(b.requests), b.expected) > maxSingles:
		b.sent = begin(b.js, b.requests...)
	}
}

// expectation returns the sequence that a message expects its subject to end at.
func expectation(m *nats.Msg) (seq uint64, expects bool) {
	values := m.Header[jetstream.ExpectedLastSubjSeqHeader]
	if len(values) == 0 {
		return 0, false
	}
	seq, err := strconv.ParseUint(values[0], 10, 64)
	return seq, err == nil
}

// sending is an atomic batch on its way to the broker, which stages it. The last message is held back, to be sent as the
// commit.
type sending struct {
	publisher jetstreamext.BatchPublisher
	held      *nats.Msg
	err       error // why a message could not be sent
}

func begin(js jetstream.JetStream, requests ...*request) *sending {
	s := &sending{}
	s.publisher, s.err = jetstreamext.NewBatchPublisher(js, jetstreamext.BatchFlowControl{AckFirst: false})
	for _, r := range requests {
		s.add(r)
	}
	return s
}

func (s *sending) add(r *request) {
	for _, m := range r.messages {
		if s.held != nil && s.err == nil {
			s.err = s.publisher.AddMsg(s.held)
		}
		delete(m.Header, jetstreamext.BatchCommitHeader) // left by an earlier try in another batch
		s.held = m
	}
}

// commit sends what was held back and returns the sequence of the last message.
func (s *sending) commit(ctx context.Context) (uint64, error) {
	if s.err != nil {
		return 0, s.err
	}
	ack, err := s.publisher.CommitMsg(ctx, s.held)
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// clearBatch removes what an earlier try in a batch has left.
func clearBatch(m *nats.Msg) {
	for _, header := range []string{jetstreamext.BatchIDHeader, jetstreamext.BatchSeqHeader, jetstreamext.BatchCommitHeader} {
		delete(m.Header, header)
	}
}
