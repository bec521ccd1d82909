package storefront_test

import (
	"bytes"
	"compress/gzip"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"tillstream/cmd/internal/storefront"
)

// get returns the answer as it is, without following redirects or decompressing.
func get(t *testing.T, handler http.Handler, path string, headers ...string) (*http.Response, string) {
	t.Helper()
	request := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	return recorder.Result(), recorder.Body.String()
}

func newShop(t *testing.T, config storefront.Config) http.Handler {
	t.Helper()
	handler, err := storefront.New(config)
	if err != nil {
		t.Fatalf("build storefront: %v", err)
	}
	return handler
}

func TestPagesHaveStatusAndText(t *testing.T) {
	shop := newShop(t, storefront.Config{API: newAPI(), ShopName: "Corner & Co",
		OpenAPI: func() []byte { return []byte(sampleOpenAPI) }})
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"/":                         {200, "Stoneware mug, ember glaze"},
		"/?q=mug":                   {200, "Results for “mug”"},
		"/?q=" + "%22%3E%3Cb%3E":    {200, "No items found"},
		"/?cursor=c%262":            {200, "Back to the first page"},
		"/?q=down":                  {503, `<a class="button" href="/?q=down">Try again</a>`},
		"/?q=refuse":                {400, "use fewer words"},
		"/items/MUG-01":             {200, "12 in stock"},
		"/items/LAMP-02":            {200, "Only 3 left"},
		"/items/THROW-03":           {200, "Sold out"},
		"/items/NO-SUCH":            {404, "This link is incomplete"},
		"/items/a.b":                {404, "This link is incomplete"},
		"/items/%2e%2e%2forders":    {404, "This link is incomplete"},
		"/cart":                     {200, "Your cart"},
		"/checkout":                 {200, `<option value="DE">Germany</option>`},
		"/orders/" + orderID:        {200, `data-id="` + orderID + `"`},
		"/orders/x*y":               {404, "This link is incomplete"},
		"/nowhere":                  {404, "Corner &amp; Co"},
		"/docs":                     {200, "Place an order"},
		"/openapi.json":             {200, `"openapi":"3.1.0"`},
		"/robots.txt":               {200, "Disallow: /orders/"},
		"/favicon.svg":              {200, "<svg"},
		"/api/items/MUG-01":         {200, `"sku":"MUG-01"`},
		"/api/orders/" + orderID:    {404, "There is no such order."},
		"/images/items/MUG-01.svg":  {200, "<svg"},
		"/images/items/MUG-01.png":  {404, ""},
		"/images/items/a%3Cb.svg":   {200, "<title>a&lt;b</title>"}, // SKUs come from suppliers
		"/images/items/a%0Ab.svg":   {404, ""},
		"/assets/0123/no-such.js":   {404, ""},
		"/items/MUG-01?x=%00%ff%22": {200, "12 in stock"},
	} {
		response, body := get(t, shop, path)
		if response.StatusCode != want.status || !strings.Contains(body, want.text) {
			t.Errorf("GET %s = %d, want %d with %q in\n%.400s", path, response.StatusCode, want.status, want.text, body)
		}
	}
}

func TestMarkupIsEscaped(t *testing.T) {
	shop := newShop(t, storefront.Config{API: newAPI(), OpenAPI: func() []byte { return []byte(sampleOpenAPI) }})
	modules := regexp.MustCompile(`<script type="module" src="/assets/[0-9a-f]{12}/[a-z]+\.js"></script>`)
	for _, path := range []string{"/", "/items/EVIL-04", "/docs", "/?q=%3Cscript%3Ealert(3)%3C/script%3E", "/orders/" + orderID} {
		_, body := get(t, shop, path)
		rest := modules.ReplaceAllString(body, "")
		for _, danger := range []string{"<script", "onerror=alert(1)>\"", "<img src=x", "<b>", " style=", "javascript:"} {
			if strings.Contains(rest, danger) {
				t.Errorf("GET %s contains %q", path, danger)
			}
		}
	}
	_, body := get(t, shop, "/items/EVIL-04")
	if !strings.Contains(body, "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;") {
		t.Error("GET /items/EVIL-04 lacks the escaped title")
	}
}

func TestSecurityHeadersAllowOnlyThePaymentProvider(t *testing.T) {
	stripe, sandbox := newShop(t, storefront.Config{API: newAPI()}),
		newShop(t, storefront.Config{API: newAPI(), SandboxURL: "http://127.0.0.1:12111/"})
	for _, path := range []string{"/", "/cart", "/nowhere", "/images/items/MUG-01.svg", "/favicon.svg"} {
		response, _ := get(t, stripe, path)
		policy := response.Header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'self';", "script-src 'self' https://js.stripe.com https://*.js.stripe.com;", "frame-src https://js.stripe.com https://*.js.stripe.com https://hooks.stripe.com;", "frame-ancestors 'none'",
			"connect-src 'self' https://api.stripe.com;", "img-src 'self' data:;"} {
			if !strings.Contains(policy, part) {
				t.Errorf("GET %s: Content-Security-Policy = %q, want %q in it", path, policy, part)
			}
		}
		if strings.Contains(policy, "unsafe") || response.Header.Get("X-Content-Type-Options") != "nosniff" ||
			response.Header.Get("Referrer-Policy") != "same-origin" {
			t.Errorf("GET %s: headers %v", path, response.Header)
		}
	}
	response, _ := get(t, sandbox, "/")
	policy := response.Header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "connect-src 'self' http://127.0.0.1:12111; frame-src http://127.0.0.1:12111;") || strings.Contains(policy, "stripe.com") {
		t.Errorf("Content-Security-Policy with the sandbox = %q, want the sandbox and not Stripe", policy)
	}
}

func TestNewRefusesInvalidConfig(t *testing.T) {
	for name, config := range map[string]storefront.Config{
		"NoAPI":        {},
		"NotAnAddress": {API: newAPI(), SandboxURL: "127.0.0.1:12111"},
		"WithPath":     {API: newAPI(), SandboxURL: "http://127.0.0.1/x"},
		"Unspecified":  {API: newAPI(), SandboxURL: "http://[::]:12111"},
		"Injection":    {API: newAPI(), SandboxURL: "http://a;script-src *"},
	} {
		if _, err := storefront.New(config); !errors.Is(err, storefront.ErrConfig) {
			t.Errorf("%s: New() error = %v, want ErrConfig", name, err)
		}
	}
}

func TestAssetsAreCompressedAndCachedForever(t *testing.T) {
	shop := newShop(t, storefront.Config{API: newAPI()})
	_, body := get(t, shop, "/")
	found := regexp.MustCompile(`href="(/assets/[0-9a-f]{12}/)shop\.css"`).FindStringSubmatch(body)
	if found == nil {
		t.Fatal("the page links no style sheet of its release")
	}
	plain, css := get(t, shop, found[1]+"shop.css")
	if plain.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || plain.Header.Get("Content-Encoding") != "" {
		t.Errorf("headers without Accept-Encoding: %v, want an immutable, uncompressed file", plain.Header)
	}
	packed, data := get(t, shop, found[1]+"shop.css", "Accept-Encoding", "br, gzip;q=0.8")
	if got := decompress(t, data); packed.Header.Get("Content-Encoding") != "gzip" || packed.Header.Get("Vary") != "Accept-Encoding" || got != css {
		t.Errorf("compressed style sheet differs from the plain one, or headers %v are wrong", packed.Header)
	}
	if refused, _ := get(t, shop, found[1]+"shop.css", "Accept-Encoding", "gzip;q=0"); refused.Header.Get("Content-Encoding") != "" {
		t.Error("Accept-Encoding: gzip;q=0 was answered with gzip")
	}
	old, same := get(t, shop, "/assets/000000000000/shop.css")
	if old.StatusCode != 200 || same != css || old.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("the address of an older release = %d %v, want the file, not cached", old.StatusCode, old.Header)
	}
}

func decompress(t *testing.T, packed string) string {
	t.Helper()
	reader, err := gzip.NewReader(strings.NewReader(packed))
	if err != nil {
		t.Fatalf("decompress: %v", err)
	}
	plain, err := io.ReadAll(reader)
	if err != nil {
		t.Fatalf("decompress: %v", err)
	}
	return string(plain)
}

func TestCatalogueLinksTheNextPage(t *testing.T) {
	shop := newShop(t, storefront.Config{API: newAPI()})
	if _, body := get(t, shop, "/"); !strings.Contains(body, `href="/?cursor=c%262"`) {
		t.Error("GET / has no link to the next page")
	}
	if _, body := get(t, shop, "/?cursor=c%262"); strings.Contains(body, "cursor=") {
		t.Error("the last page links a next one")
	}
}

func TestPicturesAreWellFormedAndDistinct(t *testing.T) {
	shop := newShop(t, storefront.Config{API: newAPI()})
	seen := map[string]bool{}
	for _, title := range []string{"", "mug", "teapot", "bottle", "lamp", "candle", "clock", "plant", "cushion", "blanket", "bag", "book",
		"bowl", "board", "shirt", "umbrella", "print", "soap", "toy", "heart", "box", "%3C/title%3E%3Cscript%3E%26%00%1b%ff"} {
		response, body := get(t, shop, "/images/items/S-1.svg?title="+title)
		if response.StatusCode != 200 || response.Header.Get("Content-Type") != "image/svg+xml" {
			t.Fatalf("picture of %q = %d %v, want an SVG", title, response.StatusCode, response.Header)
		}
		decoder := xml.NewDecoder(strings.NewReader(body))
		var err error
		for err == nil {
			_, err = decoder.Token()
		}
		if !errors.Is(err, io.EOF) {
			t.Errorf("picture of %q: %v", title, err)
		}
		if strings.Contains(body, "<script") || strings.Contains(body, "{") {
			t.Errorf("picture of %q contains markup or a placeholder:\n%s", title, body)
		}
		if seen[body] {
			t.Errorf("picture of %q equals that of another title", title)
		}
		seen[body] = true
		if _, again := get(t, shop, "/images/items/S-1.svg?title="+title); again != body {
			t.Errorf("picture of %q differs between two requests", title)
		}
	}
}

// A reverse proxy that loses its upstream panics with http.ErrAbortHandler, which must not abort the shopper's connection.
func TestTruncatedAnswerReturnsUnavailablePage(t *testing.T) {
	shop := newShop(t, storefront.Config{API: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := w.Write(bytes.Repeat([]byte(" "), 10)); err != nil {
			t.Errorf("write: %v", err)
		}
		panic(http.ErrAbortHandler)
	})})
	if response, _ := get(t, shop, "/"); response.StatusCode != 503 || response.Header.Get("Retry-After") == "" {
		t.Errorf("GET / = %d %v, want 503 with Retry-After", response.StatusCode, response.Header)
	}
}
