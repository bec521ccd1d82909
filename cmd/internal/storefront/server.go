package storefront

import (
	"fmt"
	"net/http"
	"regexp"
)

// idPattern is what an order id may look like; anything else cannot exist, so nobody is asked.
var idPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// shop holds what all pages share; nothing in it changes after New.
type shop struct {
	Config
	assets    *assets
	pages     *pages
	catalogue catalogue
}

// New builds the handler for the whole origin: pages, pictures and assets here, everything under /api, /webhooks and
// /ops from config.API. It fails with [ErrConfig] when a setting is wrong.
func New(config Config) (http.Handler, error) {
	config, err := config.checked()
	if err != nil {
		return nil, err
	}
	assets, err := loadAssets()
	if err != nil {
		return nil, err
	}
	pages, err := loadPages(assets)
	if err != nil {
		return nil, err
	}
	s := &shop{Config: config, assets: assets, pages: pages, catalogue: catalogue{api: config.API}}
	return s.routes(), nil
}

func (s *shop) routes() http.Handler {
	window := http.NewServeMux()
	window.HandleFunc("GET /{$}", s.showCatalogue)
	window.HandleFunc("GET /items/{sku}", s.showItem)
	window.HandleFunc("GET /cart", s.showCart)
	window.HandleFunc("GET /checkout", s.showCheckout)
	window.HandleFunc("GET /orders/{id}", s.showOrder)
	window.HandleFunc("GET /images/items/{file}", s.showPicture)
	window.HandleFunc("GET /assets/{hash}/{name}", s.assets.serve)
	window.HandleFunc("GET /docs", s.showDocs)
	window.HandleFunc("GET /openapi.json", s.showOpenAPI)
	window.HandleFunc("GET /favicon.svg", s.assets.serveFavicon)
	window.Handle("GET /favicon.ico", http.RedirectHandler("/favicon.svg", http.StatusMovedPermanently))
	window.HandleFunc("GET /robots.txt", s.showRobots)
	window.HandleFunc("/", s.showNotFound)

	origin := http.NewServeMux()
	for _, prefix := range []string{"/api/", "/webhooks/", "/ops/"} {
		origin.Handle(prefix, s.API)
	}
	origin.Handle("/", securityHeaders(s.SandboxURL, window))
	return origin
}

func (s *shop) showRobots(w http.ResponseWriter, r *http.Request) {
	rules := "User-agent: *\nDisallow: /api/\nDisallow: /ops/\nDisallow: /cart\nDisallow: /checkout\nDisallow: /orders/\n"
	send(w, r, reply{kind: "text/plain; charset=utf-8", cache: "public, max-age=86400", body: []byte(rules)})
}

// securityHeaders forbids inline script and foreign sources on every page. Stripe's hosts are named only where its
// Payment Element is used, the sandbox's only where its form is.
func securityHeaders(sandbox string, next http.Handler) http.Handler {
	script, connect, frame := "'self' https://js.stripe.com", "'self' https://api.stripe.com",
		"https://js.stripe.com https://hooks.stripe.com"
	if sandbox != "" {
		script, connect, frame = "'self'", "'self' "+sandbox, "'none'"
	}
	policy := fmt.Sprintf("default-src 'self'; script-src %s; connect-src %s; frame-src %s; img-src 'self' data:; "+
		"object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'", script, connect, frame)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "same-origin")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Cross-Origin-Opener-Policy", "same-origin-allow-popups") // some banks approve in a pop-up
		next.ServeHTTP(w, r)
	})
}
