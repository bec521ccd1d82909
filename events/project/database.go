package project

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
)

// DefaultDatabase is used when the URI names no database.
const DefaultDatabase = "tillstream"

// serverSelectionTimeout is how long an operation waits for a server. Projections retry; a page that lists orders should report
// an unavailable database soon.
const serverSelectionTimeout = 5 * time.Second

// Connect opens the database that a mongodb:// URI names. The write concern is majority. Retryable writes are on, except for a
// server whose hello names no replica set, such as FerretDB. The server may be unavailable: then the options for MongoDB apply.
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
		SetServerSelectionTimeout(serverSelectionTimeout).SetRegistry(registry()).SetBSONOptions(&options.BSONOptions{UseJSONStructTags: true, NilSliceAsEmpty: true})
}

// hasReplicaSet reports whether the server is a replica set or a mongos. A server that does not answer counts as one: it is
// probably a production database that is unavailable.
func hasReplicaSet(ctx context.Context, client *mongo.Client) bool {
	var hello struct {
		SetName string `bson:"setName"`
		Msg     string `bson:"msg"` // "isdbgrid" on a mongos
	}
	err := client.Database("admin").RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello)
	return err != nil || hello.SetName != "" || hello.Msg != ""
}

// isFerret reports whether the server is FerretDB.
func isFerret(ctx context.Context, db *mongo.Database) (bool, error) {
	var server struct {
		Version string `bson:"ferretdbVersion"`
	}
	if err := db.RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&server); err != nil {
		return false, fmt.Errorf("read build info of the database: %w", err)
	}
	return server.Version != "", nil
}

// errAddress does not contain the address, which may hold a password: messages are copied into logs.
var errAddress = errors.New("parse address of MongoDB: want mongodb://user:password@host:port/database, with characters such as % and @ in the password escaped")

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

// registry encodes values as the driver does by default, except that the keys of a map are sorted: equal states have equal
// bytes, which a rebuild compares.
func registry() *bson.Registry {
	r := bson.NewRegistry()
	r.RegisterKindEncoder(reflect.Map, bson.ValueEncoderFunc(encodeMap))
	return r
}

func encodeMap(c bson.EncodeContext, w bson.ValueWriter, v reflect.Value) error {
	if v.Type().Key().Kind() != reflect.String {
		return fmt.Errorf("encode %s: its keys are not strings", v.Type())
	}
	if v.IsNil() {
		return w.WriteNull()
	}
	document, err := w.WriteDocument()
	if err != nil {
		return err
	}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) })
	for _, key := range keys {
		element, err := document.WriteDocumentElement(key.String())
		if err != nil {
			return err
		}
		if err := encodeValue(c, element, v.MapIndex(key)); err != nil {
			return fmt.Errorf("encode %s: %w", key.String(), err)
		}
	}
	return document.WriteDocumentEnd()
}

func encodeValue(c bson.EncodeContext, w bson.ValueWriter, v reflect.Value) error {
	if v.Kind() == reflect.Interface {
		if v.IsNil() {
			return w.WriteNull()
		}
		v = v.Elem()
	}
	encoder, err := c.LookupEncoder(v.Type())
	if err != nil {
		return err
	}
	return encoder.EncodeValue(c, w, v)
}

// encode returns the bytes of a document as the driver sends them.
func encode(d Document) (bson.Raw, error) {
	var buffer bytes.Buffer
	encoder := bson.NewEncoder(bson.NewDocumentWriter(&buffer))
	encoder.SetRegistry(registry())
	encoder.UseJSONStructTags()
	encoder.NilSliceAsEmpty()
	if err := encoder.Encode(d); err != nil {
		return nil, fmt.Errorf("encode %s: %w", d.ID, err)
	}
	return buffer.Bytes(), nil
}

// A query longer than quickQuery is followed by a rest of restFactor times the excess, at most longestRest.
const (
	quickQuery  = 100 * time.Millisecond
	restFactor  = 50
	longestRest = 15 * time.Minute
)

// Pace limits the load that a periodic query puts on the database. With an index the query takes milliseconds and runs every
// time. FerretDB v1 on SQLite reads the whole collection for it, which at 60,000 orders took a third of the shop's processor
// time: after a query that takes longer than 100 ms, Pace skips queries for 50 times the excess, at most 15 minutes. The zero
// Pace is ready to use. It is not safe for concurrent use.
type Pace struct {
	Now   func() time.Time // default time.Now
	ready time.Time
}

// Ask runs the query, or skips it during a rest. A query that fails runs again the next time.
func (p *Pace) Ask(query func() error) error {
	now := p.Now
	if now == nil {
		now = time.Now
	}
	start := now()
	if start.Before(p.ready) {
		return nil
	}
	if err := query(); err != nil {
		return err
	}
	end := now()
	p.ready = end.Add(min(restFactor*max(end.Sub(start)-quickQuery, 0), longestRest))
	return nil
}
