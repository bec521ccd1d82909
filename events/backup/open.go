package backup

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/klauspost/compress/zstd"
)

// Backup is a backup whose every byte was found to be as it was written.
type Backup struct {
	Manifest
	dir string
}

// Open reads a backup whole and compares it with its manifest. It returns [ErrNoBackup], [ErrUnfinished], [ErrNewer] or
// [ErrDamaged] naming the file. progress is called with how many bytes were read; it may be nil.
func Open(ctx context.Context, dir string, progress func(done, total uint64)) (*Backup, error) {
	data, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, without(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("open backup: %w", err)
	}
	b := &Backup{dir: dir}
	if err := json.Unmarshal(data, &b.Manifest); err != nil {
		return nil, fmt.Errorf("%w: read %s: %w", ErrDamaged, manifestFile, err)
	}
	if err := b.check(); err != nil {
		return nil, fmt.Errorf("open backup %s: %w", dir, err)
	}
	seen := &reading{ctx: ctx, total: uint64(b.Bytes()), tell: progress}
	for _, name := range slices.Sorted(maps.Keys(b.Files)) {
		if err := b.verify(name, b.Files[name], seen); err != nil {
			return nil, fmt.Errorf("open backup %s: %w", dir, err)
		}
	}
	return b, nil
}

// without says what a directory without a manifest is.
func without(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, unfinishedFile)); err == nil {
		return fmt.Errorf("%w in %s: it was cut off, or ops backup is still at work; only a directory with a %s can be restored", ErrUnfinished, dir, manifestFile)
	}
	return fmt.Errorf("%w in %s: there is no %s", ErrNoBackup, dir, manifestFile)
}

// verify compares a file with what the manifest says of it. Only names that this program knows are opened, so that a
// manifest from elsewhere leads nowhere else.
func (b *Backup) verify(name string, want File, seen *reading) error {
	if name != Secrets && !slices.Contains(required, name) {
		return fmt.Errorf("%w: %s names %q, which is no file of a backup", ErrDamaged, manifestFile, name)
	}
	file, err := os.Open(filepath.Join(b.dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: %s is missing", ErrDamaged, name)
	}
	if err != nil {
		return fmt.Errorf("read backup: %w", err)
	}
	defer file.Close()
	sum := sha256.New()
	size, err := io.Copy(io.MultiWriter(sum, seen), file)
	if err != nil {
		return fmt.Errorf("read backup: %w", err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want.SHA256 || size != want.Bytes {
		return fmt.Errorf("%w: %s has %d bytes and SHA-256 %s, want %d and %s; take another copy of it, or another backup",
			ErrDamaged, name, size, got, want.Bytes, want.SHA256)
	}
	return nil
}

// reading counts what was read, and ends with its context.
type reading struct {
	ctx         context.Context
	done, total uint64
	tell        func(done, total uint64)
}

// Write implements [io.Writer].
func (r *reading) Write(p []byte) (int, error) {
	r.done += uint64(len(p))
	if r.tell != nil {
		r.tell(r.done, r.total)
	}
	return len(p), r.ctx.Err()
}

// Secrets returns the secrets of the shop, nil when the backup has none.
func (b *Backup) Secrets() ([]byte, error) {
	if _, ok := b.Files[Secrets]; !ok {
		return nil, nil
	}
	data, err := os.ReadFile(filepath.Join(b.dir, Secrets))
	if err != nil {
		return nil, fmt.Errorf("read backup: %w", err)
	}
	return data, nil
}

// Records reads a file of records, one after the other.
type Records struct {
	name         string
	file         *os.File
	decompressor *zstd.Decoder
	decoder      *jsontext.Decoder
}

// Records opens a file of records. The caller closes it.
func (b *Backup) Records(name string) (*Records, error) {
	file, err := os.Open(filepath.Join(b.dir, name))
	if err != nil {
		return nil, fmt.Errorf("read backup: %w", err)
	}
	decompressor, err := zstd.NewReader(bufio.NewReader(file), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", name, err), file.Close())
	}
	return &Records{name, file, decompressor, jsontext.NewDecoder(decompressor)}, nil
}

// Next reads the next record, and reports whether there was one.
func (r *Records) Next(record any) (bool, error) {
	err := jsonv2.UnmarshalDecode(r.decoder, record)
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("%w: read %s: %w", ErrDamaged, r.name, err)
	}
	return true, nil
}

// Close closes the file.
func (r *Records) Close() error {
	r.decompressor.Close()
	return r.file.Close()
}
