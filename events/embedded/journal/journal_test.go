package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// end is an end mark of two lines, as in the sandbox. Some records are larger than commonSize, so that they need several reads.
const end = "\nend\n"

func record(n int) string {
	return fmt.Sprintf("record %d\n%s", n, strings.Repeat("x", n*n*1000)) + end
}

// openAt opens a journal and returns its records by position.
func openAt(path string) (*Journal, map[int64]string, error) {
	records := map[int64]string{}
	j, err := Open(Config{Path: path, End: end,
		Apply: func(at int64, record []byte) error {
			if !bytes.HasPrefix(record, []byte("record")) {
				return errors.New("not a record of this test")
			}
			records[at] = string(record)
			return nil
		},
		Unfinished: func(tail []byte) error {
			if n := min(len(tail), len("record")); string(tail[:n]) != "record"[:n] {
				return errors.New("not of this test")
			}
			return nil
		}})
	return j, records, err
}

func mustOpen(t *testing.T, path string) (*Journal, map[int64]string) {
	t.Helper()
	j, records, err := openAt(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j, records
}

func appendAll(t *testing.T, j *Journal, numbers ...int) (positions []int64) {
	t.Helper()
	for _, n := range numbers {
		at, err := j.Append([]byte(record(n)))
		if err != nil {
			t.Fatal(err)
		}
		positions = append(positions, at)
	}
	return positions
}

func checkRead(t *testing.T, j *Journal, at int64, n int) {
	t.Helper()
	if got, err := j.Read(at); err != nil || string(got) != record(n) {
		t.Errorf("Read(%d): got %d bytes, %v; want the %d bytes of record %d", at, len(got), err, len(record(n)), n)
	}
}

func TestRecordsAreReadAtTheirPositions(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"File": filepath.Join(t.TempDir(), "new", "journal"), "Memory": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j, _ := mustOpen(t, path)
			positions := appendAll(t, j, 0, 1, 2, 3, 4, 5)
			for n, at := range positions {
				checkRead(t, j, at, n)
			}
			if _, err := j.Read(positions[5] + int64(len(record(5)))); err == nil {
				t.Error("Read after the last record: got no error")
			}
			for range 2 {
				if err := j.Close(); err != nil {
					t.Errorf("Close: got %v, want nil", err)
				}
			}
			if _, err := j.Append([]byte(record(1))); !errors.Is(err, ErrClosed) {
				t.Errorf("Append after Close: got %v, want ErrClosed", err)
			}
			checkRead(t, j, positions[4], 4)
		})
	}
}

func TestDropBeforeKeepsPositions(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	for name, path := range map[string]string{"File": path, "Memory": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j, _ := mustOpen(t, path)
			positions := appendAll(t, j, 0, 1, 2, 3)
			for _, first := range []int{1, 3} {
				if err := j.DropBefore(positions[first]); err != nil {
					t.Fatal(err)
				}
				positions = append(positions, appendAll(t, j, len(positions))...)
				for n, at := range positions {
					if n >= first {
						checkRead(t, j, at, n)
					} else if _, err := j.Read(at); !errors.Is(err, ErrDropped) {
						t.Errorf("Read of dropped record %d: got %v, want ErrDropped", n, err)
					}
				}
			}
			if path == "" {
				return
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			_, got := mustOpen(t, path)
			want := map[int64]string{0: record(3), int64(len(record(3))): record(4), int64(len(record(3) + record(4))): record(5)}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("records after a restart (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnfinishedRecordsAreCutOff(t *testing.T) {
	t.Parallel()
	complete := record(1) + record(0)
	for size := len(record(1)); size < len(complete); size++ {
		path := filepath.Join(t.TempDir(), "journal")
		if err := os.WriteFile(path, []byte(complete[:size]), 0o600); err != nil {
			t.Fatal(err)
		}
		j, got := mustOpen(t, path)
		if diff := cmp.Diff(map[int64]string{0: record(1)}, got); diff != "" {
			t.Fatalf("cut at %d, records (-want +got):\n%s", size, diff)
		}
		checkRead(t, j, appendAll(t, j, 2)[0], 2)
		if data, err := os.ReadFile(path); err != nil || string(data) != record(1)+record(2) {
			t.Fatalf("cut at %d: got a file of %d bytes, %v; want records 1 and 2", size, len(data), err)
		}
	}
}

func TestForeignFilesAreRefusedAndUnchanged(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]string{
		"OtherRecord": record(0) + "letter" + end,
		"OtherTail":   record(0) + "letter",
		"NoEndMark":   strings.Repeat("record", longestTail/5),
	} {
		path := filepath.Join(t.TempDir(), "journal")
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the first one releases the lock
			if _, _, err := openAt(path); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "move "+path+" away") {
				t.Errorf("%s: got %v, want ErrDamaged naming the file", name, err)
			}
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != data {
			t.Errorf("%s: got a changed file, %v; want it unchanged", name, err)
		}
	}
}

func TestSecondJournalOnAFileIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	first, _ := mustOpen(t, path)
	if err := first.DropBefore(0); err != nil { // replaces the file, not the lock
		t.Fatal(err)
	}
	if _, _, err := openAt(path); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "journal "+path+" is in use by another server") {
		t.Errorf("second Open: got %v, want ErrInUse naming the file", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, path)
}

// fullDisk writes only half of the data while full is set, and truncates nothing while stuck is set.
type fullDisk struct {
	handle
	full, stuck bool
}

func (d *fullDisk) WriteAt(data []byte, at int64) (int, error) {
	if !d.full {
		return d.handle.WriteAt(data, at)
	}
	n, err := d.handle.WriteAt(data[:len(data)/2], at)
	return n, errors.Join(err, syscall.ENOSPC)
}

func (d *fullDisk) Truncate(size int64) error {
	if d.stuck {
		return syscall.EIO
	}
	return d.handle.Truncate(size)
}

func TestFullDiskLeavesNoIncompleteRecord(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	j, _ := mustOpen(t, path)
	disk := &fullDisk{handle: j.store.(*file).handle}
	j.store.(*file).handle = disk
	first := appendAll(t, j, 1)[0]

	disk.full = true
	want := "append to journal " + path + ": free space on the disk: "
	if _, err := j.Append([]byte(record(2))); !errors.Is(err, syscall.ENOSPC) || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("Append on a full disk: got %v, want %s…", err, want)
	}
	disk.full = false
	third := appendAll(t, j, 3)[0]
	checkRead(t, j, first, 1)
	checkRead(t, j, third, 3)

	disk.full, disk.stuck = true, true
	if _, err := j.Append([]byte(record(4))); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Append on a full disk: got %v, want ENOSPC", err)
	}
	disk.full = false
	if _, err := j.Append([]byte(record(0))); !errors.Is(err, syscall.EIO) {
		t.Errorf("Append after an incomplete record: got %v, want the error of the truncation", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, got := mustOpen(t, path); len(got) != 2 {
		t.Errorf("records after a restart: got %d, want 2", len(got))
	}
}

func TestConcurrentReadsReturnCompleteRecords(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"File": filepath.Join(t.TempDir(), "journal"), "Memory": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j, _ := mustOpen(t, path)
			positions := appendAll(t, j, 0, 1, 2, 3, 4)
			var readers sync.WaitGroup
			for n, at := range positions {
				readers.Go(func() {
					for range 100 {
						if got, err := j.Read(at); !errors.Is(err, ErrDropped) && string(got) != record(n) {
							t.Errorf("Read of record %d: got %d bytes, %v; want it complete or ErrDropped", n, len(got), err)
						}
					}
				})
			}
			for _, at := range positions {
				appendAll(t, j, 1)
				if err := j.DropBefore(at); err != nil {
					t.Error(err)
				}
			}
			readers.Wait()
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	for name, path := range map[string]string{"File": filepath.Join(b.TempDir(), "journal"), "Memory": ""} {
		b.Run(name, func(b *testing.B) {
			j, err := Open(Config{Path: path, End: end, Apply: func(int64, []byte) error { return nil }, Unfinished: func([]byte) error { return nil }})
			if err != nil {
				b.Fatal(err)
			}
			defer j.Close()
			data := []byte(record(2))
			for b.Loop() {
				if _, err := j.Append(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
