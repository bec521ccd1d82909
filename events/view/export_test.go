package view

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"
)

// For tests from outside.
var (
	CreateIndexes = createIndexes
	Useful        = useful
)

// Hold pauses a view as a rebuild does, but renews the pause only when it is told to.
func Hold(ctx context.Context, js jetstream.JetStream, v View) (renew, release func(context.Context) error, err error) {
	h := &hold{js: js, view: v, ended: make(chan struct{}), stop: func() {}}
	close(h.ended)
	return h.extend, h.release, h.extend(ctx)
}
