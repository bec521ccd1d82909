package disktest

import (
	"encoding/binary"
	"math"

	"golang.org/x/sys/unix"
)

// The requests of the FUSE protocol (linux/fuse.h) that a directory with one file receives.
const (
	opLookup      = 1
	opForget      = 2
	opGetattr     = 3
	opOpen        = 14
	opRead        = 15
	opWrite       = 16
	opStatfs      = 17
	opRelease     = 18
	opFsync       = 20
	opFlush       = 25
	opInit        = 26
	opInterrupt   = 36
	opBatchForget = 42
)

const (
	rootNode, fileNode = 1, 2

	fileName   = "disk"
	maxWrite   = 1 << 20
	directIO   = 1 << 0 // FOPEN_DIRECT_IO: no cache between the loop device and the disk
	asyncRead  = 1 << 0 // FUSE_ASYNC_READ
	bigWrites  = 1 << 5 // FUSE_BIG_WRITES
	asyncDIO   = 1 << 15
	maxPages   = 1 << 22
	protoMajor = 7
	protoMinor = 31
)

const inHeader, outHeader, ioHeader = 40, 16, 40

// request is a FUSE request.
type request struct {
	op     uint32
	unique uint64
	node   uint64
	body   []byte
}

func parse(packet []byte) request {
	le := binary.LittleEndian
	return request{op: le.Uint32(packet[4:]), unique: le.Uint64(packet[8:]), node: le.Uint64(packet[16:]), body: packet[inHeader:]}
}

// io returns the offset and size of a read or a write.
func (r request) io() (offset int64, size int) {
	le := binary.LittleEndian
	return int64(le.Uint64(r.body[8:])), int(le.Uint32(r.body[16:]))
}

// reply encodes a reply.
func reply(unique uint64, errno unix.Errno, body []byte) []byte {
	out := make([]byte, 0, outHeader+len(body))
	out = binary.LittleEndian.AppendUint32(out, uint32(outHeader+len(body)))
	out = binary.LittleEndian.AppendUint32(out, uint32(-int32(errno)))
	out = binary.LittleEndian.AppendUint64(out, unique)
	return append(out, body...)
}

// encode encodes the fields of a reply in order, without padding.
func encode(fields ...any) (out []byte) {
	for _, f := range fields {
		switch n := f.(type) {
		case uint16:
			out = binary.LittleEndian.AppendUint16(out, n)
		case uint32:
			out = binary.LittleEndian.AppendUint32(out, n)
		case uint64:
			out = binary.LittleEndian.AppendUint64(out, n)
		case []byte:
			out = append(out, n...)
		}
	}
	return out
}

func initReply() []byte {
	flags := uint32(asyncRead | bigWrites | asyncDIO | maxPages)
	return encode(uint32(protoMajor), uint32(protoMinor), uint32(0), flags, uint16(64), uint16(48), uint32(maxWrite), uint32(1),
		uint16(maxWrite/4096), uint16(0), make([]byte, 32))
}

// attributes encodes the attributes of a node, the directory or its file.
func attributes(node uint64, size int64) []byte {
	mode := uint32(unix.S_IFDIR | 0o700)
	if node == fileNode {
		mode = unix.S_IFREG | 0o600
	}
	return encode(node, uint64(size), uint64(size)/512, make([]byte, 36), mode, uint32(1), make([]byte, 12), uint32(4096), uint32(0))
}

// validSeconds is how long the kernel may cache attributes.
const validSeconds = uint64(math.MaxInt32)

func entryReply(size int64) []byte {
	return encode(uint64(fileNode), uint64(0), validSeconds, validSeconds, uint64(0), attributes(fileNode, size))
}

func attrReply(node uint64, size int64) []byte {
	return encode(validSeconds, uint64(0), attributes(node, size))
}
