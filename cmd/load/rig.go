package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tillstream/cmd/internal/proof/chaos"
	"tillstream/cmd/internal/proof/fleet"
	"tillstream/cmd/internal/proof/loadgen"
	"tillstream/cmd/internal/proof/proc"
	"tillstream/cmd/internal/seed"
)

// What a rig has on its shelves: enough of everything, but for one item that runs out in a soak.
const (
	plenty = 1_000_000
	scarce = 50 // in a soak
)

// calmSweeps is how often a shop that nobody hurts looks for what was left lying, as processes do unless they are told
// otherwise.
const calmSweeps = time.Minute

// rig is a shop of load's own, and the hand that may hurt it.
type rig struct {
	out  io.Writer
	dir  string
	log  *diary
	shop *fleet.Fleet
	hand *chaos.Hand
	calm time.Time // when the last fault was over; zero: there were none

	makeRoom func() // takes away the line that says how far a run is; nil: there is none
}

// visitOwn starts a shop, goes shopping there and ends it. Its directory goes with it unless it is wanted, or something was
// off.
func (c *command) visitOwn(ctx context.Context, out, progress io.Writer) (err error) {
	dir, isOurs, err := c.directory()
	if err != nil {
		return err
	}
	opened := false
	defer func() {
		if err != nil && opened {
			fmt.Fprintf(out, "what the processes said is in %s, their data beside it\n", filepath.Join(dir, diaryName))
		} else if isOurs {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	r, err := c.openRig(ctx, dir, out)
	opened = r != nil
	if err != nil {
		return err
	}
	err = r.stock(ctx, c.Soak > 0)
	if err == nil {
		err = c.visit(ctx, r.shop.Shop, r, out, progress)
	}
	err = errors.Join(err, r.close())
	if err == nil && r.shop.Database == nil {
		err = r.dropDatabase(context.WithoutCancel(ctx))
	}
	return err
}

func (c *command) directory() (dir string, isOurs bool, err error) {
	if c.Keep != "" {
		if err := os.MkdirAll(c.Keep, 0o755); err != nil {
			return "", false, fmt.Errorf("make the directory to keep: %w", err)
		}
		return c.Keep, false, nil
	}
	if dir, err = os.MkdirTemp("", "tillstream-load-"); err != nil {
		return "", false, fmt.Errorf("make a directory for the shop: %w", err)
	}
	return dir, true, nil
}

// openRig opens a shop in a directory. With an error it returns the rig when there is something to be read about it.
func (c *command) openRig(ctx context.Context, dir string, out io.Writer) (*rig, error) {
	programs := c.Bin
	if programs == "" {
		programs = filepath.Join(dir, "programs")
		if err := os.MkdirAll(programs, 0o755); err != nil {
			return nil, fmt.Errorf("make a directory for programs: %w", err)
		}
		fmt.Fprintln(out, "building the shop's programs; --bin takes those that were built before")
		if err := proc.Build(ctx, programs, nil, fleet.Packages()...); err != nil {
			return nil, fmt.Errorf("%w; run load in this module's directory, or pass --bin", err)
		}
	}
	if err := fleet.Check(programs); err != nil {
		return nil, fmt.Errorf("--bin %s: %w; build them with go build -o DIR/ %s", programs, err, strings.Join(fleet.Packages(), " "))
	}
	log, err := openDiary(dir)
	if err != nil {
		return nil, err
	}
	r := &rig{out: out, dir: dir, log: log, hand: chaos.NewHand()}
	config := fleet.Config{Dir: dir, Programs: programs, Hear: log.write}
	if config.MongoURI, err = freshDatabase(c.MongoDB); err != nil {
		return nil, errors.Join(err, log.close())
	}
	if c.Soak == 0 {
		config.SweepEvery = calmSweeps
	}
	if c.Faults {
		config.Between, config.Outside = r.hand.Between, r.hand.Outside()
	}
	fmt.Fprintln(out, "starting a broker, a database, two of each worker and a storefront")
	if r.shop, err = fleet.Start(ctx, config); err != nil {
		r.hand.Release()
		return r, errors.Join(fmt.Errorf("start a shop: %w", err), log.close())
	}
	return r, nil
}

// freshDatabase names a database of our own on somebody else's server, since what is in theirs belongs to another log.
func freshDatabase(uri string) (string, error) {
	if uri == "" {
		return "", nil
	}
	u, err := url.Parse(uri)
	if err != nil {
		return "", fmt.Errorf("--mongodb: %w", err)
	}
	u.Path = fmt.Sprintf("/soak_%d", time.Now().UnixNano())
	return u.String(), nil
}

// dropDatabase leaves nothing behind on somebody else's server.
func (r *rig) dropDatabase(ctx context.Context) error {
	db, closeDB, err := r.shop.Shop.Database(ctx)
	if err != nil {
		return err
	}
	defer closeDB()
	if err := db.Drop(ctx); err != nil {
		return fmt.Errorf("drop the database of the run: %w", err)
	}
	return nil
}

// stock fills the shelves. Of the first item there may be few.
func (r *rig) stock(ctx context.Context, runsOut bool) error {
	staff := loadgen.NewShop(loadgen.Addresses{Storefront: r.shop.Shop.Storefront, Ops: r.shop.Shop.Ops, OpsToken: r.shop.Shop.OpsToken}, 1, true)
	for i, listing := range seed.Demo() {
		onHand := int64(plenty)
		if i == 0 && runsOut {
			onHand = scarce
		}
		if err := staff.List(ctx, loadgen.Listing{SKU: listing.SKU, Title: listing.Title, Price: listing.Price, OnHand: onHand}); err != nil {
			return err
		}
	}
	return nil
}

// close ends the shop. That a process does not end when it is asked to is a finding like any other.
func (r *rig) close() error {
	err := r.shop.Stop()
	r.hand.Release()
	if err != nil {
		err = fmt.Errorf("%w: end the shop: %w", errFailed, err)
	}
	return errors.Join(err, r.log.close())
}

// diaryName is the file that has what all processes of a rig said.
const diaryName = "shop.log"

// diary keeps what processes say.
type diary struct {
	mu   sync.Mutex
	file *os.File
	to   *bufio.Writer
	err  error
}

func openDiary(dir string) (*diary, error) {
	file, err := os.Create(filepath.Join(dir, diaryName))
	if err != nil {
		return nil, fmt.Errorf("open the log of the shop: %w", err)
	}
	return &diary{file: file, to: bufio.NewWriter(file)}, nil
}

func (d *diary) write(name, line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := fmt.Fprintf(d.to, "%s [%s] %s\n", time.Now().Format("15:04:05.000"), name, line); err != nil && d.err == nil {
		d.err = err
	}
}

func (d *diary) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := errors.Join(d.err, d.to.Flush(), d.file.Close()); err != nil {
		return fmt.Errorf("write the log of the shop: %w", err)
	}
	return nil
}
