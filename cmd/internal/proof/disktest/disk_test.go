package disktest_test

import (
	"bytes"
	"testing"

	"tillstream/cmd/internal/proof/disktest"
)

func TestOnlyAFlushMakesWritesLast(t *testing.T) {
	t.Parallel()
	for name, survive := range map[string]bool{"NothingElse": false, "EverythingElse": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := disktest.NewDisk(4096)
			d.Write([]byte("flushed"), 509) // over the border of two sectors
			d.Flush()
			d.Write([]byte("cached"), 1000)
			d.Write([]byte("F"), 509)
			after, cached := d.Cut(func() bool { return survive })
			if cached != 2 || d.Write([]byte("x"), 0) || d.Flush() || d.Read(make([]byte, 1), 0) {
				t.Errorf("%d sectors were in the cache, want 2; or a disk without power works", cached)
			}
			want := make([]byte, 4096)
			copy(want[509:], "flushed")
			if survive {
				copy(want[1000:], "cached")
				want[509] = 'F'
			}
			got := make([]byte, 4096)
			if !after.Read(got, 0) || !bytes.Equal(got, want) {
				t.Errorf("after the cut it reads %q", bytes.Trim(got, "\x00"))
			}
		})
	}
}
