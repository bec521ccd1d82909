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

// Backup is a backup in which every byte was verified.
type Backup struct {
	Manifest
	dir string
}

// Open reads a whole backup and compares it with its manifest. It returns [ErrNoBackup], [ErrUnfinished], [ErrNewer] or
// [ErrDamaged], which names the file. progress, if not nil, is called with the number of bytes read.
func Open(ctx context.Context, dir string, progress func(done, total uint64)) (*Backup, error) {
	data, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, errWithoutManifest(dir)
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
	counter := &progressWriter{ctx: ctx, total: uint64(b.Bytes()), report: progress}
	for _, name := range slices.Sorted(maps.Keys(b.Files)) {
		if err := b.verify(name, b.Files[name], counter); err != nil {
			return nil, fmt.Errorf("open backup %s: %w", dir, err)
		}
	}
	return b, nil
}

// errWithoutManifest returns the error for a directory without a manifest.
func errWithoutManifest(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, unfinishedFile)); err == nil {
		return fmt.Errorf("%w in %s: ops backup is still running or was interrupted; only a directory with a %s can be restored", ErrUnfinished, dir, manifestFile)
	}
	return fmt.Errorf("%w in %s: there is no %s", ErrNoBackup, dir, manifestFile)
}

// verify compares a file with its entry in the manifest. It opens only known names, so that a forged manifest cannot name a file
// outside the directory.
func (b *Backup) verify(name string, want File, progress *progressWriter) error {
	if name != Secrets && !slices.Contains(required, name) {
		return fmt.Errorf("%w: %s names %q, which is not a file of a backup", ErrDamaged, manifestFile, name)
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
	size, err := io.Copy(io.MultiWriter(sum, progress), file)
	if err != nil {
		return fmt.Errorf("read backup: %w", err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want.SHA256 || size != want.Bytes {
		return fmt.Errorf("%w: %s has %d bytes and SHA-256 %s, want %d and %s; take another copy of it, or another backup",
			ErrDamaged, name, size, got, want.Bytes, want.SHA256)
	}
	return nil
}

// progressWriter reports the number of bytes written to it, and fails when its context ends.
type progressWriter struct {
	ctx         context.Context
	done, total uint64
	report      func(done, total uint64)
}

// Write implements [io.Writer].
func (w *progressWriter) Write(p []byte) (int, error) {
	w.done += uint64(len(p))
	if w.report != nil {
		w.report(w.done, w.total)
	}
	return len(p), w.ctx.Err()
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

// Records reads the records of a file.
type Records struct {
	name         string
	file         *os.File
	decompressor *zstd.Decoder
	decoder      *jsontext.Decoder
}

// Records opens a file with records. The caller closes it.
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

// Next reads the next record, and reports false at the end of the file.
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
