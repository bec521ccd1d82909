package natsfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"path/filepath"
	"strings"

	"github.com/minio/highwayhash"
)

const (
	headSize = 22 // length, sequence, time and subject length
	sumSize  = 8
	minSize  = headSize + sumSize

	// maxSize is the length above which nats-server takes a record for damaged.
	maxSize = 32 << 20

	hasHeader = 1 << 31 // in the length
	deleted   = 1 << 63 // in the sequence: erased message, or the last sequence of a stream whose end was deleted
	tombstone = 1 << 62 // in the sequence: the message of this sequence, in an earlier record, is deleted
)

// record is the place of one valid record in a file.
type record struct {
	size     int
	sequence uint64 // without flags; 0 for a tombstone, which stores no message
	deleted  uint64 // the sequence that a tombstone deletes
}

// reader verifies the records of one file.
type reader struct{ sum hash.Hash64 }

func newReader(stream, file string) (*reader, error) {
	key := sha256.Sum256([]byte(stream + "-" + strings.TrimSuffix(filepath.Base(file), ".blk")))
	sum, err := highwayhash.New64(key[:])
	if err != nil {
		return nil, fmt.Errorf("checksum of %s: %w", file, err)
	}
	return &reader{sum: sum}, nil
}

// record returns the record at the start of buf, and false if there is no valid one.
func (r *reader) record(buf []byte) (record, bool) {
	if len(buf) < minSize {
		return record{}, false
	}
	length := binary.LittleEndian.Uint32(buf)
	size := int(length &^ hasHeader)
	if size > maxSize || size > len(buf) || !r.matches(buf[:max(size, minSize)], length&hasHeader != 0) {
		return record{}, false
	}
	sequence := binary.LittleEndian.Uint64(buf[4:])
	if sequence&tombstone != 0 {
		return record{size: size, deleted: sequence &^ (deleted | tombstone)}, true
	}
	return record{size: size, sequence: sequence &^ deleted}, true
}

// matches reports whether a record of the length of buf, with or without a header, has a correct checksum.
func (r *reader) matches(buf []byte, header bool) bool {
	subject, end := int(binary.LittleEndian.Uint16(buf[20:])), len(buf)-sumSize
	body := headSize + subject
	if header {
		body += 4
	}
	if body > end || header && !validHeader(buf[body-4:end]) {
		return false
	}
	return bytes.Equal(r.checksum(buf[4:20], buf[headSize:headSize+subject], buf[body:end]), buf[end:])
}

// unwritten is how many zeros in a row show that a part of a record was not written. Only lengths and sequences contain zeros.
const unwritten = 32

// incomplete reports whether buf, the end of a file, is the beginning of a record that was not written completely: the file ends
// before the record does, or after a power failure the file system has zeros where it has not written yet. A length that is
// damaged itself is recognised by the checksum of a record that ends with the file.
func (r *reader) incomplete(buf []byte) bool {
	if len(buf) < minSize || bytes.Contains(buf, make([]byte, unwritten)) {
		return true
	}
	return int(binary.LittleEndian.Uint32(buf)&^hasHeader) > len(buf) && !r.matches(buf, true) && !r.matches(buf, false)
}

// validHeader reports whether a header is as long as it says, which the checksum does not cover: header and body would be
// divided at another byte.
func validHeader(buf []byte) bool {
	length := int64(binary.LittleEndian.Uint32(buf))
	buf = buf[4:]
	return length <= int64(len(buf)) && bytes.HasPrefix(buf, []byte("NATS/1.0")) && bytes.Index(buf, []byte("\r\n\r\n"))+4 == int(length)
}

func (r *reader) checksum(parts ...[]byte) []byte {
	r.sum.Reset()
	for _, part := range parts {
		_, _ = r.sum.Write(part) // a hash never fails
	}
	return r.sum.Sum(nil)
}

// erased returns a record of a deleted message of this size.
func (r *reader) erased(size int, sequence uint64) []byte {
	buf := make([]byte, size)
	binary.LittleEndian.PutUint32(buf, uint32(size)) //nolint:gosec // callers keep to maxSize
	binary.LittleEndian.PutUint64(buf[4:], sequence|deleted)
	copy(buf[size-sumSize:], r.checksum(buf[4:20], buf[headSize:size-sumSize]))
	return buf
}
