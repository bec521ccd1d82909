package disktest

import (
	"maps"
	"sync"
)

// sector is the size in bytes of the unit that a disk writes atomically.
const sector = 512

// Disk is a disk with a volatile cache.
type Disk struct {
	size int64

	mu      sync.Mutex
	off     bool
	durable map[int64]*[sector]byte // by number; a missing sector is zeros
	cache   map[int64]*[sector]byte // written since the last flush
	flushes int
}

// NewDisk returns a disk that contains only zeros.
func NewDisk(size int64) *Disk {
	return &Disk{size: size, durable: map[int64]*[sector]byte{}, cache: map[int64]*[sector]byte{}}
}

// Size returns the size in bytes.
func (d *Disk) Size() int64 { return d.size }

// Read reads from an offset into p. It returns false when the power is off.
func (d *Disk) Read(p []byte, offset int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return false
	}
	clear(p)
	pieces(p, offset, func(piece []byte, number int64, at int) {
		if s := d.sector(number); s != nil {
			copy(piece, s[at:])
		}
	})
	return true
}

// Write writes p at an offset into the cache. It returns false when the power is off.
func (d *Disk) Write(p []byte, offset int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return false
	}
	pieces(p, offset, func(piece []byte, number int64, at int) {
		s := d.cache[number]
		if s == nil {
			s = &[sector]byte{}
			if before := d.durable[number]; before != nil {
				*s = *before
			}
			d.cache[number] = s
		}
		copy(s[at:], piece)
	})
	return true
}

// Flush makes all writes durable. It returns false when the power is off.
func (d *Disk) Flush() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return false
	}
	maps.Copy(d.durable, d.cache)
	clear(d.cache)
	d.flushes++
	return true
}

// Cut cuts the power: every later operation on this disk fails. It returns a new disk with the content after the power is back,
// and how many sectors were in the cache. survives is called for each of these sectors and decides whether it is kept.
func (d *Disk) Cut(survives func() bool) (after *Disk, cached int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off = true
	after = NewDisk(d.size)
	after.durable, d.durable = d.durable, nil
	for number, s := range d.cache {
		if survives() {
			after.durable[number] = s
		}
	}
	return after, len(d.cache)
}

// Flushes returns the number of flushes.
func (d *Disk) Flushes() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.flushes
}

func (d *Disk) sector(number int64) *[sector]byte {
	if s := d.cache[number]; s != nil {
		return s
	}
	return d.durable[number]
}

// pieces splits p at the borders of sectors.
func pieces(p []byte, offset int64, do func(piece []byte, number int64, at int)) {
	for len(p) > 0 {
		number, at := offset/sector, int(offset%sector)
		n := min(len(p), sector-at)
		do(p[:n], number, at)
		p, offset = p[n:], offset+int64(n)
	}
}
