package main

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/cmd/internal/target"
	"tillstream/events/replay"
)

// openShop opens the log of the shop that the flags name. The caller calls stop when done.
func openShop(ctx context.Context, flags target.Target) (shop target.Shop, reader *replay.Reader, stop func(), err error) {
	if shop, err = flags.Resolve(); err != nil {
		return shop, nil, nil, err
	}
	reader, stop, err = shop.Log(ctx)
	return shop, reader, stop, err
}

// connect opens the log and the database of the shop that the flags name. The caller calls stop when done.
func connect(ctx context.Context, flags target.Target) (shop target.Shop, reader *replay.Reader, db *mongo.Database, stop func(), err error) {
	if shop, err = flags.Resolve(); err != nil {
		return shop, nil, nil, nil, err
	}
	reader, db, stop, err = openBoth(ctx, shop, shop.Log)
	return shop, reader, db, stop, err
}

// openLog opens the log of a shop.
type openLog func(context.Context) (reader *replay.Reader, stop func(), err error)

// openBoth opens the log and the database of a shop. The caller calls stop when done.
func openBoth(ctx context.Context, shop target.Shop, open openLog) (reader *replay.Reader, db *mongo.Database, stop func(), err error) {
	reader, stopLog, err := open(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	db, stopDB, err := shop.Database(ctx)
	if err != nil {
		stopLog()
		return nil, nil, nil, err
	}
	return reader, db, func() { stopDB(); stopLog() }, nil
}
