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

// get asks without following redirects or unpacking, and reads the whole answer.
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

func TestPagesAnswer(t *testing.T) {
	shop := newShop(t, storefront.Config{API: newAPI(), ShopName: "Corner & Co",
		OpenAPI: func() []byte { return []byte(sampleOpenAPI) }})
	for path, want := range map[string]struct {
		status int
		says   string
	}{
		"/":                         {200, "Stoneware mug, ember glaze"},
		"/?q=mug":                   {200, "Results for “mug”"},
		"/?q=" + "%22%3E%3Cb%3E":    {200, "Nothing matches that"},
		"/?cursor=c%262":            {200, "Back to the start"},
		"/?q=down":                  {503, "cannot reach its shelves"},
		"/?q=refuse":                {400, "did not understand"},
		"/items/MUG-01":             {200, "12 available"},
		"/items/LAMP-02":            {200, "Only 3 left"},
		"/items/THROW-03":           {200, "Sold out"},
		"/items/NO-SUCH":            {404, "no page at this address"},
		"/items/a.b":                {404, "no page at this address"},
		"/items/%2e%2e%2forders":    {404, "no page at this address"},
		"/cart":                     {200, "Your cart"},
		"/checkout":                 {200, `<option value="DE">Germany</option>`},
		"/orders/" + orderID:        {200, `data-id="` + orderID + `"`},
		"/orders/x*y":               {404, "no page at this address"},
		"/nowhere":                  {404, "Corner &amp; Co"},
		"/docs":                     {200, "Place an order"},
		"/openapi.json":             {200, `"openapi":"3.1.0"`},
		"/robots.txt":               {200, "Disallow: /orders/"},
		"/favicon.svg":              {200, "<svg"},
		"/api/items/MUG-01":         {200, `"sku":"MUG-01"`},
		"/api/orders/" + orderID:    {404, "There is no such order."},
		"/images/items/MUG-01.svg":  {200, "<svg"},
		"/images/items/MUG-01.png":  {404, ""},
		"/images/items/a%3Cb.svg":   {200, "<title>a&lt;b</title>"}, // people outside the shop make item numbers
		"/images/items/a%0Ab.svg":   {404, ""},
		"/assets/0123/no-such.js":   {404, ""},
		"/items/MUG-01?x=%00%ff%22": {200, "12 available"},
	} {
		response, body := get(t, shop, path)
		if response.StatusCode != want.status || !strings.Contains(body, want.says) {
			t.Errorf("GET %s answered %d, want %d with %q in\n%.400s", path, response.StatusCode, want.status, want.says, body)
		}
	}
}

func TestMarkupIsShownNotRun(t *testing.T) {
	shop := newShop(t, storefront.Config{API: newAPI(), OpenAPI: func() []byte { return []byte(sampleOpenAPI) }})
	ours := regexp.MustCompile(`<script type="module" src="/assets/[0-9a-f]{12}/[a-z]+\.js"></script>`)
	for _, path := range []string{"/", "/items/EVIL-04", "/docs", "/?q=%3Cscript%3Ealert(3)%3C/script%3E", "/orders/" + orderID} {
		_, body := get(t, shop, path)
		rest := ours.ReplaceAllString(body, "")
		for _, danger := range []string{"<script", "onerror=alert(1)>\"", "<img src=x", "<b>", " style=", "javascript:"} {
			if strings.Contains(rest, danger) {
				t.Errorf("GET %s contains %q", path, danger)
			}
		}
	}
	_, body := get(t, shop, "/items/EVIL-04")
	if !strings.Contains(body, "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;") {
		t.Error("the title with markup is not shown")
	}
}

func TestSecurityHeaders(t *testing.T) {
	real, sandbox := newShop(t, storefront.Config{API: newAPI()}),
		newShop(t, storefront.Config{API: newAPI(), SandboxURL: "http://127.0.0.1:12111/"})
	for _, path := range []string{"/", "/cart", "/nowhere", "/images/items/MUG-01.svg", "/favicon.svg"} {
		response, _ := get(t, real, path)
		policy := response.Header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'self';", "script-src 'self' https://js.stripe.com;", "frame-ancestors 'none'",
			"connect-src 'self' https://api.stripe.com;", "img-src 'self' data:;"} {
			if !strings.Contains(policy, part) {
				t.Errorf("GET %s: policy %q lacks %q", path, policy, part)
			}
		}
		if strings.Contains(policy, "unsafe") || response.Header.Get("X-Content-Type-Options") != "nosniff" ||
			response.Header.Get("Referrer-Policy") != "same-origin" {
			t.Errorf("GET %s: headers %v", path, response.Header)
		}
	}
	response, _ := get(t, sandbox, "/")
	policy := response.Header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "connect-src 'self' http://127.0.0.1:12111;") || strings.Contains(policy, "stripe.com") {
		t.Errorf("policy with the sandbox: %q", policy)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, config := range map[string]storefront.Config{
		"NoAPI":        {},
		"NotAnAddress": {API: newAPI(), SandboxURL: "127.0.0.1:12111"},
		"WithPath":     {API: newAPI(), SandboxURL: "http://127.0.0.1/x"},
		"Injection":    {API: newAPI(), SandboxURL: "http://a;script-src *"},
	} {
		if _, err := storefront.New(config); !errors.Is(err, storefront.ErrConfig) {
			t.Errorf("%s: error is %v, want ErrConfig", name, err)
		}
	}
}

func TestAssetsAreCachedForEverAndPacked(t *testing.T) {
	shop := newShop(t, storefront.Config{API: newAPI()})
	_, body := get(t, shop, "/")
	found := regexp.MustCompile(`href="(/assets/[0-9a-f]{12}/)shop\.css"`).FindStringSubmatch(body)
	if found == nil {
		t.Fatal("the page links no style sheet")
	}
	plain, css := get(t, shop, found[1]+"shop.css")
	if plain.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || plain.Header.Get("Content-Encoding") != "" {
		t.Errorf("headers: %v", plain.Header)
	}
	packed, bytes := get(t, shop, found[1]+"shop.css", "Accept-Encoding", "br, gzip;q=0.8")
	if got := unpack(t, bytes); packed.Header.Get("Content-Encoding") != "gzip" || got != css {
		t.Errorf("packed style sheet differs from the plain one; headers %v", packed.Header)
	}
	if refused, _ := get(t, shop, found[1]+"shop.css", "Accept-Encoding", "gzip;q=0"); refused.Header.Get("Content-Encoding") != "" {
		t.Error("gzip was sent to somebody who refuses it")
	}
	old, same := get(t, shop, "/assets/000000000000/shop.css")
	if old.StatusCode != 200 || same != css || old.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("an older release's address answered %d, %v", old.StatusCode, old.Header)
	}
}

func unpack(t *testing.T, packed string) string {
	t.Helper()
	reader, err := gzip.NewReader(strings.NewReader(packed))
	if err != nil {
		t.Fatalf("unpack: %v", err)
	}
	plain, err := io.ReadAll(reader)
	if err != nil {
		t.Fatalf("unpack: %v", err)
	}
	return string(plain)
}

func TestMoreLeadsToTheNextPageOfTheSearch(t *testing.T) {
	shop := newShop(t, storefront.Config{API: newAPI()})
	if _, body := get(t, shop, "/"); !strings.Contains(body, `href="/?cursor=c%262"`) {
		t.Error("there is no link to the next page")
	}
	if _, body := get(t, shop, "/?cursor=c%262"); strings.Contains(body, "cursor=") {
		t.Error("the last page links another one")
	}
}

func TestPicturesAreWellFormed(t *testing.T) {
	shop := newShop(t, storefront.Config{API: newAPI()})
	seen := map[string]bool{}
	for _, title := range []string{"", "mug", "teapot", "bottle", "lamp", "candle", "clock", "plant", "cushion", "blanket", "bag", "book",
		"bowl", "board", "shirt", "umbrella", "print", "soap", "toy", "heart", "box", "%3C/title%3E%3Cscript%3E%26%00%1b%ff"} {
		response, body := get(t, shop, "/images/items/S-1.svg?title="+title)
		if response.StatusCode != 200 || response.Header.Get("Content-Type") != "image/svg+xml" {
			t.Fatalf("picture of %q answered %d, %v", title, response.StatusCode, response.Header)
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
			t.Errorf("picture of %q contains markup or an unpainted colour:\n%s", title, body)
		}
		if seen[body] {
			t.Errorf("picture of %q is that of another thing", title)
		}
		seen[body] = true
		if _, again := get(t, shop, "/images/items/S-1.svg?title="+title); again != body {
			t.Errorf("picture of %q differs from time to time", title)
		}
	}
}

func TestDocsExplainTheDocument(t *testing.T) {
	shop := newShop(t, storefront.Config{API: newAPI(), OpenAPI: func() []byte { return []byte(sampleOpenAPI) }})
	_, body := get(t, shop, "/docs")
	for _, part := range []string{"items[].sku", "items[].related", "list of object", "string (email)", "one of en, de", "entries at least 1",
		"length at most 100", "1 to 100", "matches ^[A-Z]&#43;$", "&lt;b&gt;Stock&lt;/b&gt;", `id="post-api-orders"`, "lines[].quantity"} {
		if !strings.Contains(body, part) {
			t.Errorf("the page lacks %q", part)
		}
	}
	if strings.Contains(body, "$schema") {
		t.Error("the page shows $schema")
	}
	for _, path := range []string{"/docs", "/openapi.json"} {
		if response, _ := get(t, newShop(t, storefront.Config{API: newAPI()}), path); response.StatusCode != 404 {
			t.Errorf("without a document GET %s answered %d", path, response.StatusCode)
		}
	}
	broken := newShop(t, storefront.Config{API: newAPI(), OpenAPI: func() []byte { return []byte("{") }})
	if response, _ := get(t, broken, "/docs"); response.StatusCode != 503 {
		t.Errorf("with a broken document /docs answered %d", response.StatusCode)
	}
}

// TestCutAnswerIsAPage: a reverse proxy that loses its upstream half way panics with http.ErrAbortHandler, which must
// not end the shopper's connection.
func TestCutAnswerIsAPage(t *testing.T) {
	shop := newShop(t, storefront.Config{API: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := w.Write(bytes.Repeat([]byte(" "), 10)); err != nil {
			t.Errorf("write: %v", err)
		}
		panic(http.ErrAbortHandler)
	})})
	if response, _ := get(t, shop, "/"); response.StatusCode != 503 || response.Header.Get("Retry-After") == "" {
		t.Errorf("answered %d, %v", response.StatusCode, response.Header)
	}
}
