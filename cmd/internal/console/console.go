package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/gzhttp"

	"tillstream/cmd/internal/web"
	"tillstream/events/replay"
)

// console holds what all pages share. Only tally, gauges, streams and mails change after New.
type console struct {
	Config
	assets    *web.Assets
	templates *templates
	trail     *replay.Trail // what staff did; read from the log when a page needs it
	replays   *replay.Replays
	drivers   *drivers
	courses   *courses    // of the charts of stock
	work      maintenance // long work that staff start
	tally     *tally
	gauges    *gauges
	streams   atomic.Int64 // open event streams
	mails     mails
}

// Console is the handler of everything under /ops.
type Console struct {
	http.Handler
	console *console
}

// Run counts what the overview shows, drives the replays of staff and runs the long work that they start, until ctx ends. Pages work
// without it, but do not show sums.
func (c *Console) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { c.console.tally.run(ctx) })
	running.Go(func() { c.console.gauges.run(ctx) })
	running.Go(func() { c.console.drivers.run(ctx) })
	running.Go(func() { c.console.work.run(ctx) })
	running.Go(func() { c.console.warm(ctx) })
	running.Wait()
}

// warm reads what the pages of messages and of the audit keep in memory, so that the first view of them does not wait for it. A view
// reads what is missing itself, so an error here loses nothing.
func (c *console) warm(ctx context.Context) {
	_, err := c.mails.current(ctx, c.Log)
	if err = errors.Join(err, c.trail.Warm(ctx)); err != nil && ctx.Err() == nil {
		c.Logger.WarnContext(ctx, "pages are not warm", "error", err)
	}
}

// New builds the handler of everything under /ops. It returns [ErrConfig] when a setting is missing.
func New(config Config) (*Console, error) {
	config, err := config.checked()
	if err != nil {
		return nil, err
	}
	c := &console{Config: config, tally: newTally(config), trail: config.Log.Trail(), work: newMaintenance(config.Now)}
	c.replays, c.drivers = replay.NewReplays(config.Log, config.Dispatcher, config.ApprovalOver), newDrivers(c)
	c.gauges = &gauges{config: config, tally: c.tally}
	if c.courses, err = newCourses(); err != nil {
		return nil, err
	}
	if c.assets, err = web.LoadAssets(files, "/ops/assets/", nil); err != nil {
		return nil, err
	}
	if c.templates, err = c.loadTemplates(); err != nil {
		return nil, err
	}
	compress, err := gzhttp.NewWrapper(gzhttp.EnableZstd(false))
	if err != nil {
		return nil, fmt.Errorf("set up compression: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/ops/api/", c.forwardSession(c.API)) // not compressed, like live: their event streams must not wait in a buffer
	mux.Handle("GET /ops/live/", c.liveRoutes())
	mux.Handle("GET /ops/download/", c.downloadRoutes())
	mux.Handle("/", compress(c.routes()))
	return &Console{Handler: securityHeaders(http.NewCrossOriginProtection().Handler(mux)), console: c}, nil
}

// routes returns the pages. Every group of pages has its own function and file.
func (c *console) routes() http.Handler {
	mux := http.NewServeMux()
	c.shellRoutes(mux)
	c.orderRoutes(mux)
	c.deadLetterRoutes(mux)
	c.replayRoutes(mux)
	c.stockRoutes(mux)
	c.itemRoutes(mux)
	c.paymentRoutes(mux)
	c.payoutRoutes(mux)
	c.staffRoutes(mux)
	c.maintenanceRoutes(mux)
	c.csvRoutes(mux)
	return mux
}

// policy allows only files of the console itself: no inline script or style, no other site, no frame.
const policy = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

func securityHeaders(next http.Handler) http.Handler {
	return web.SecurityHeaders(policy, "same-origin", next)
}
