package storefront

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"

	"tillstream/cmd/internal/web"
	"tillstream/events"
)

//go:embed assets templates
var files embed.FS

// pageNames are the pages; each defines the "main" of templates/layout.html.
var pageNames = []string{"catalogue", "item", "cart", "checkout", "order", "docs", "message"}

// pageLanguage is the language of the pages. Scripts format amounts and times in it.
const pageLanguage = "en"

// price formats an amount in the language of the pages.
func price(m events.Money) string { return m.Format(pageLanguage) }

// digitsModule returns the script digits.js, which exports the decimals of the currencies: browsers assume others for some.
func digitsModule() ([]byte, error) {
	digits, err := json.Marshal(events.UnusualDigits(), json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("write the decimals of currencies: %w", err)
	}
	return fmt.Appendf(nil, "// Decimals by currency, of the minor unit and as people are shown them, where they are not two.\nexport const digits = %s;\n", digits), nil
}

// pages are the parsed templates by name.
type pages struct{ byName map[string]*template.Template }

func loadPages(assets *web.Assets) (*pages, error) {
	functions := template.FuncMap{"asset": assets.Address, "price": price, "language": func() string { return pageLanguage }}
	layout, err := template.New("layout").Funcs(functions).ParseFS(files, "templates/layout.html")
	if err != nil {
		return nil, fmt.Errorf("parse page layout: %w", err)
	}
	loaded := &pages{byName: map[string]*template.Template{}}
	for _, name := range pageNames {
		page, err := layout.Clone()
		if err == nil {
			page, err = page.ParseFS(files, "templates/"+name+".html")
		}
		if err != nil {
			return nil, fmt.Errorf("parse page %s: %w", name, err)
		}
		loaded.byName[name] = page
	}
	return loaded, nil
}

// page is the data of every template.
type page struct {
	Title   string // part of the window title before the shop's name; may be empty
	About   string // description for search engines
	Script  string // the page's module, if it has one
	Query   string // content of the search box
	Private bool   // of one shopper, or an error: neither search engines nor caches keep it
	Shop    string
	Sandbox string
	Body    any
}

// show renders the named page. A template that fails is a defect: it is logged and answered in plain text, because the
// error page is a template too.
func (s *shop) show(w http.ResponseWriter, r *http.Request, status int, name string, content page) {
	content.Shop, content.Sandbox = s.ShopName, s.SandboxURL
	var html bytes.Buffer
	if err := s.pages.byName[name].ExecuteTemplate(&html, "layout", content); err != nil {
		s.Logger.ErrorContext(r.Context(), "page not rendered", "page", name, "error", err)
		http.Error(w, "This page is not available right now. Please try again later.", http.StatusInternalServerError)
		return
	}
	cache := "no-cache"
	if content.Private {
		cache = "no-store"
	}
	web.Send(w, web.Reply{Status: status, Kind: "text/html; charset=utf-8", Cache: cache, Body: html.Bytes()})
}

// results is the body of the catalogue page.
type results struct {
	Items  []item
	More   string // address of the next page; empty on the last
	Paging bool   // not the first page
}

func (s *shop) showCatalogue(w http.ResponseWriter, r *http.Request) {
	words, cursor := strings.TrimSpace(r.URL.Query().Get("q")), r.URL.Query().Get("cursor")
	found, err := s.catalogue.search(r.Context(), words, cursor)
	if err != nil {
		s.showFailure(w, r, err)
		return
	}
	body := results{Items: found.Items, Paging: cursor != ""}
	if found.NextCursor != "" {
		next := url.Values{"cursor": {found.NextCursor}}
		if words != "" {
			next.Set("q", words)
		}
		body.More = "/?" + next.Encode()
	}
	content := page{About: "Things for the home, in stock and ready to ship.", Query: words, Body: body}
	if words != "" {
		content.Title = "Search: " + words
		content.Private = true
	}
	s.show(w, r, http.StatusOK, "catalogue", content)
}

func (s *shop) showItem(w http.ResponseWriter, r *http.Request) {
	sku := r.PathValue("sku")
	if events.CheckSKU(sku) != nil {
		s.showNotFound(w, r)
		return
	}
	found, err := s.catalogue.item(r.Context(), sku)
	if err != nil {
		s.showFailure(w, r, err)
		return
	}
	s.show(w, r, http.StatusOK, "item", page{Title: found.Title, About: found.Description, Script: "item.js", Body: found})
}

func (s *shop) showCart(w http.ResponseWriter, r *http.Request) {
	s.show(w, r, http.StatusOK, "cart", page{Title: "Your cart", Script: "cart.js", Private: true})
}

func (s *shop) showCheckout(w http.ResponseWriter, r *http.Request) {
	s.show(w, r, http.StatusOK, "checkout",
		page{Title: "Checkout", Script: "checkout.js", Private: true, Body: countries})
}

// country is one option of the country list at checkout.
type country struct{ Code, Name string }

//go:embed countries.txt
var countryLines string

// countries are the ISO 3166-1 alpha-2 codes with their English names, in alphabetical order of the names.
var countries = parseCountries(countryLines)

func parseCountries(lines string) []country {
	var parsed []country
	for line := range strings.Lines(lines) {
		code, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		parsed = append(parsed, country{Code: code, Name: name})
	}
	return parsed
}

// showOrder renders the page without the order's data: the access token must not be part of an address, so the browser
// reads the order from the API.
func (s *shop) showOrder(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if !idPattern.MatchString(id) {
		s.showNotFound(w, r)
		return
	}
	s.show(w, r, http.StatusOK, "order", page{Title: "Your order", Script: "order.js", Private: true, Body: id})
}

// notice is the body of a page that only shows a message.
type notice struct {
	Heading, Text string
	Retry         string // address to try again; empty if a retry cannot help
}

func (s *shop) showNotFound(w http.ResponseWriter, r *http.Request) {
	s.show(w, r, http.StatusNotFound, "message", page{Title: "Not found", Private: true, Body: notice{
		Heading: "Page not found",
		Text:    "This link is incomplete, or the page has moved. You can find all items in the catalogue.",
	}})
}

// showFailure answers an error of the catalogue with a page that offers the next step. The cause is only logged.
func (s *shop) showFailure(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, errNotFound):
		s.showNotFound(w, r)
	case errors.Is(err, errRefused):
		s.show(w, r, http.StatusBadRequest, "message", page{Title: "Invalid search", Private: true, Body: notice{
			Heading: "This search does not work",
			Text:    "Please use fewer words, or browse the catalogue.",
		}})
	default:
		if r.Context().Err() == nil {
			s.Logger.ErrorContext(r.Context(), "catalogue unavailable", "path", r.URL.Path, "error", err)
		}
		w.Header().Set("Retry-After", "5")
		s.show(w, r, http.StatusServiceUnavailable, "message", page{Title: "Back in a moment", Private: true, Body: notice{
			Heading: "Back in a moment",
			Text:    "The catalogue is not available right now. Your cart is saved. Please try again in a few seconds.",
			Retry:   r.URL.RequestURI(),
		}})
	}
}
