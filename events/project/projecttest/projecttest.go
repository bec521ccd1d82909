// Package projecttest gives a test a database of its own: on the MongoDB that TEST_MONGODB_URI names, else on an embedded
// FerretDB inside the process. [Member] is a database that fails as a member of a replica set does.
package projecttest

import (
	"context"
	"errors"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events/embedded"
	"tillstream/events/project"
)

// Database opens an empty database. It is dropped when the test ends.
func Database(t testing.TB) *mongo.Database {
	t.Helper()
	db, _ := open(t)
	return db
}

// URI names such a database, for programs that the test starts.
func URI(t testing.TB) string {
	t.Helper()
	_, uri := open(t)
	return uri
}

func open(t testing.TB) (*mongo.Database, string) {
	t.Helper()
	at, err := url.Parse(server(t))
	if err != nil {
		t.Fatal(err)
	}
	at.Path = "/test_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	db, err := project.Connect(t.Context(), at.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := errors.Join(db.Drop(ctx), db.Client().Disconnect(ctx)); err != nil {
			t.Error(err)
		}
	})
	return db, at.String()
}

func server(t testing.TB) (uri string) {
	t.Helper()
	if uri := os.Getenv("TEST_MONGODB_URI"); uri != "" {
		return uri
	}
	server, err := embedded.StartMongo(embedded.MongoConfig{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	return server.URI()
}
