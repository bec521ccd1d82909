// Package projecttest is the test kit for projections and the archive.
//
// [Database] gives a test a MongoDB database of its own: on the server that TEST_MONGODB_URI names, otherwise on an embedded
// FerretDB in the process. [Member] is a database that fails as the primary of a replica set does. [Start] runs a worker, and
// [CheckArchive] compares the archive that it has written with the log.
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

// Database opens an empty database, which is dropped when the test ends.
func Database(t testing.TB) *mongo.Database {
	t.Helper()
	db, _ := open(t)
	return db
}

// URI returns the address of an empty database, for programs that the test starts.
func URI(t testing.TB) string {
	t.Helper()
	_, uri := open(t)
	return uri
}

func open(t testing.TB) (*mongo.Database, string) {
	t.Helper()
	address, err := url.Parse(serverURI(t))
	if err != nil {
		t.Fatal(err)
	}
	address.Path = "/test_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	db, err := project.Connect(t.Context(), address.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := errors.Join(db.Drop(ctx), db.Client().Disconnect(ctx)); err != nil {
			t.Error(err)
		}
	})
	return db, address.String()
}

func serverURI(t testing.TB) string {
	t.Helper()
	if uri := os.Getenv("TEST_MONGODB_URI"); uri != "" {
		return uri
	}
	return startFerret(t).URI()
}

// startFerret runs an embedded FerretDB until the test ends.
func startFerret(t testing.TB) *embedded.Mongo {
	t.Helper()
	server, err := embedded.StartMongo(embedded.MongoConfig{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	return server
}
