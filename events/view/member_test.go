package view_test

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

	"tillstream/events/embedded"
	"tillstream/events/view"
)

// member is a stretch of wire before a MongoDB server that makes it look like the only member of a replica set: it says
// so when it is asked, and steps down and is elected as a test wants. All that it lets through is done by the server.
// Sessions it does not offer, so that no write is repeated by the driver: each failure reaches who wrote.
type member struct {
	target   string
	listener net.Listener
	busy     sync.WaitGroup

	mu      sync.Mutex
	conns   map[net.Conn]struct{}
	down    bool // it is no primary
	during  write
	fate    fate
	refused int // commands since it stepped down
}

// write names writes by their command and collection.
type write struct{ command, collection string }

// fate is what becomes of the write during which a primary steps down: carryOut has it done, and what is returned is the
// answer. Without one the connection ends.
type fate func(asked message, carryOut func() (message, error)) (message, error)

// Fates that MongoDB has for writes. The codes are those of mongo/src/mongo/base/error_codes.yml.
var (
	doneUnanswered fate = func(_ message, carryOut func() (message, error)) (message, error) {
		_, err := carryOut()
		return nil, errors.Join(errUnanswered, err)
	}
	doneInterrupted fate = func(asked message, carryOut func() (message, error)) (message, error) {
		_, err := carryOut()
		return asked.answer(refusal(11602, "InterruptedDueToReplStateChange", "operation was interrupted")), err
	}
	doneRolledBack fate = func(asked message, _ func() (message, error)) (message, error) { // as if it had never been
		return asked.answer(bson.D{{Key: "n", Value: 1}, {Key: "nModified", Value: 1}, {Key: "ok", Value: 1.0}, {Key: "writeConcernError",
			Value: bson.D{{Key: "code", Value: 189}, {Key: "codeName", Value: "PrimarySteppedDown"}, {Key: "errmsg", Value: "stepped down while waiting for replication"}}}}), nil
	}
	notDone fate = func(asked message, _ func() (message, error)) (message, error) {
		return asked.answer(refusal(10107, "NotWritablePrimary", "not primary")), nil
	}
)

var errUnanswered = errors.New("the connection ended without an answer")

func refusal(code int32, name, text string) bson.D {
	return bson.D{{Key: "ok", Value: 0.0}, {Key: "errmsg", Value: text}, {Key: "code", Value: code}, {Key: "codeName", Value: name}}
}

// newMember starts the embedded FerretDB with such a wire before it, until the test ends.
func newMember(t testing.TB) *member {
	t.Helper()
	server, err := embedded.StartMongo(embedded.MongoConfig{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &member{target: strings.TrimSuffix(strings.TrimPrefix(server.URI(), "mongodb://"), "/"), listener: listener, conns: map[net.Conn]struct{}{}}
	m.busy.Go(m.accept)
	t.Cleanup(func() {
		listener.Close()
		m.hangUp()
		m.busy.Wait()
	})
	return m
}

func (m *member) addr() string { return m.listener.Addr().String() }

// database connects to it, as a view does.
func (m *member) database(t testing.TB, options string) *mongo.Database {
	t.Helper()
	db, err := view.Connect(t.Context(), "mongodb://"+m.addr()+"/"+options)
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

// stepDownDuring makes it step down in the middle of the next write of a kind.
func (m *member) stepDownDuring(w write, f fate) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.during, m.fate, m.refused = w, f, 0
}

// elect makes it primary again.
func (m *member) elect() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = false
}

// refusals is how many commands it has refused since it stepped down last.
func (m *member) refusals() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.refused
}

func (m *member) hangUp() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for conn := range m.conns {
		conn.Close()
	}
	m.conns = nil
}

// enter reports false when the test has ended.
func (m *member) enter(conns ...net.Conn) bool {
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

func (m *member) accept() {
	for {
		client, err := m.listener.Accept()
		if err != nil {
			return // the test has ended
		}
		m.busy.Go(func() { m.serve(client) })
	}
}

// serve answers a client until either end hangs up, or an answer is withheld.
func (m *member) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", m.target)
	if err != nil {
		return // and so has the server
	}
	defer server.Close()
	if !m.enter(client, server) {
		return
	}
	for {
		asked, err := readMessage(client)
		if err != nil {
			return
		}
		answer, err := m.handle(asked, func() (message, error) {
			if _, err := server.Write(asked); err != nil {
				return nil, err
			}
			return readMessage(server)
		})
		if err != nil {
			return
		}
		if _, err := client.Write(answer); err != nil {
			return
		}
	}
}

// Commands that ask what a server is, and those that every member answers.
var (
	greetings  = []string{"hello", "isMaster", "ismaster"}
	answerable = []string{"ping", "buildInfo"}
)

func (m *member) handle(asked message, carryOut func() (message, error)) (message, error) {
	first := asked.document().Index(0) // the command's name, and in a write its collection
	collection, _ := first.Value().StringValueOK()
	if slices.Contains(greetings, first.Key()) {
		answer, err := carryOut()
		if err != nil {
			return nil, err
		}
		return m.introduce(answer)
	}
	return m.judge(write{first.Key(), collection})(asked, carryOut)
}

// judge says what becomes of a command.
func (m *member) judge(w write) fate {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.down && !slices.Contains(answerable, w.command):
		m.refused++
		return notDone
	case !m.down && w == m.during:
		m.down, m.during = true, write{}
		return m.fate
	}
	return func(_ message, carryOut func() (message, error)) (message, error) { return carryOut() }
}

// introduce turns a server's answer to a greeting into that of a replica set's member.
func (m *member) introduce(answer message) (message, error) {
	var said bson.D
	if err := bson.Unmarshal(answer.document(), &said); err != nil {
		return nil, err
	}
	m.mu.Lock()
	primary := !m.down
	m.mu.Unlock()
	own := bson.D{{Key: "isWritablePrimary", Value: primary}, {Key: "ismaster", Value: primary}, {Key: "secondary", Value: !primary},
		{Key: "setName", Value: "rs0"}, {Key: "me", Value: m.addr()}, {Key: "hosts", Value: bson.A{m.addr()}}}
	said = slices.DeleteFunc(said, func(e bson.E) bool {
		return e.Key == "logicalSessionTimeoutMinutes" || slices.ContainsFunc(own, func(o bson.E) bool { return o.Key == e.Key })
	})
	return answer.with(append(own, said...)), nil
}
