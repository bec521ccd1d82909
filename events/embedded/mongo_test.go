package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
)

func TestMongoKeepsDocumentsOverARestart(t *testing.T) {
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
	first.Stop() // twice is harmless

	orders := connect(t, startMongo(t, cfg)).Database("shop").Collection("orders")
	var got bson.M
	if err := orders.FindOne(t.Context(), bson.M{"_id": "a"}).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(bson.M{"_id": "a", "seq": int32(7)}, got); diff != "" {
		t.Fatalf("document after the restart (-want +got):\n%s", diff)
	}
}

func TestMongoRefusesATakenAddress(t *testing.T) {
	t.Parallel()
	taken := listen(t)
	_, err := StartMongo(MongoConfig{Addr: taken, Dir: t.TempDir()})
	if !errors.Is(err, ErrAddrInUse) || !strings.Contains(err.Error(), "address "+taken+" is in use") {
		t.Fatalf("start on %s: %v, want ErrAddrInUse", taken, err)
	}
}

func TestMongoRefusesATakenDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	startMongo(t, MongoConfig{Dir: dir})
	if _, err := StartMongo(MongoConfig{Dir: dir}); !errors.Is(err, ErrDirInUse) {
		t.Fatalf("second server on one directory: %v, want ErrDirInUse", err)
	}
}

func TestMongoReportsDuplicates(t *testing.T) {
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
		t.Fatalf("insert of duplicates: %v, want a BulkWriteException", err)
	}
	got := map[int]int{}
	for _, e := range bulk.WriteErrors {
		got[e.Index] = e.Code
	}
	if diff := cmp.Diff(map[int]int{0: 11000, 1: 11000}, got); diff != "" {
		t.Errorf("errors by index (-want +got):\n%s", diff)
	}
	if n, err := orders.CountDocuments(t.Context(), bson.M{}); err != nil || n != 2 {
		t.Errorf("%d documents, %v; want the first and the one that was no duplicate", n, err)
	}
	if _, err := orders.ReplaceOne(t.Context(), bson.M{"_id": "d"}, bson.M{"number": "1"}, options.Replace().SetUpsert(true)); !mongo.IsDuplicateKeyError(err) {
		t.Errorf("upsert of a taken number: %v, want a duplicate key error", err)
	}
}

func TestMongoLooksUpByIndexedID(t *testing.T) {
	t.Parallel()
	m := startMongo(t, MongoConfig{Dir: t.TempDir()})
	orders := connect(t, m).Database("shop").Collection("orders")
	if _, err := orders.InsertOne(t.Context(), bson.M{"_id": "a"}); err != nil {
		t.Fatal(err)
	}
	if err := m.IndexIDs(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := planOfLookUp(t, orders); !strings.Contains(got, "USING INDEX") {
		t.Errorf("a look-up by _id goes: %s, want USING INDEX", got)
	}
	if _, err := orders.InsertOne(t.Context(), bson.M{"_id": "a"}); !mongo.IsDuplicateKeyError(err) {
		t.Errorf("second insert of one _id: %v, want a duplicate key error", err)
	}
}

func TestMongoIndexesNewCollectionsByItself(t *testing.T) {
	t.Parallel()
	orders := connect(t, startMongo(t, MongoConfig{Dir: t.TempDir()})).Database("shop").Collection("orders")
	if _, err := orders.InsertOne(t.Context(), bson.M{"_id": "a"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a look-up by _id goes USING INDEX", func() bool {
		return strings.Contains(planOfLookUp(t, orders), "USING INDEX")
	})
}

// eventually waits for a fact and gives up after ten seconds.
func eventually(t testing.TB, fact string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s", fact)
		}
	}
}

// planOfLookUp is how SQLite would look a document up by _id. Explaining alone does not make a connection notice that
// the indexes have changed; a real query before it does.
func planOfLookUp(t testing.TB, c *mongo.Collection) string {
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

// connect returns a client as the shop makes one: majority write concern, everything else at its default.
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

// TestMongoTakesCommandsOfTwenty holds FerretDB to what views rely on: four writers at once with commands of 20
// replacements fit into its hundred connections, whether the documents are new or not.
func TestMongoTakesCommandsOfTwenty(t *testing.T) {
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
		t.Errorf("%d documents, %v; want %d", n, err, writers*size)
	}
}

// TestMongoDropsDatabasesWhileIndexesAreMended makes and drops one database again and again, as tests do, while the
// server works on its files: nothing of the dropped one may come back.
func TestMongoDropsDatabasesWhileIndexesAreMended(t *testing.T) {
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
			t.Fatalf("round %d: %d documents after the drop, %v", round, n, err)
		}
	}
}
