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

	"tillstream/events"
)

//go:embed templates
var templateFiles embed.FS

// pageNames are the pages; each fills the gaps of templates/layout.html.
var pageNames = []string{"catalogue", "item", "cart", "checkout", "order", "docs", "message"}

// pages are the parsed templates by name.
type pages struct{ byName map[string]*template.Template }

func loadPages(assets *assets) (*pages, error) {
	functions := template.FuncMap{"asset": assets.address, "price": price}
	layout, err := template.New("layout").Funcs(functions).ParseFS(templateFiles, "templates/layout.html")
	if err != nil {
		return nil, fmt.Errorf("parse page layout: %w", err)
	}
	loaded := &pages{byName: map[string]*template.Template{}}
	for _, name := range pageNames {
		page, err := layout.Clone()
		if err == nil {
			page, err = page.ParseFS(templateFiles, "templates/"+name+".html")
		}
		if err != nil {
			return nil, fmt.Errorf("parse page %s: %w", name, err)
		}
		loaded.byName[name] = page
	}
	return loaded, nil
}

// page is what every template may use.
type page struct {
	Title   string // before the shop's name in the window title; may be empty
	About   string // description for search engines
	Script  string // the page's module, if it has one
	Query   string // what the search box holds
	Private bool   // keep out of search engines
	Shop    string
	Sandbox string
	Body    any
}

// show renders the named page. A template that fails is a defect of ours: it is logged and answered plainly, since
// the error page comes from templates too.
func (s *shop) show(w http.ResponseWriter, r *http.Request, status int, name string, content page) {
	content.Shop, content.Sandbox = s.ShopName, s.SandboxURL
	var html bytes.Buffer
	if err := s.pages.byName[name].ExecuteTemplate(&html, "layout", content); err != nil {
		s.Logger.ErrorContext(r.Context(), "page cannot be rendered", "page", name, "error", err)
		http.Error(w, "This page cannot be shown right now.", http.StatusInternalServerError)
		return
	}
	send(w, r, reply{status: status, kind: "text/html; charset=utf-8", cache: "no-cache", body: html.Bytes()})
}

// results is the body of the catalogue page.
type results struct {
	Items  []item
	More   string // address of the next page, if there is one
	Paging bool   // this is not the first page
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
	content := page{About: "Good things for the home, in stock and ready to post.", Query: words, Body: body}
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

// showOrder knows nothing about the order but its id: the access token never reaches a page address, so the browser
// asks the API itself.
func (s *shop) showOrder(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if !idPattern.MatchString(id) {
		s.showNotFound(w, r)
		return
	}
	s.show(w, r, http.StatusOK, "order", page{Title: "Your order", Script: "order.js", Private: true, Body: id})
}

// notice is the body of a page that only says something.
type notice struct{ Heading, Text string }

func (s *shop) showNotFound(w http.ResponseWriter, r *http.Request) {
	s.show(w, r, http.StatusNotFound, "message", page{Title: "Not found", Private: true, Body: notice{
		"We looked everywhere",
		"There is no page at this address. It may have moved, or the link may have lost a letter on its way to you.",
	}})
}

// showFailure turns an error of the catalogue into a page: what the shopper can do, never the reason, which is logged.
func (s *shop) showFailure(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, errNotFound):
		s.showNotFound(w, r)
	case errors.Is(err, errRefused):
		s.show(w, r, http.StatusBadRequest, "message", page{Title: "Not understood", Private: true, Body: notice{
			"We did not understand that",
			"Please try a shorter search, or start again from the catalogue.",
		}})
	default:
		if r.Context().Err() == nil {
			s.Logger.ErrorContext(r.Context(), "catalogue cannot be read", "path", r.URL.Path, "error", err)
		}
		w.Header().Set("Retry-After", "5")
		s.show(w, r, http.StatusServiceUnavailable, "message", page{Title: "Back in a moment", Private: true, Body: notice{
			"Back in a moment",
			"The shop cannot reach its shelves right now. Your cart is safe; please try again in a few seconds.",
		}})
	}
}
