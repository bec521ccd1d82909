package archive

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// ErrDamaged is returned for a chunk that the database returns but that cannot be unpacked. `ops repair` restores its messages from the log.
var ErrDamaged = errors.New("the archive is damaged, see `ops repair`")

// Damage is a chunk that cannot be unpacked.
type Damage struct {
	Chunk string `json:"chunk"` // its id
	First uint64 `json:"first"` // the messages that it should contain
	Last  uint64 `json:"last"`
	Err   error  `json:"-"`
}

// SetDamagedAside moves damaged chunks into another collection, where an expert may still read parts of them. Their messages then count
// as missing.
func (a *Archive) SetDamagedAside(ctx context.Context, chunks []Damage, aside *mongo.Collection) error {
	for _, d := range chunks {
		if err := a.moveDamaged(ctx, d.Chunk, aside); err != nil {
			return fmt.Errorf("set %s of %s aside: %w", d.Chunk, a.collection.Name(), err)
		}
	}
	return nil
}

func (a *Archive) moveDamaged(ctx context.Context, id string, aside *mongo.Collection) error {
	filter := bson.D{{Key: "_id", Value: id}}
	raw, err := a.collection.FindOne(ctx, filter).Raw()
	if err != nil {
		return err
	}
	if _, err := aside.ReplaceOne(ctx, filter, raw, options.Replace().SetUpsert(true)); err != nil {
		return err
	}
	_, err = a.collection.DeleteOne(ctx, filter)
	return err
}
