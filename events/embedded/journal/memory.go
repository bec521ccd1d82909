package journal

import (
	"fmt"
	"io"
	"sort"
)

// memory is the store of a journal without a path. It keeps the slices of its callers, so neither appending nor reading copies
// a record.
type memory struct {
	size   int64
	chunks []chunk
}

type chunk struct {
	at     int64
	record []byte
}

func (m *memory) append(record []byte) (at int64, err error) {
	at = m.size
	m.chunks = append(m.chunks, chunk{at: at, record: record})
	m.size += int64(len(record))
	return at, nil
}

// from returns the index of the first chunk at or after a position.
func (m *memory) from(at int64) int {
	return sort.Search(len(m.chunks), func(i int) bool { return m.chunks[i].at >= at })
}

func (m *memory) read(at int64) ([]byte, error) {
	i := m.from(at)
	switch {
	case i < len(m.chunks) && m.chunks[i].at == at:
		return m.chunks[i].record, nil
	case i == 0:
		return nil, ErrDropped
	}
	return nil, fmt.Errorf("read record at byte %d of journal in memory: %w", at, io.ErrUnexpectedEOF)
}

func (m *memory) dropBefore(at int64) error {
	m.chunks = append([]chunk(nil), m.chunks[m.from(at):]...) // a new array; the old one would keep the dropped records
	return nil
}

func (m *memory) close() error { return nil }
