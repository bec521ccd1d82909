package orders

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"tillstream/events/log/logtest"
)

// Staff list orders while the database is away.
func TestListNeedsNoDatabase(t *testing.T) {
	t.Parallel()
	client, err := mongo.Connect(options.Client().ApplyURI("mongodb://127.0.0.1:1").SetServerSelectionTimeout(100 * time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Disconnect(context.WithoutCancel(t.Context())) })
	l := logtest.Open(t)
	s := &Service{index: listOf(3), config: Config{DB: client.Database("shop"), Log: l, Logger: slog.New(slog.DiscardHandler)}}
	out, err := s.list(t.Context(), &listInput{Limit: 2})
	if err != nil || len(out.Body.Orders) != 2 || out.Body.Total != 3 || out.Body.NextCursor == "" {
		t.Errorf("got %+v, %v; want two of three orders and a cursor", out, err)
	}
}
