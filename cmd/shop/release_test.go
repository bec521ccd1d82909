package main

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var keepRelease = flag.String("keep-release", "", "write the data of a shop of this release to testdata/releases under this name, such as 1")

// releases has the data directory of every release, one archive each. The archives are never changed: if a later release cannot
// open one, an upgraded shop cannot open its data either. The archive of a release is added before the release is published.
const releases = "testdata/releases"

// promises is what the shop of a release must keep: its orders, stock and mails when its data was archived.
type promises struct {
	Bought  order  `json:"bought"`  // confirmed, with an e-mail
	Waiting order  `json:"waiting"` // reserved, awaiting payment
	Sold    order  `json:"sold"`    // cancelled
	Stock   level  `json:"stock"`   // of MUG
	Mails   []mail `json:"mails"`   // to the first shopper
}

// A shop opens the data directory of every earlier release: its orders are unchanged, a waiting one can be paid, and the shop
// sells.
func TestDataOfEveryReleaseOpens(t *testing.T) {
	t.Parallel()
	if *keepRelease != "" {
		writeRelease(t, filepath.Join(releases, *keepRelease+".tar.gz"))
	}
	kept, err := filepath.Glob(filepath.Join(releases, "*.tar.gz"))
	if err != nil || len(kept) == 0 {
		t.Fatalf("no archives in %s (%v)", releases, err)
	}
	for _, file := range kept {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".tar.gz"), func(t *testing.T) {
			t.Parallel()
			openRelease(t, file)
		})
	}
}

func openRelease(t *testing.T, file string) {
	t.Helper()
	config := testConfig(t, forYears)
	unpack(t, file, config.Data)
	var then promises
	readFile(t, filepath.Join(config.Data, "formerly.json"), &then)
	ts := openShop(t, config)
	for _, known := range []struct {
		order
		status string
	}{{then.Bought, "confirmed"}, {then.Waiting, "awaiting_payment"}, {then.Sold, "cancelled"}} {
		if got := ts.read(t, known.order); got.Status != known.status || got.Number != known.Number || got.Total != known.Total {
			t.Errorf("order %s = %+v, want the status %s", known.ID, got, known.status)
		}
	}
	if diff := cmp.Diff(then.Mails, ts.mailed(t, then.Bought.Email, 1)); diff != "" {
		t.Errorf("e-mails (-then +now):\n%s", diff)
	}
	if got := ts.stock(t, "MUG"); got != then.Stock {
		t.Errorf("stock = %+v, want %+v", got, then.Stock)
	}
	ts.settle(t, then.Waiting)
	ts.charged(t, then.Waiting)
	again := ts.buy(t, cart("eve", line{"MUG", 1}))
	ts.verify(t, then.Bought.ID, then.Waiting.ID, then.Sold.ID, again.ID)
}

// forYears reserves stock until a much later release opens the data.
func forYears(c *Config) { c.HoldFor = 20 * 365 * 24 * time.Hour }

// writeRelease archives the data of a shop of this release.
func writeRelease(t *testing.T, file string) {
	t.Helper()
	config := testConfig(t, forYears)
	ts := openShop(t, config)
	ts.list(t, "MUG", 1250, 10)
	then := promises{Bought: ts.buy(t, cart("ada", line{"MUG", 1}))}
	then.Mails = ts.mailed(t, then.Bought.Email, 1)
	then.Waiting = ts.place(t, cart("bob", line{"MUG", 2}))
	ts.checkout(t, then.Waiting)
	then.Sold = ts.place(t, cart("cyd", line{"MUG", 1}))
	if a := ts.cancel(t, then.Sold); a.Status != 200 {
		t.Fatalf("cancel: status %d, want 200: %s", a.Status, a.Body)
	}
	then.Stock = level{9, 7, 2}
	ts.stockBecomes(t, "MUG", then.Stock)
	ts.notMailed(t, then.Sold)
	ts.verify(t, then.Bought.ID, then.Waiting.ID, then.Sold.ID)
	ts.close(t)
	data, err := json.Marshal(then)
	if err == nil {
		err = os.WriteFile(filepath.Join(config.Data, "formerly.json"), data, 0o600)
	}
	if err == nil {
		err = os.MkdirAll(filepath.Dir(file), 0o755)
	}
	if err == nil {
		err = pack(file, config.Data)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func pack(file, dir string) (err error) {
	out, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("create archive: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	compressed := gzip.NewWriter(out)
	archived := tar.NewWriter(compressed)
	if err := archived.AddFS(os.DirFS(dir)); err != nil {
		return err
	}
	return errors.Join(archived.Close(), compressed.Close())
}

func unpack(t *testing.T, file, dir string) {
	t.Helper()
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	compressed, err := gzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	archived := tar.NewReader(compressed)
	for {
		head, err := archived.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(head.Name))
		if head.FileInfo().IsDir() {
			if err := os.MkdirAll(path, 0o700); err != nil {
				t.Fatal(err)
			}
			continue
		}
		data, err := io.ReadAll(archived)
		if err == nil {
			err = os.WriteFile(path, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
