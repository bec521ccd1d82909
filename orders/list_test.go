package orders

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// The list of staff is not available while the database is away, or while this process disconnects from it: the same request may
// succeed later.
func TestListWithoutDatabaseIsUnavailable(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]func(*mongo.Client) error{
		"NothingListens": func(*mongo.Client) error { return nil },
		"Disconnected":   func(c *mongo.Client) error { return c.Disconnect(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, err := mongo.Connect(options.Client().ApplyURI("mongodb://127.0.0.1:1").SetServerSelectionTimeout(100 * time.Millisecond))
			if err != nil {
				t.Fatal(err)
			}
			if err := away(client); err != nil {
				t.Fatal(err)
			}
			s := &Service{config: Config{DB: client.Database("shop"), Logger: slog.New(slog.DiscardHandler)}}
			_, err = s.list(t.Context(), &listInput{Limit: 1})
			var status huma.StatusError
			var headers huma.HeadersError
			if !errors.As(err, &status) || status.GetStatus() != http.StatusServiceUnavailable || !errors.As(err, &headers) || headers.GetHeaders().Get("Retry-After") == "" {
				t.Errorf("got %v, want 503 with Retry-After", err)
			}
		})
	}
}
