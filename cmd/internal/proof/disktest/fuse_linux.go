package disktest

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// plug shows a disk as a file in a directory of its own, until it is pulled.
type plug struct {
	disk *Disk
	dir  string
	fd   int
	busy sync.WaitGroup
}

// servers is how many requests are handled at a time.
const servers = 4

// plugIn mounts the directory. Whoever unmounts it ends the plug.
func plugIn(disk *Disk, dir string) (*plug, error) {
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/fuse: %w", err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0,max_read=%d", fd, maxWrite)
	if err := unix.Mount("disktest", dir, "fuse.disktest", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return nil, errors.Join(fmt.Errorf("mount a file system of our own: %w", err), unix.Close(fd))
	}
	p := &plug{disk: disk, dir: dir, fd: fd}
	for range servers {
		p.busy.Go(p.serve)
	}
	return p, nil
}

func (p *plug) file() string { return filepath.Join(p.dir, fileName) }

// pull unmounts the directory, which nobody may use any more, and waits for the end.
func (p *plug) pull() error {
	err := unix.Unmount(p.dir, unix.MNT_DETACH)
	p.busy.Wait()
	return errors.Join(err, unix.Close(p.fd))
}

func (p *plug) serve() {
	packet := make([]byte, maxWrite+4096)
	for {
		n, err := unix.Read(p.fd, packet)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EAGAIN) {
			continue // the question was withdrawn
		}
		if err != nil {
			return // ENODEV: unmounted
		}
		q := parse(packet[:n])
		if q.op == opForget || q.op == opBatchForget || q.op == opInterrupt {
			continue // these want no answer
		}
		body, errno := p.answer(q)
		if _, err := unix.Write(p.fd, answer(q.unique, errno, body)); err != nil && !errors.Is(err, unix.ENOENT) {
			return
		}
	}
}

func (p *plug) answer(q question) (body []byte, errno unix.Errno) {
	switch q.op {
	case opInit:
		return initialized(), 0
	case opLookup:
		if name, _, _ := bytes.Cut(q.body, []byte{0}); q.node != rootNode || string(name) != fileName {
			return nil, unix.ENOENT
		}
		return entry(p.disk.Size()), 0
	case opGetattr:
		return attributed(q.node, p.disk.Size()), 0
	case opOpen:
		return numbers(uint64(0), uint32(directIO), uint32(0)), 0
	case opStatfs:
		return make([]byte, 80), 0
	case opRelease, opFlush:
		return nil, 0
	case opRead, opWrite, opFsync:
		return p.move(q)
	}
	return nil, unix.ENOSYS
}

// move is what reaches the disk.
func (p *plug) move(q question) (body []byte, errno unix.Errno) {
	on := false
	switch q.op {
	case opFsync:
		on = p.disk.Flush()
	case opRead:
		offset, size := q.io()
		body = make([]byte, max(0, min(int64(size), p.disk.Size()-offset)))
		on = p.disk.Read(body, offset)
	case opWrite:
		offset, size := q.io()
		on = p.disk.Write(q.body[ioHeader:ioHeader+size], offset)
		body = numbers(uint32(size), uint32(0))
	}
	if !on {
		return nil, unix.EIO
	}
	return body, 0
}
