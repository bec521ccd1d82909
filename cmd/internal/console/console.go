package console

import (
	"fmt"
	"net/http"

	"github.com/klauspost/compress/gzhttp"

	"tillstream/cmd/internal/web"
)

// console holds what all pages share. Nothing in it changes after New.
type console struct {
	Config
	assets    *web.Assets
	templates *templates
	courses   *courses      // of the charts of stock
	payments  *paymentCheck // the comparison with Stripe
}

// New builds the handler of everything under /ops. It returns [ErrConfig] when a setting is missing.
func New(config Config) (http.Handler, error) {
	config, err := config.checked()
	if err != nil {
		return nil, err
	}
	c := &console{Config: config, payments: &paymentCheck{run: config.CheckPayments}}
	if c.courses, err = newCourses(); err != nil {
		return nil, err
	}
	if c.assets, err = web.LoadAssets(files, "/ops/assets/"); err != nil {
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
	mux.Handle("/", compress(c.routes()))
	return securityHeaders(http.NewCrossOriginProtection().Handler(mux)), nil
}

// routes returns the pages. Every group of pages has its own function and file.
func (c *console) routes() http.Handler {
	mux := http.NewServeMux()
	c.shellRoutes(mux)
	c.orderRoutes(mux)
	c.letterRoutes(mux)
	c.goodsRoutes(mux)
	return mux
}

// policy allows only files of the console itself: no inline script or style, no other site, no frame.
const policy = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

func securityHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "same-origin")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}
