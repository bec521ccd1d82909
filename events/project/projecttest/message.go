package projecttest

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// message is one message of MongoDB's wire protocol: a header of four numbers (length, id, id of the message that it
// answers, kind) and a body, of which only the first document matters here.
type message []byte

// Kinds of message. Drivers greet with the old ones.
const (
	opReply = 1
	opQuery = 2004
	opMsg   = 2013
)

const (
	headerLength   = 16
	longestMessage = 48 << 20 // by MongoDB's own limit
)

func readMessage(from io.Reader) (message, error) {
	header := make([]byte, headerLength)
	if _, err := io.ReadFull(from, header); err != nil {
		return nil, err
	}
	length := binary.LittleEndian.Uint32(header)
	if length < headerLength || length > longestMessage {
		return nil, errors.New("this is not MongoDB's wire protocol")
	}
	m := make(message, length)
	copy(m, header)
	_, err := io.ReadFull(from, m[headerLength:])
	return m, err
}

// begin is where the first document begins.
func (m message) begin() int {
	switch binary.LittleEndian.Uint32(m[12:]) {
	case opReply: // flags, cursor, start, count
		return headerLength + 4 + 8 + 4 + 4
	case opQuery: // flags, collection as a C string, how many to skip and to return
		return headerLength + 4 + slices.Index(m[headerLength+4:], 0) + 1 + 4 + 4
	default: // opMsg: flags, kind of section
		return headerLength + 4 + 1
	}
}

func (m message) document() bson.Raw {
	rest := m[m.begin():]
	return bson.Raw(rest[:binary.LittleEndian.Uint32(rest)])
}

// with is the message with another document.
func (m message) with(document bson.D) message {
	raw, err := bson.Marshal(document)
	if err != nil {
		panic(err) // the tests' own documents
	}
	changed := slices.Concat(m[:m.begin()], raw)
	binary.LittleEndian.PutUint32(changed, uint32(len(changed)))
	return changed
}

// answer is what a server says to this message.
func (m message) answer(document bson.D) message {
	answer := make(message, headerLength+4+1)
	copy(answer[8:12], m[4:8])
	binary.LittleEndian.PutUint32(answer[12:], opMsg)
	return answer.with(document)
}
