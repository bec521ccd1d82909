package projecttest

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events/project"
)

// Member is a TCP proxy in front of an embedded FerretDB. To the driver it looks like MongoDB, the only member of a replica set, which
// steps down and is elected when the test says so. FerretDB executes every command that it forwards. It does not offer
// sessions, so the driver does not retry writes and the writer sees each failure.
type Member struct {
	target   string
	listener net.Listener
	running  sync.WaitGroup

	mu       sync.Mutex
	conns    map[net.Conn]struct{}
	down     bool // the member is not primary
	trigger  Write
	outcome  Outcome
	stays    bool // primary, whatever the outcome of the write
	refusals int  // commands refused since it stepped down
}

// Write identifies writes by command and collection.
type Write struct{ Command, Collection string }

// Outcome decides what happens to a write: forward executes it, and the result is the reply. After an error the connection closes.
type Outcome func(request message, forward func() (message, error)) (message, error)

// Outcomes of a write during a change of primary. The codes are those of mongo/src/mongo/base/error_codes.yml.
var (
	// AppliedWithoutReply executes the write and closes the connection.
	AppliedWithoutReply Outcome = func(_ message, forward func() (message, error)) (message, error) {
		_, err := forward()
		return nil, errors.Join(errNoReply, err)
	}
	// AppliedInterrupted executes the write and replies that it was interrupted.
	AppliedInterrupted Outcome = func(request message, forward func() (message, error)) (message, error) {
		_, err := forward()
		return request.reply(refusal(11602, "InterruptedDueToReplStateChange", "operation was interrupted")), err
	}
	// RolledBack replies that one member alone has the write, which is lost with that member.
	RolledBack Outcome = func(request message, _ func() (message, error)) (message, error) {
		return request.reply(bson.D{{Key: "n", Value: 1}, {Key: "nModified", Value: 1}, {Key: "ok", Value: 1.0}, {Key: "writeConcernError",
			Value: bson.D{{Key: "code", Value: 189}, {Key: "codeName", Value: "PrimarySteppedDown"}, {Key: "errmsg", Value: "stepped down while waiting for replication"}}}}), nil
	}
	// NotPrimary refuses the write.
	NotPrimary Outcome = func(request message, _ func() (message, error)) (message, error) {
		return request.reply(refusal(10107, "NotWritablePrimary", "not primary")), nil
	}
)

var errNoReply = errors.New("the connection closed without a reply")

func refusal(code int32, name, text string) bson.D {
	return bson.D{{Key: "ok", Value: 0.0}, {Key: "errmsg", Value: text}, {Key: "code", Value: code}, {Key: "codeName", Value: name}}
}

// NewMember starts an embedded FerretDB and a Member in front of it. Both stop when the test ends.
func NewMember(t testing.TB) *Member {
	t.Helper()
	server := startFerret(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &Member{target: strings.TrimSuffix(strings.TrimPrefix(server.URI(), "mongodb://"), "/"), listener: listener, conns: map[net.Conn]struct{}{}}
	m.running.Go(m.accept)
	t.Cleanup(func() {
		_ = listener.Close() // before the connections: then no new one arrives
		m.closeConnections()
		m.running.Wait()
	})
	return m
}

func (m *Member) addr() string { return m.listener.Addr().String() }

// Database connects to the member as a program does.
func (m *Member) Database(t testing.TB, options string) *mongo.Database {
	t.Helper()
	db, err := project.Connect(t.Context(), "mongodb://"+m.addr()+"/"+options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Client().Disconnect(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return db
}

// StepDownDuring makes the member step down during the next write that w identifies, with the outcome o.
func (m *Member) StepDownDuring(w Write, o Outcome) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trigger, m.outcome, m.stays, m.refusals = w, o, false, 0
}

// ReplaceDuring elects another primary during the next write that w identifies. The new primary lacks that write.
func (m *Member) ReplaceDuring(w Write) {
	m.StepDownDuring(w, func(request message, forward func() (message, error)) (message, error) {
		m.Elect()
		return RolledBack(request, forward)
	})
}

// HoldNext holds the next write that w identifies. arrived is closed when the member has received it; release executes it.
func (m *Member) HoldNext(t testing.TB, w Write) (arrived <-chan struct{}, release func()) {
	received, released := make(chan struct{}), make(chan struct{})
	release = sync.OnceFunc(func() { close(released) })
	t.Cleanup(release)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trigger, m.stays = w, true
	m.outcome = func(_ message, forward func() (message, error)) (message, error) {
		close(received)
		<-released
		return forward()
	}
	return received, release
}

// Elect makes the member primary again.
func (m *Member) Elect() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = false
}

// Refusals returns the number of commands that the member has refused since it last stepped down.
func (m *Member) Refusals() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.refusals
}

func (m *Member) closeConnections() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for conn := range m.conns {
		_ = conn.Close() // the test has ended
	}
	m.conns = nil
}

// track registers connections, and reports false when the test has ended.
func (m *Member) track(conns ...net.Conn) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, conn := range conns {
		if m.conns == nil {
			return false
		}
		m.conns[conn] = struct{}{}
	}
	return true
}

func (m *Member) accept() {
	for {
		client, err := m.listener.Accept()
		if err != nil {
			return // the test has ended
		}
		m.running.Go(func() { m.serve(client) })
	}
}

// serve replies to a client until one side closes its connection or an outcome withholds the reply.
func (m *Member) serve(client net.Conn) {
	defer client.Close()
	server, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", m.target)
	if err != nil {
		return // the server has stopped
	}
	defer server.Close()
	if !m.track(client, server) {
		return
	}
	for {
		request, err := readMessage(client)
		if err != nil {
			return
		}
		reply, err := m.handle(request, func() (message, error) {
			if _, err := server.Write(request); err != nil {
				return nil, err
			}
			return readMessage(server)
		})
		if err != nil {
			return
		}
		if _, err := client.Write(reply); err != nil {
			return
		}
	}
}

// Commands that identify the server, and commands that a member executes even when it is not primary.
var (
	helloCommands = []string{"hello", "isMaster", "ismaster"}
	anyMember     = []string{"ping"}
)

func (m *Member) handle(request message, forward func() (message, error)) (message, error) {
	first := request.document().Index(0) // the name of the command and, in a write, its collection
	collection, _ := first.Value().StringValueOK()
	switch {
	case slices.Contains(helloCommands, first.Key()):
		return edit(forward, m.asMember)
	case first.Key() == "buildInfo":
		return edit(forward, withoutFerret)
	}
	return m.next(Write{first.Key(), collection})(request, forward)
}

// next returns the outcome of a command.
func (m *Member) next(w Write) Outcome {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.down && !slices.Contains(anyMember, w.Command):
		m.refusals++
		return NotPrimary
	case !m.down && w == m.trigger:
		m.down, m.trigger = !m.stays, Write{}
		return m.outcome
	}
	return func(_ message, forward func() (message, error)) (message, error) { return forward() }
}

// edit forwards a command and changes the document of the reply.
func edit(forward func() (message, error), change func(bson.D) bson.D) (message, error) {
	reply, err := forward()
	if err != nil {
		return nil, err
	}
	var document bson.D
	if err := bson.Unmarshal(reply.document(), &document); err != nil {
		return nil, err
	}
	return reply.with(change(document)), nil
}

// asMember turns the reply of a standalone server to hello into that of a member of a replica set.
func (m *Member) asMember(reply bson.D) bson.D {
	m.mu.Lock()
	primary := !m.down
	m.mu.Unlock()
	own := bson.D{{Key: "isWritablePrimary", Value: primary}, {Key: "ismaster", Value: primary}, {Key: "secondary", Value: !primary},
		{Key: "setName", Value: "rs0"}, {Key: "me", Value: m.addr()}, {Key: "hosts", Value: bson.A{m.addr()}}}
	reply = slices.DeleteFunc(reply, func(e bson.E) bool {
		return e.Key == "logicalSessionTimeoutMinutes" || slices.ContainsFunc(own, func(o bson.E) bool { return o.Key == e.Key })
	})
	return append(own, reply...)
}

// withoutFerret removes the fields by which FerretDB identifies itself.
func withoutFerret(reply bson.D) bson.D {
	return slices.DeleteFunc(reply, func(e bson.E) bool { return strings.HasPrefix(e.Key, "ferretdb") })
}
