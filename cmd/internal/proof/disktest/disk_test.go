package disktest_test

import (
	"bytes"
	"testing"

	"tillstream/cmd/internal/proof/disktest"
)

func TestOnlyFlushedWritesSurviveForCertain(t *testing.T) {
	t.Parallel()
	for name, survive := range map[string]bool{"CacheIsLost": false, "CacheIsKept": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := disktest.NewDisk(4096)
			d.Write([]byte("flushed"), 509) // over the border of two sectors
			d.Flush()
			d.Write([]byte("cached"), 1000)
			d.Write([]byte("F"), 509)
			after, cached := d.Cut(func() bool { return survive })
			if cached != 2 {
				t.Errorf("Cut: got %d cached sectors, want 2", cached)
			}
			if d.Write([]byte("x"), 0) || d.Flush() || d.Read(make([]byte, 1), 0) {
				t.Error("Write, Flush or Read without power: got true, want false")
			}
			want := make([]byte, 4096)
			copy(want[509:], "flushed")
			if survive {
				copy(want[1000:], "cached")
				want[509] = 'F'
			}
			got := make([]byte, 4096)
			if !after.Read(got, 0) || !bytes.Equal(got, want) {
				t.Errorf("Read after the cut: got %q, want %q", bytes.Trim(got, "\x00"), bytes.Trim(want, "\x00"))
			}
		})
	}
}
