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

	"tillstream/events/embedded"
	"tillstream/events/project"
)

// Member is a stretch of wire before an embedded FerretDB that makes it look like MongoDB, as the only member of a replica
// set: it says so when it is asked, and steps down and is elected as a test wants. All that it lets through is done by the
// server. It offers no sessions, so that the driver repeats no write: each failure reaches the writer.
type Member struct {
	target   string
	listener net.Listener
	busy     sync.WaitGroup

	mu      sync.Mutex
	conns   map[net.Conn]struct{}
	down    bool // it is no primary
	during  Write
	fate    Fate
	stays   bool // primary, whatever becomes of the write
	refused int  // commands since it stepped down
}

// Write names writes by their command and collection.
type Write struct{ Command, Collection string }

// Fate is what becomes of a write: carryOut has it done, and what is returned is the answer. Without one the connection
// ends.
type Fate func(asked message, carryOut func() (message, error)) (message, error)

// Fates that MongoDB has for writes. The codes are those of mongo/src/mongo/base/error_codes.yml.
var (
	// DoneUnanswered: it is done, and the connection ends.
	DoneUnanswered Fate = func(_ message, carryOut func() (message, error)) (message, error) {
		_, err := carryOut()
		return nil, errors.Join(errUnanswered, err)
	}
	// DoneInterrupted: it is done, and the answer says that it was interrupted.
	DoneInterrupted Fate = func(asked message, carryOut func() (message, error)) (message, error) {
		_, err := carryOut()
		return asked.answer(refusal(11602, "InterruptedDueToReplStateChange", "operation was interrupted")), err
	}
	// DoneRolledBack: the answer says that it is done on one member alone, and it is lost with that member.
	DoneRolledBack Fate = func(asked message, _ func() (message, error)) (message, error) {
		return asked.answer(bson.D{{Key: "n", Value: 1}, {Key: "nModified", Value: 1}, {Key: "ok", Value: 1.0}, {Key: "writeConcernError",
			Value: bson.D{{Key: "code", Value: 189}, {Key: "codeName", Value: "PrimarySteppedDown"}, {Key: "errmsg", Value: "stepped down while waiting for replication"}}}}), nil
	}
	// NotDone: it is refused.
	NotDone Fate = func(asked message, _ func() (message, error)) (message, error) {
		return asked.answer(refusal(10107, "NotWritablePrimary", "not primary")), nil
	}
)

var errUnanswered = errors.New("the connection ended without an answer")

func refusal(code int32, name, text string) bson.D {
	return bson.D{{Key: "ok", Value: 0.0}, {Key: "errmsg", Value: text}, {Key: "code", Value: code}, {Key: "codeName", Value: name}}
}

// NewMember starts an embedded FerretDB with such a wire before it, until the test ends.
func NewMember(t testing.TB) *Member {
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
	m := &Member{target: strings.TrimSuffix(strings.TrimPrefix(server.URI(), "mongodb://"), "/"), listener: listener, conns: map[net.Conn]struct{}{}}
	m.busy.Go(m.accept)
	t.Cleanup(func() {
		_ = listener.Close() // no more come
		m.hangUp()
		m.busy.Wait()
	})
	return m
}

func (m *Member) addr() string { return m.listener.Addr().String() }

// Database connects to it, as a program does.
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

// StepDownDuring makes it step down in the middle of the next write of a kind.
func (m *Member) StepDownDuring(w Write, f Fate) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.during, m.fate, m.stays, m.refused = w, f, false, 0
}

// ReplaceDuring has another member take over in the middle of the next write of a kind, before anything more is asked, and
// without that write.
func (m *Member) ReplaceDuring(w Write) {
	m.StepDownDuring(w, func(asked message, carryOut func() (message, error)) (message, error) {
		m.Elect()
		return DoneRolledBack(asked, carryOut)
	})
}

// HoldNext holds up the next write of a kind. The write has arrived when arrived is closed, and is carried out after release.
func (m *Member) HoldNext(t testing.TB, w Write) (arrived <-chan struct{}, release func()) {
	came, released := make(chan struct{}), make(chan struct{})
	release = sync.OnceFunc(func() { close(released) })
	t.Cleanup(release)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.during, m.stays = w, true
	m.fate = func(_ message, carryOut func() (message, error)) (message, error) {
		close(came)
		<-released
		return carryOut()
	}
	return came, release
}

// Elect makes it primary again.
func (m *Member) Elect() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = false
}

// Refusals is how many commands it has refused since it stepped down last.
func (m *Member) Refusals() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.refused
}

func (m *Member) hangUp() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for conn := range m.conns {
		_ = conn.Close() // what is on it is given up
	}
	m.conns = nil
}

// enter reports false when the test has ended.
func (m *Member) enter(conns ...net.Conn) bool {
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
		m.busy.Go(func() { m.serve(client) })
	}
}

// serve answers a client until either end hangs up, or an answer is withheld.
func (m *Member) serve(client net.Conn) {
	defer client.Close()
	server, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", m.target)
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
	answerable = []string{"ping"}
)

func (m *Member) handle(asked message, carryOut func() (message, error)) (message, error) {
	first := asked.document().Index(0) // the command's name, and in a write its collection
	collection, _ := first.Value().StringValueOK()
	if slices.Contains(greetings, first.Key()) {
		answer, err := carryOut()
		if err != nil {
			return nil, err
		}
		return m.introduce(answer)
	}
	if first.Key() == "buildInfo" {
		answer, err := carryOut()
		if err != nil {
			return nil, err
		}
		return disguise(answer)
	}
	return m.judge(Write{first.Key(), collection})(asked, carryOut)
}

// judge says what becomes of a command.
func (m *Member) judge(w Write) Fate {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.down && !slices.Contains(answerable, w.Command):
		m.refused++
		return NotDone
	case !m.down && w == m.during:
		m.down, m.during = !m.stays, Write{}
		return m.fate
	}
	return func(_ message, carryOut func() (message, error)) (message, error) { return carryOut() }
}

// introduce turns a server's answer to a greeting into that of a replica set's member.
func (m *Member) introduce(answer message) (message, error) {
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

// disguise takes out of an answer what FerretDB says of itself.
func disguise(answer message) (message, error) {
	var said bson.D
	if err := bson.Unmarshal(answer.document(), &said); err != nil {
		return nil, err
	}
	return answer.with(slices.DeleteFunc(said, func(e bson.E) bool { return strings.HasPrefix(e.Key, "ferretdb") })), nil
}
