package projecttest

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// message is one message of MongoDB's wire protocol: a header of four numbers (length, id, id of the request that it replies to,
// opcode) and a body, of which only the first document matters here.
type message []byte

// Opcodes. Drivers send hello with the old ones.
const (
	opReply = 1
	opQuery = 2004
	opMsg   = 2013
)

const (
	headerLength = 16
	maxLength    = 48 << 20 // the limit of MongoDB
)

func readMessage(from io.Reader) (message, error) {
	header := make([]byte, headerLength)
	if _, err := io.ReadFull(from, header); err != nil {
		return nil, err
	}
	length := binary.LittleEndian.Uint32(header)
	if length < headerLength || length > maxLength {
		return nil, errors.New("read message: not MongoDB's wire protocol")
	}
	m := make(message, length)
	copy(m, header)
	_, err := io.ReadFull(from, m[headerLength:])
	return m, err
}

// offset returns the position of the first document.
func (m message) offset() int {
	switch binary.LittleEndian.Uint32(m[12:]) {
	case opReply: // flags, cursor, start, count
		return headerLength + 4 + 8 + 4 + 4
	case opQuery: // flags, collection as a C string, number to skip, number to return
		return headerLength + 4 + slices.Index(m[headerLength+4:], 0) + 1 + 4 + 4
	default: // opMsg: flags, kind of section
		return headerLength + 4 + 1
	}
}

func (m message) document() bson.Raw {
	rest := m[m.offset():]
	return bson.Raw(rest[:binary.LittleEndian.Uint32(rest)])
}

// with returns the message with another document.
func (m message) with(document bson.D) message {
	raw, err := bson.Marshal(document)
	if err != nil {
		panic(err) // only documents of this package
	}
	changed := slices.Concat(m[:m.offset()], raw)
	binary.LittleEndian.PutUint32(changed, uint32(len(changed)))
	return changed
}

// reply returns a reply to this message.
func (m message) reply(document bson.D) message {
	reply := make(message, headerLength+4+1)
	copy(reply[8:12], m[4:8])
	binary.LittleEndian.PutUint32(reply[12:], opMsg)
	return reply.with(document)
}
