package main

import (
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
)

// Row 16 of the fault matrix: what somebody has changed in the broker behind our back, the log or the dead letters, keeps the
// shop from opening, and it says what differs. Closed it keeps the broker there, to be put right. Put back, it opens again.
func TestAShopDoesNotOpenOnWhatSomebodyChanged(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]tampering{
		"Stream":      discarding(events.StreamShop),
		"DeadLetters": discarding(events.StreamDeadLetters),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			change.refused(t)
		})
	}
}

// tampering is a change in the broker, and what the shop says to it.
type tampering struct {
	says string
	stir func(t *testing.T, js jetstream.JetStream, putBack bool)
}

// discarding has a stream drop its oldest events when it is full.
func discarding(stream string) tampering {
	return tampering{says: stream + `: discard is "old", want "new"`, stir: func(t *testing.T, js jetstream.JetStream, put bool) {
		t.Helper()
		s, err := js.Stream(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		config := s.CachedInfo().Config
		config.Discard = map[bool]jetstream.DiscardPolicy{false: jetstream.DiscardOld, true: jetstream.DiscardNew}[put]
		if _, err := js.UpdateStream(t.Context(), config); err != nil {
			t.Fatal(err)
		}
	}}
}

func (c tampering) refused(t *testing.T) {
	t.Helper()
	broker := logtest.Server(t).URL() // it outlives the shop
	js := jetStreamOf(t, broker)
	config := testConfig(t, func(config *Config) { config.NATSURL = broker })
	openShop(t, config).close(t)
	c.stir(t, js, false)
	err := Run(t.Context(), config, slog.New(slog.DiscardHandler), io.Discard)
	if !errors.Is(err, log.ErrDrift) || !strings.Contains(err.Error(), c.says) {
		t.Fatalf("the shop ended with %v, want ErrDrift and %q", err, c.says)
	}
	closed := config
	closed.Closed = true
	openShop(t, closed).close(t) // so that it can be put right
	c.stir(t, js, true)
	openShop(t, config).close(t)
}

func jetStreamOf(t *testing.T, url string) jetstream.JetStream {
	t.Helper()
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js
}
