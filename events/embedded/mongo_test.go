package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
)

func TestMongoKeepsDocumentsAcrossRestart(t *testing.T) {
	t.Parallel()
	cfg := MongoConfig{Dir: t.TempDir(), Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	first := startMongo(t, cfg)
	client := connect(t, first)
	if _, err := client.Database("shop").Collection("orders").InsertOne(t.Context(), bson.M{"_id": "a", "seq": 7}); err != nil {
		t.Fatal(err)
	}
	if err := client.Disconnect(t.Context()); err != nil {
		t.Fatal(err)
	}
	first.Stop()
	first.Stop() // the second Stop does nothing

	orders := connect(t, startMongo(t, cfg)).Database("shop").Collection("orders")
	var got bson.M
	if err := orders.FindOne(t.Context(), bson.M{"_id": "a"}).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(bson.M{"_id": "a", "seq": int32(7)}, got); diff != "" {
		t.Fatalf("document after the restart (-want +got):\n%s", diff)
	}
}

func TestMongoRefusesAnAddressInUse(t *testing.T) {
	t.Parallel()
	taken := listen(t)
	_, err := StartMongo(MongoConfig{Addr: taken, Dir: t.TempDir()})
	if !errors.Is(err, ErrAddrInUse) || !strings.Contains(err.Error(), "address "+taken+" is in use") {
		t.Fatalf("StartMongo on %s: got %v, want ErrAddrInUse", taken, err)
	}
}

func TestMongoRefusesADirectoryInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	startMongo(t, MongoConfig{Dir: dir})
	if _, err := StartMongo(MongoConfig{Dir: dir}); !errors.Is(err, ErrDirInUse) {
		t.Fatalf("second StartMongo: got %v, want ErrDirInUse", err)
	}
}

func TestMongoReportsDuplicateKeysByIndex(t *testing.T) {
	t.Parallel()
	orders := connect(t, startMongo(t, MongoConfig{Dir: t.TempDir()})).Database("shop").Collection("orders")
	unique := mongo.IndexModel{Keys: bson.D{{Key: "number", Value: 1}}, Options: options.Index().SetUnique(true)}
	if _, err := orders.Indexes().CreateOne(t.Context(), unique); err != nil {
		t.Fatal(err)
	}
	if _, err := orders.InsertOne(t.Context(), bson.M{"_id": "a", "number": "1"}); err != nil {
		t.Fatal(err)
	}

	_, err := orders.InsertMany(t.Context(), []any{
		bson.M{"_id": "a", "number": "2"},
		bson.M{"_id": "b", "number": "1"},
		bson.M{"_id": "c", "number": "3"},
	}, options.InsertMany().SetOrdered(false))
	var bulk mongo.BulkWriteException
	if !errors.As(err, &bulk) {
		t.Fatalf("insert of duplicates: got %v, want a BulkWriteException", err)
	}
	got := map[int]int{}
	for _, e := range bulk.WriteErrors {
		got[e.Index] = e.Code
	}
	if diff := cmp.Diff(map[int]int{0: 11000, 1: 11000}, got); diff != "" {
		t.Errorf("errors by index (-want +got):\n%s", diff)
	}
	if n, err := orders.CountDocuments(t.Context(), bson.M{}); err != nil || n != 2 {
		t.Errorf("documents: got %d, %v; want 2: the first and the one without a duplicate key", n, err)
	}
	if _, err := orders.ReplaceOne(t.Context(), bson.M{"_id": "d"}, bson.M{"number": "1"}, options.Replace().SetUpsert(true)); !mongo.IsDuplicateKeyError(err) {
		t.Errorf("upsert of an existing number: got %v, want a duplicate key error", err)
	}
}

func TestIndexIDsMakesLookupsUseTheIndex(t *testing.T) {
	t.Parallel()
	m := startMongo(t, MongoConfig{Dir: t.TempDir()})
	orders := connect(t, m).Database("shop").Collection("orders")
	if _, err := orders.InsertOne(t.Context(), bson.M{"_id": "a"}); err != nil {
		t.Fatal(err)
	}
	if err := m.IndexIDs(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := lookupPlan(t, orders); !strings.Contains(got, "USING INDEX") {
		t.Errorf("plan of a lookup by _id: got %s, want USING INDEX", got)
	}
	if _, err := orders.InsertOne(t.Context(), bson.M{"_id": "a"}); !mongo.IsDuplicateKeyError(err) {
		t.Errorf("second insert of one _id: got %v, want a duplicate key error", err)
	}
}

func TestNewCollectionIsIndexedByItself(t *testing.T) {
	t.Parallel()
	orders := connect(t, startMongo(t, MongoConfig{Dir: t.TempDir()})).Database("shop").Collection("orders")
	if _, err := orders.InsertOne(t.Context(), bson.M{"_id": "a"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a lookup by _id uses the index", func() bool {
		return strings.Contains(lookupPlan(t, orders), "USING INDEX")
	})
}

// eventually waits up to ten seconds until a condition holds.
func eventually(t testing.TB, condition string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not within 10s: %s", condition)
		}
	}
}

// lookupPlan returns SQLite's plan of a lookup by _id. A connection notices changed indexes only at a real query, not at an
// explain, so lookupPlan sends a query first.
func lookupPlan(t testing.TB, c *mongo.Collection) string {
	t.Helper()
	if err := c.FindOne(t.Context(), bson.M{"_id": "a"}).Err(); err != nil {
		t.Fatal(err)
	}
	explain := bson.D{{Key: "explain", Value: bson.D{{Key: "find", Value: c.Name()}, {Key: "filter", Value: bson.M{"_id": "a"}}}}}
	var plan bson.M
	if err := c.Database().RunCommand(t.Context(), explain).Decode(&plan); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(plan["queryPlanner"])
}

func startMongo(t testing.TB, cfg MongoConfig) *Mongo {
	t.Helper()
	m, err := StartMongo(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Stop)
	return m
}

// connect returns a client as the shop uses it: with majority write concern and defaults otherwise.
func connect(t testing.TB, m *Mongo) *mongo.Client {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(m.URI()).SetWriteConcern(writeconcern.Majority()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Disconnect(context.Background()); err != nil && !errors.Is(err, mongo.ErrClientDisconnected) {
			t.Error(err)
		}
	})
	return client
}

// Projections rely on it: four concurrent writers with commands of 20 replacements need no more than FerretDB's hundred
// connections, for new and for existing documents.
func TestMongoHandlesFourWritersWithCommandsOfTwenty(t *testing.T) {
	t.Parallel()
	const writers, rounds, size = 4, 10, 20
	orders := connect(t, startMongo(t, MongoConfig{Dir: t.TempDir()})).Database("shop").Collection("orders")
	err := inParallel(writers, func(w int) error {
		for range rounds {
			if err := bulkReplace(t.Context(), orders, w*size, size); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := orders.CountDocuments(t.Context(), bson.D{}); err != nil || n != writers*size {
		t.Errorf("documents: got %d, %v; want %d", n, err, writers*size)
	}
}

// The test creates and drops a database repeatedly while the indexer works on its file. No document of a dropped database may
// reappear.
func TestDroppedDatabaseStaysEmptyWhileIndexesAreReplaced(t *testing.T) {
	t.Parallel()
	m := startMongo(t, MongoConfig{Dir: t.TempDir()})
	db := connect(t, m).Database("shop")
	for round := range 30 {
		if _, err := db.Collection("orders").InsertOne(t.Context(), bson.M{"_id": fmt.Sprint(round)}); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if err := inParallel(2, func(i int) error {
			if i == 0 {
				return m.IndexIDs(t.Context())
			}
			return db.Drop(t.Context())
		}); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if n, err := db.Collection("orders").CountDocuments(t.Context(), bson.D{}); err != nil || n != 0 {
			t.Fatalf("round %d: documents after the drop: got %d, %v; want 0", round, n, err)
		}
	}
}

func TestMongoLogPassesOnlyWarningsWithTheirAttributes(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := newMongoLog(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	named := log.With("name", "sqlite").WithGroup("query").With("args", 3)
	named.Info("connection started")
	named.Warn("Response message:\n{ \"email\": \"ada@example.com\" }")
	if out.Len() != 0 {
		t.Fatalf("info line and reply: got %q, want no output", &out)
	}
	named.Warn("connection stopped", "id", 7)
	if got, want := out.String(), `msg="connection stopped" name=sqlite query.args=3 query.id=7`; !strings.Contains(got, want) {
		t.Errorf("warning: got %q, want it to contain %q", got, want)
	}
}

// FerretDB would write to another directory, from which the next start does not read.
func TestMongoRefusesDirectoryWithURLCharacters(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a#b", "a?b", "a%41"} {
		m, err := StartMongo(MongoConfig{Dir: filepath.Join(t.TempDir(), name)})
		if !errors.Is(err, ErrDirName) {
			t.Errorf("start in %s: got %v, want ErrDirName", name, err)
		}
		if m != nil {
			m.Stop()
		}
	}
}
