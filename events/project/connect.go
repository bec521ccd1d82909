package project

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
)

// DefaultDatabase is used when the URI names none.
const DefaultDatabase = "tillstream"

// How long an operation looks for a server. Views wait and try again; a page that lists orders should say so soon.
const serverSelection = 5 * time.Second

// Connect opens the database that a mongodb:// URI names. Write concern is majority. Retryable writes are on, except
// for FerretDB, which says of itself in its hello that it is no replica set. The server need not be there yet: then the
// options are those for MongoDB.
func Connect(ctx context.Context, uri string) (*mongo.Database, error) {
	name, err := databaseName(uri)
	if err != nil {
		return nil, err
	}
	client, err := mongo.Connect(clientOptions(uri, true))
	if err != nil {
		return nil, fmt.Errorf("connect to MongoDB: %w", err)
	}
	if hasReplicaSet(ctx, client) {
		return client.Database(name), nil
	}
	if err := client.Disconnect(ctx); err != nil {
		return nil, fmt.Errorf("connect to MongoDB: %w", err)
	}
	if client, err = mongo.Connect(clientOptions(uri, false)); err != nil {
		return nil, fmt.Errorf("connect to MongoDB: %w", err)
	}
	return client.Database(name), nil
}

func clientOptions(uri string, retryWrites bool) *options.ClientOptions {
	return options.Client().ApplyURI(uri).SetRetryWrites(retryWrites).SetWriteConcern(writeconcern.Majority()).
		SetServerSelectionTimeout(serverSelection).SetRegistry(registry()).SetBSONOptions(&options.BSONOptions{UseJSONStructTags: true, NilSliceAsEmpty: true})
}

// hasReplicaSet asks the server what it is; a server that does not answer counts as one, because it is a production
// database that is away for the moment.
func hasReplicaSet(ctx context.Context, client *mongo.Client) bool {
	var hello struct {
		SetName string `bson:"setName"`
		Msg     string `bson:"msg"` // "isdbgrid" on a mongos
	}
	err := client.Database("admin").RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello)
	return err != nil || hello.SetName != "" || hello.Msg != ""
}

// errAddress does not repeat the address: it may hold a password, and messages are copied into logs.
var errAddress = errors.New("the address of MongoDB cannot be read: want mongodb://user:password@host:port/database, with signs such as % and @ in the password escaped")

func databaseName(uri string) (string, error) {
	u, err := url.Parse(uri)
	if err != nil || (u.Scheme != "mongodb" && u.Scheme != "mongodb+srv") {
		return "", errAddress
	}
	if name := strings.Trim(u.Path, "/"); name != "" {
		return name, nil
	}
	return DefaultDatabase, nil
}
