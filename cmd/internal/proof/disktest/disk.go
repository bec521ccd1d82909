package disktest

import (
	"maps"
	"sync"
)

// sector is what a disk writes whole or not at all.
const sector = 512

// Disk is a disk with a volatile cache.
type Disk struct {
	size int64

	mu      sync.Mutex
	off     bool
	lasting map[int64]*[sector]byte // by number; what is missing is zeros
	cache   map[int64]*[sector]byte // written since the last flush
	flushes int
}

// NewDisk makes a disk of zeros.
func NewDisk(size int64) *Disk {
	return &Disk{size: size, lasting: map[int64]*[sector]byte{}, cache: map[int64]*[sector]byte{}}
}

// Size is how many bytes it holds.
func (d *Disk) Size() int64 { return d.size }

// Read fills p with what stands at an offset, and reports whether the power is on.
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

// Write puts p at an offset, into the cache, and reports whether the power is on.
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
			if before := d.lasting[number]; before != nil {
				*s = *before
			}
			d.cache[number] = s
		}
		copy(s[at:], piece)
	})
	return true
}

// Flush makes last what was written, and reports whether the power is on.
func (d *Disk) Flush() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return false
	}
	maps.Copy(d.lasting, d.cache)
	clear(d.cache)
	d.flushes++
	return true
}

// Cut takes the power away for good, and returns the disk as it is found when it is switched on again: what was flushed,
// and of the other sectors those that survive says. It also says how many sectors were in the cache.
func (d *Disk) Cut(survives func() bool) (after *Disk, cached int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off = true
	after = NewDisk(d.size)
	after.lasting, d.lasting = d.lasting, nil
	for number, s := range d.cache {
		if survives() {
			after.lasting[number] = s
		}
	}
	return after, len(d.cache)
}

// Flushes is how often it was told to flush.
func (d *Disk) Flushes() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.flushes
}

func (d *Disk) sector(number int64) *[sector]byte {
	if s := d.cache[number]; s != nil {
		return s
	}
	return d.lasting[number]
}

// pieces cuts p at the borders of sectors.
func pieces(p []byte, offset int64, do func(piece []byte, number int64, at int)) {
	for len(p) > 0 {
		number, at := offset/sector, int(offset%sector)
		n := min(len(p), sector-at)
		do(p[:n], number, at)
		p, offset = p[n:], offset+int64(n)
	}
}
