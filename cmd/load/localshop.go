package main

import (
	"bufio"
	"cmp"
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

// Stock of each item, in units. The first item has few in a soak test, so that it runs out.
const (
	plenty = 1_000_000
	scarce = 50
)

// sweepEvery is the interval of the periodic jobs without faults, as in production. A fleet's own default is shorter.
const sweepEvery = time.Minute

// localShop is a shop that load starts, and the faults injected into it.
type localShop struct {
	out         io.Writer
	log         *processLog
	shop        *fleet.Fleet
	injector    *chaos.Injector
	dir         string    // for data
	programs    string    // directory of its programs
	broken      string    // directory of the bad release; "": there is none
	faultsEnded time.Time // zero: no faults were injected

	clearProgress func() // removes the progress line; nil: there is none
}

// runLocalShop starts a shop, buys there and stops it. It removes the shop's directory unless it is that of --keep or the run
// failed.
func (c *command) runLocalShop(ctx context.Context, out, progress io.Writer) (err error) {
	dir, isTemporary, err := c.directory()
	if err != nil {
		return err
	}
	opened := false
	defer func() {
		if err != nil && opened {
			fmt.Fprintf(out, "the log of the processes is %s\n  and their data is in the same directory\n", filepath.Join(dir, logName))
		} else if isTemporary {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	o, err := c.openLocalShop(ctx, dir, out)
	opened = o != nil
	if err != nil {
		return err
	}
	err = o.stock(ctx, c.Soak > 0)
	if err == nil {
		err = c.runAt(ctx, o.shop.Shop, o, out, progress)
	}
	err = errors.Join(err, o.close())
	if err == nil && o.shop.Database == nil {
		err = o.dropDatabase(context.WithoutCancel(ctx))
	}
	return err
}

func (c *command) directory() (dir string, isTemporary bool, err error) {
	if c.Keep != "" {
		if err := os.MkdirAll(c.Keep, 0o755); err != nil {
			return "", false, fmt.Errorf("create directory of --keep: %w", err)
		}
		return c.Keep, false, nil
	}
	if dir, err = os.MkdirTemp("", "tillstream-load-"); err != nil {
		return "", false, fmt.Errorf("create directory of the shop: %w", err)
	}
	return dir, true, nil
}

// openLocalShop starts a shop in a directory. If processes were started, it returns the shop also with an error: the log of the
// processes may show the cause.
func (c *command) openLocalShop(ctx context.Context, dir string, out io.Writer) (*localShop, error) {
	programs := c.Bin
	if programs == "" {
		programs = filepath.Join(dir, "programs")
		if err := os.MkdirAll(programs, 0o755); err != nil {
			return nil, fmt.Errorf("create directory of programs: %w", err)
		}
		fmt.Fprintln(out, "building the programs of the shop; --bin DIR uses existing ones")
		if err := proc.Build(ctx, programs, nil, c.packages()...); err != nil {
			return nil, fmt.Errorf("%w; run load in the directory of this module, or pass --bin", err)
		}
	}
	if err := cmp.Or(fleet.Check(programs), c.checkOps(programs)); err != nil {
		return nil, fmt.Errorf("--bin %s: %w; build them with go build -o DIR/ %s", programs, err, strings.Join(c.packages(), " "))
	}
	broken, err := c.buildBroken(ctx, dir, out)
	if err != nil {
		return nil, err
	}
	log, err := openProcessLog(dir)
	if err != nil {
		return nil, err
	}
	o := &localShop{out: out, log: log, injector: chaos.NewInjector(), dir: dir, programs: programs, broken: broken}
	config := fleet.Config{Dir: dir, Programs: programs, Output: log.write}
	if config.MongoURI, err = freshDatabase(c.MongoDB); err != nil {
		return nil, errors.Join(err, log.close())
	}
	if c.Soak == 0 && c.Faults == noFaults {
		config.SweepEvery = sweepEvery
	}
	if c.Faults == allFaults {
		config.Proxy = o.injector.Proxy
	}
	fmt.Fprintln(out, "starting a broker, a database, two processes of each worker, a storefront and the console")
	if o.shop, err = fleet.Start(ctx, config); err != nil {
		o.injector.Close()
		return o, errors.Join(fmt.Errorf("start shop: %w", err), log.close())
	}
	return o, nil
}

// freshDatabase returns the address of a new database on the same server. The given database may belong to another log.
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

// dropDatabase drops the new database on a server that was given by --mongodb.
func (o *localShop) dropDatabase(ctx context.Context) error {
	db, closeDB, err := o.shop.Shop.Database(ctx)
	if err != nil {
		return err
	}
	defer closeDB()
	if err := db.Drop(ctx); err != nil {
		return fmt.Errorf("drop database of the run: %w", err)
	}
	return nil
}

// stock lists the demo items with enough stock; the first one may run out.
func (o *localShop) stock(ctx context.Context, runsOut bool) error {
	at := o.shop.Shop
	staff := loadgen.NewShop(loadgen.Addresses{Storefront: at.Storefront, Ops: at.Ops, OpsKey: at.OpsKey}, 1, true)
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

// close stops the shop. A process that does not stop when asked to is a failure of the run.
func (o *localShop) close() error {
	err := o.shop.Stop()
	o.injector.Close()
	if err != nil {
		err = fmt.Errorf("%w: stop shop: %w", errFailed, err)
	}
	return errors.Join(err, o.log.close())
}

// logName is the file with the output of all processes of a local shop.
const logName = "shop.log"

// processLog writes the output of processes to a file.
type processLog struct {
	mu   sync.Mutex
	file *os.File
	to   *bufio.Writer
	err  error
}

func openProcessLog(dir string) (*processLog, error) {
	file, err := os.Create(filepath.Join(dir, logName))
	if err != nil {
		return nil, fmt.Errorf("open log of the shop: %w", err)
	}
	return &processLog{file: file, to: bufio.NewWriter(file)}, nil
}

func (l *processLog) write(name, line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := fmt.Fprintf(l.to, "%s [%s] %s\n", time.Now().Format("15:04:05.000"), name, line); err != nil && l.err == nil {
		l.err = err
	}
}

func (l *processLog) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := errors.Join(l.err, l.to.Flush(), l.file.Close()); err != nil {
		return fmt.Errorf("write log of the shop: %w", err)
	}
	return nil
}
