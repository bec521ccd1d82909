package disktest

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// fuseFile is a FUSE file system with one file, which contains the disk.
type fuseFile struct {
	disk     *Disk
	dir      string
	fd       int
	requests sync.WaitGroup
}

// workers is how many requests are handled concurrently.
const workers = 4

// mountFUSE mounts the file system on a directory.
func mountFUSE(disk *Disk, dir string) (*fuseFile, error) {
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/fuse: %w", err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0,max_read=%d", fd, maxWrite)
	if err := unix.Mount("disktest", dir, "fuse.disktest", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return nil, errors.Join(fmt.Errorf("mount the FUSE file system: %w", err), unix.Close(fd))
	}
	f := &fuseFile{disk: disk, dir: dir, fd: fd}
	for range workers {
		f.requests.Go(f.serve)
	}
	return f, nil
}

func (f *fuseFile) path() string { return filepath.Join(f.dir, fileName) }

// close unmounts the directory, which must not be in use, and waits for the requests.
func (f *fuseFile) close() error {
	err := unix.Unmount(f.dir, unix.MNT_DETACH)
	f.requests.Wait()
	return errors.Join(err, unix.Close(f.fd))
}

func (f *fuseFile) serve() {
	packet := make([]byte, maxWrite+4096)
	for {
		n, err := unix.Read(f.fd, packet)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EAGAIN) {
			continue // the request was withdrawn
		}
		if err != nil {
			return // ENODEV: unmounted
		}
		r := parse(packet[:n])
		if r.op == opForget || r.op == opBatchForget || r.op == opInterrupt {
			continue // without a reply
		}
		body, errno := f.handle(r)
		if _, err := unix.Write(f.fd, reply(r.unique, errno, body)); err != nil && !errors.Is(err, unix.ENOENT) {
			return
		}
	}
}

func (f *fuseFile) handle(r request) (body []byte, errno unix.Errno) {
	switch r.op {
	case opInit:
		return initReply(), 0
	case opLookup:
		if name, _, _ := bytes.Cut(r.body, []byte{0}); r.node != rootNode || string(name) != fileName {
			return nil, unix.ENOENT
		}
		return entryReply(f.disk.Size()), 0
	case opGetattr:
		return attrReply(r.node, f.disk.Size()), 0
	case opOpen:
		return encode(uint64(0), uint32(directIO), uint32(0)), 0
	case opStatfs:
		return make([]byte, 80), 0
	case opRelease, opFlush:
		return nil, 0
	case opRead, opWrite, opFsync:
		return f.transfer(r)
	}
	return nil, unix.ENOSYS
}

// transfer handles the requests that reach the disk.
func (f *fuseFile) transfer(r request) (body []byte, errno unix.Errno) {
	on := false
	switch r.op {
	case opFsync:
		on = f.disk.Flush()
	case opRead:
		offset, size := r.io()
		body = make([]byte, max(0, min(int64(size), f.disk.Size()-offset)))
		on = f.disk.Read(body, offset)
	case opWrite:
		offset, size := r.io()
		on = f.disk.Write(r.body[ioHeader:ioHeader+size], offset)
		body = encode(uint32(size), uint32(0))
	}
	if !on {
		return nil, unix.EIO
	}
	return body, 0
}
