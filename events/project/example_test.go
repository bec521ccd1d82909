package project_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events"
	"tillstream/events/embedded"
	eventlog "tillstream/events/log"
	"tillstream/events/project"
	"tillstream/events/worker"
)

// bin is the stock of one SKU: the state that is folded from its events, and the document that is stored.
type bin struct {
	OnHand int64 `json:"on_hand"`
}

var bins = eventlog.Entity[bin]{Prefix: events.PrefixStock, Apply: func(b bin, e events.Event) (bin, error) {
	return bin{b.OnHand + e.Payload.(events.StockAdjusted).Quantity}, nil
}}

var binProjection = project.Projection{Name: "inventory.projection", Collections: []project.Collection{
	project.NewCollection("bins", bins, func(_ string, b bin) any { return b }, project.Index{Keys: []string{"doc.on_hand"}})}}

// A projection keeps one document per entity. After a document was changed by hand, a rebuild finds the difference and repairs it.
func Example() {
	ctx := context.Background()
	l, db, closeShop := openEmbedded(ctx)
	defer closeShop()

	// A worker runs the lane of the projection.
	lane := binProjection.Batch(l, project.Config{DB: db, Window: time.Millisecond})
	w, err := worker.New(ctx, l, worker.Config{Domains: []worker.Domain{{Name: "inventory", Log: l, Batches: []worker.Batch{lane}}}})
	if err != nil {
		panic(err)
	}
	running, stop := context.WithCancel(ctx)
	stopped := make(chan error, 1)
	go func() { stopped <- w.Run(running) }()

	// Two deliveries of mugs arrive.
	err = l.Do(ctx, func(tx *eventlog.Tx) error {
		for _, quantity := range []int64{40, 2} {
			received := events.StockAdjusted{StockMovement: events.StockMovement{Location: events.LocationMain, SKU: "MUG", Quantity: quantity}, Reason: "received"}
			if err := bins.Append(tx, "MUG", received); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		panic(err)
	}
	for range time.Tick(10 * time.Millisecond) {
		checkpoint, err := l.LoadCheckpoint(ctx, binProjection.Name)
		if err != nil {
			panic(err)
		}
		if checkpoint.Position == 2 {
			break
		}
	}
	stop()
	fmt.Println("worker stopped:", <-stopped)

	var stored struct {
		Seq uint64
		Doc bin
	}
	if err := db.Collection("bins").FindOne(ctx, bson.D{{Key: "_id", Value: "MUG"}}).Decode(&stored); err != nil {
		panic(err)
	}
	fmt.Printf("MUG: %d on hand at sequence %d\n", stored.Doc.OnHand, stored.Seq)

	// An operator changes the document by hand.
	change := bson.D{{Key: "$set", Value: bson.D{{Key: "doc.on_hand", Value: int64(7)}}}}
	if _, err := db.Collection("bins").UpdateOne(ctx, bson.D{{Key: "_id", Value: "MUG"}}, change); err != nil {
		panic(err)
	}
	for _, dryRun := range []bool{true, false, true} {
		rebuild := project.Rebuild{DB: db, Log: l, Projection: binProjection, DryRun: dryRun}
		report, err := rebuild.Run(ctx)
		if err != nil {
			panic(err)
		}
		fmt.Println("drifted:", report.Drifted(), "written:", report.Written)
	}
	// Output:
	// worker stopped: <nil>
	// MUG: 42 on hand at sequence 2
	// drifted: 1 written: false
	// drifted: 1 written: true
	// drifted: 0 written: false
}

// openEmbedded starts an embedded broker and an embedded database, and opens a log and a database on them.
func openEmbedded(ctx context.Context) (l *eventlog.Log, db *mongo.Database, closeAll func()) {
	dir, err := os.MkdirTemp("", "project")
	if err != nil {
		panic(err)
	}
	broker, err := embedded.StartNATS(embedded.NATSConfig{Dir: dir + "/nats"})
	if err != nil {
		panic(err)
	}
	ferret, err := embedded.StartMongo(embedded.MongoConfig{Dir: dir + "/mongo"})
	if err != nil {
		panic(err)
	}
	conn, err := nats.Connect(broker.URL(), eventlog.HistoryQueue())
	if err != nil {
		panic(err)
	}
	if l, err = eventlog.Open(ctx, conn, eventlog.Config{Source: "inventory", Owns: []string{events.PrefixStock}}); err != nil {
		panic(err)
	}
	if db, err = project.Connect(ctx, ferret.URI()); err != nil {
		panic(err)
	}
	return l, db, func() {
		_ = db.Client().Disconnect(ctx)
		l.Close()
		conn.Close()
		ferret.Stop()
		broker.Stop()
		_ = os.RemoveAll(dir)
	}
}
