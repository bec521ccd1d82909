package sandbox

import (
	"io"
	"sort"
	"sync"
)

// memory is the storage of a journal that shall not outlive the process. Every
// write stays the chunk it came as, so that growing copies nothing.
type memory struct {
	mu     sync.RWMutex
	chunks []chunk
}

type chunk struct {
	at   int64
	data []byte
}

// WriteAt implements io.WriterAt for writes at the end, all a journal does. It
// keeps data, which the journal does not touch again.
func (m *memory) WriteAt(data []byte, at int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.chunks = append(m.chunks, chunk{at: at, data: data})
	return len(data), nil
}

// ReadAt implements io.ReaderAt for reads inside one write, all a journal does.
func (m *memory) ReadAt(buf []byte, at int64) (int, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	i := sort.Search(len(m.chunks), func(i int) bool { return m.chunks[i].at > at }) - 1
	if i < 0 {
		return 0, io.EOF
	}
	c := m.chunks[i]
	n := copy(buf, c.data[min(at-c.at, int64(len(c.data))):])
	if n < len(buf) {
		return n, io.EOF
	}
	return n, nil
}

// Truncate drops whole writes from the end.
func (m *memory) Truncate(size int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.chunks) > 0 && m.chunks[len(m.chunks)-1].at >= size {
		m.chunks = m.chunks[:len(m.chunks)-1]
	}
	return nil
}

// Close implements io.Closer.
func (m *memory) Close() error { return nil }
