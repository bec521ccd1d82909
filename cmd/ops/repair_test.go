package main

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.mongodb.org/mongo-driver/v2/bson"

	"tillstream/events"
	"tillstream/events/archive"
	"tillstream/events/replay"
)

// damage removes events from the log, as a damaged disk does.
func (b *broker) damage(sequences ...uint64) {
	b.t.Helper()
	reader, err := replay.On(b.t.Context(), b.log)
	if err != nil {
		b.t.Fatal(err)
	}
	var all []*nats.Msg
	err = reader.Each(b.t.Context(), replay.Range{}, func(m replay.Message) error {
		m.Header.Del(jetstream.ExpectedLastSeqHeader)
		all = append(all, &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	stream, err := b.js.Stream(b.t.Context(), events.StreamShop)
	if err != nil {
		b.t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.DenyDelete = false
	if err := b.js.DeleteStream(b.t.Context(), events.StreamShop); err != nil {
		b.t.Fatal(err)
	}
	if stream, err = b.js.CreateStream(b.t.Context(), config); err != nil {
		b.t.Fatal(err)
	}
	for _, m := range all {
		if _, err := b.js.PublishMsg(b.t.Context(), m); err != nil {
			b.t.Fatal(err)
		}
	}
	for _, sequence := range sequences {
		if err := stream.SecureDeleteMsg(b.t.Context(), sequence); err != nil {
			b.t.Fatal(err)
		}
	}
}

// Row 64 of the fault matrix: verify is never clean while an event is missing. After a repair it is clean, or names exactly what neither
// copy has, until staff have dealt with it.
func TestDamagedLogIsRepairedAndVerified(t *testing.T) {
	t.Parallel()
	b, db, uri := projected(t)
	b.damage(5)
	try := trying(t, "--nats", b.url, "--mongodb", uri)
	const verify = "verify --wait 0s"
	try(verify, exitProblem, "sequence 5: is missing in the log: the log is damaged", "ops repair --yes restores it")
	try(verify+" --deep", exitProblem, "sequence 5: is missing in the log")
	try("lag", exitOK, "log and archive differ in 1 sequence of 10")
	try("repair", exitProblem, "the log is damaged", "missing in the log 5 inventory.reservation_refused")
	try("repair --yes", exitOK, "restored")
	try("repair", exitOK, "11 11 0 0 0 both are complete")
	try(verify, exitOK, "every promise is kept")
	try(verify+" --deep", exitOK, "11 events, subject, headers and body")
	try("lag", exitOK, "log and archive have the same 11 events")

	b.damage(4)
	chunks := bson.D{{Key: "_id", Value: bson.D{{Key: "$ne", Value: "head"}}}}
	if _, err := db.Collection(archive.Collection).DeleteMany(t.Context(), chunks); err != nil {
		t.Fatal(err)
	}
	try(verify, exitProblem, "sequence 4: is missing in the log", "sequences 1–3: 3 events are not in the archive",
		"orders.o2: revision 2 at sequence 6 follows 0: an event is missing")
	try("timeline o2", exitOK, "missing in the log orders.o2: revision 1; the log is damaged, see ops repair")
	try("repair --yes", exitProblem, "restored; 1 event lost", "in neither copy 4")
	try("repair", exitOK, "12 12 0 0 0 both are complete")
	const lost = "sequence 4: neither log nor archive has this event"
	try(verify, exitProblem, lost, "orders.o2: revision 2 at sequence 6 follows 0: an event is missing")
	try("void 6 --force --reason lost", exitOK, "is void")
	try("void 4 --force --reason settled", exitOK, "is void")
	if _, stdout, _ := ops(t, "verify", "--wait", "0s", "--nats", b.url); strings.Contains(words(stdout), lost) || strings.Contains(stdout, "I9  1 finding") {
		t.Errorf("verify after the loss was dealt with: got\n%s", stdout)
	}
}
