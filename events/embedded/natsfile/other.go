package natsfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/minio/highwayhash"
)

// Names of a stream's files: its index, beside its messages, and its settings with their checksum.
const (
	indexName    = "index.db"
	settingsName = "meta.inf"
	settingsSum  = "meta.sum"
)

// settings checks the stream's settings against their checksum. The server ignores a stream whose settings it cannot read.
func (s *scan) settings(dir string) error {
	file := filepath.Join(dir, settingsName)
	buf, err := readIfExists(file)
	if err != nil {
		return err
	}
	want, err := readIfExists(filepath.Join(dir, settingsSum))
	if err != nil {
		return err
	}
	sum, err := checksumOf(s.stream, buf)
	if err == nil && buf != nil && hex.EncodeToString(sum) != string(want) {
		s.damage = append(s.damage, Damage{Stream: s.stream, Part: Settings, File: file, Length: int64(len(buf))})
	}
	return err
}

// index checks the stream's index and reads the last sequence from it. The index begins with two bytes, followed by the number
// of messages, their bytes, the first sequence, its time and the last sequence as variable-length integers; it ends with its
// checksum (nats-server 2.15.2, server/filestore.go, recoverFullState).
func (s *scan) index(file string) error {
	buf, err := readIfExists(file)
	if err != nil || buf == nil {
		return err
	}
	end := max(len(buf)-sumSize, 0)
	sum, err := checksumOf(s.stream, buf[:end])
	if err != nil {
		return err
	}
	if !bytes.Equal(sum, buf[end:]) {
		s.damage = append(s.damage, Damage{Stream: s.stream, Part: Index, File: file, Length: int64(len(buf))})
		return nil
	}
	for rest, field := buf[min(2, end):end], 0; field < 5; field++ {
		value, n := binary.Uvarint(rest)
		if n <= 0 {
			return nil
		}
		rest, s.indexed = rest[n:], value
	}
	return nil
}

// checksumOf returns the checksum of a file of the stream other than its messages.
func checksumOf(stream string, buf []byte) ([]byte, error) {
	key := sha256.Sum256([]byte(stream))
	sum, err := highwayhash.New64(key[:])
	if err != nil {
		return nil, fmt.Errorf("checksum: %w", err)
	}
	_, _ = sum.Write(buf) // a hash never fails
	return sum.Sum(nil), nil
}

// readIfExists returns the content of a file, nil if it does not exist.
func readIfExists(file string) ([]byte, error) {
	buf, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return buf, err
}
