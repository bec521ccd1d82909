package storefront

import (
	"fmt"
	"net/http"
	"regexp"

	"tillstream/cmd/internal/web"

	"github.com/klauspost/compress/gzhttp"
)

// idPattern matches every valid order id. Any other id is not found, without a request to the API.
var idPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// shop holds what all pages share. Nothing in it changes after New.
type shop struct {
	Config
	assets    *web.Assets
	pages     *pages
	catalogue catalogue
}

// New builds the handler for the whole origin: pages, pictures and assets are served here, everything under /api
// and /webhooks by config.API. It returns [ErrConfig] when a setting is wrong.
func New(config Config) (http.Handler, error) {
	config, err := config.checked()
	if err != nil {
		return nil, err
	}
	digits, err := digitsModule()
	if err != nil {
		return nil, err
	}
	assets, err := web.LoadAssets(files, "/assets/", map[string][]byte{"digits.js": digits})
	if err != nil {
		return nil, err
	}
	pages, err := loadPages(assets)
	if err != nil {
		return nil, err
	}
	compress, err := gzhttp.NewWrapper(gzhttp.EnableZstd(false))
	if err != nil {
		return nil, fmt.Errorf("set up compression: %w", err)
	}
	s := &shop{Config: config, assets: assets, pages: pages, catalogue: catalogue{api: config.API}}
	origin := http.NewServeMux()
	for _, prefix := range []string{"/api/", "/webhooks/"} {
		origin.Handle(prefix, s.API) // not compressed here: the API's event streams must not wait in a buffer
	}
	origin.Handle("/", securityHeaders(s.SandboxURL, compress(s.routes())))
	return origin, nil
}

func (s *shop) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.showCatalogue)
	mux.HandleFunc("GET /items/{sku}", s.showItem)
	mux.HandleFunc("GET /cart", s.showCart)
	mux.HandleFunc("GET /checkout", s.showCheckout)
	mux.HandleFunc("GET /orders/{id}", s.showOrder)
	mux.HandleFunc("GET /images/items/{file}", s.showPicture)
	mux.HandleFunc("GET /assets/{hash}/{name}", s.assets.Serve)
	mux.HandleFunc("GET /docs", s.showDocs)
	mux.HandleFunc("GET /openapi.json", s.showOpenAPI)
	mux.HandleFunc("GET /favicon.svg", s.assets.ServeFavicon)
	mux.Handle("GET /favicon.ico", http.RedirectHandler("/favicon.svg", http.StatusMovedPermanently))
	mux.HandleFunc("GET /robots.txt", showRobots)
	mux.HandleFunc("/", s.showNotFound)
	return mux
}

func showRobots(w http.ResponseWriter, _ *http.Request) {
	rules := "User-agent: *\nDisallow: /api/\nDisallow: /ops/\nDisallow: /cart\nDisallow: /checkout\nDisallow: /orders/\n"
	web.Send(w, web.Reply{Kind: "text/plain; charset=utf-8", Cache: "public, max-age=86400", Body: []byte(rules)})
}

// securityHeaders forbids inline script and foreign sources on every page. Stripe's hosts are named only where its
// Payment Element is used (docs.stripe.com/security/guide#content-security-policy), and the sandbox's host only where its form is. The
// frames of wallets and of banks are Stripe's.
func securityHeaders(sandbox string, next http.Handler) http.Handler {
	script, connect, frame := "'self' https://js.stripe.com https://*.js.stripe.com", "'self' https://api.stripe.com",
		"https://js.stripe.com https://*.js.stripe.com https://hooks.stripe.com"
	if sandbox != "" {
		script, connect, frame = "'self'", "'self' "+sandbox, sandbox
	}
	policy := fmt.Sprintf("default-src 'self'; script-src %s; connect-src %s; frame-src %s; img-src 'self' data:; "+
		"object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'", script, connect, frame)
	return web.SecurityHeaders(policy, "same-origin-allow-popups", next) // some banks approve payments in a pop-up
}
