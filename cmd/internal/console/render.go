package console

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"time"

	"tillstream/cmd/internal/web"
	"tillstream/events/api"
	eventlog "tillstream/events/log"
	"tillstream/events/replay"
)

//go:embed assets templates
var files embed.FS

// templates are the parsed pages by file name.
type templates struct{ byName map[string]*template.Template }

// loadTemplates parses every file of templates as a page that defines "main", with the layout and the files of templates/parts.
func (c *console) loadTemplates() (*templates, error) {
	layout, err := template.New("layout").Funcs(c.functions()).ParseFS(files, "templates/parts/*.html")
	if err != nil {
		return nil, fmt.Errorf("parse parts of pages: %w", err)
	}
	names, err := fs.Glob(files, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("list templates: %w", err)
	}
	loaded := &templates{byName: map[string]*template.Template{}}
	for _, name := range names {
		one, err := layout.Clone()
		if err == nil {
			one, err = one.ParseFS(files, name)
		}
		if err != nil {
			return nil, fmt.Errorf("parse page %s: %w", name, err)
		}
		loaded.byName[path.Base(name)] = one
	}
	return loaded, nil
}

// page is the data of every template. A handler sets the fields up to Data, render the others.
type page struct {
	Title   string   // of the window and, unless the page has another, the heading
	Nav     string   // name of the entry in the navigation that is current
	Command string   // the ops command that shows or does the same; "" when there is none
	Script  string   // the page's module in assets, if it has one
	Data    any      // what the page shows
	Status  int      // of the answer; default 200
	Query   string   // content of the search box
	Crumbs  []anchor // the pages above this one

	Shop      string
	Now       time.Time
	Principal api.Principal // who reads the page; the zero value before signing in
	Flash     *flash        // the result of the action that led to this page
	Path      string        // of this page with its query, for links back to it
	Groups    []navGroup
}

// anchor is a link.
type anchor struct{ Text, To string }

// May reports whether the reader of the page has a permission, such as {{if .May "lanes:write"}}.
func (p page) May(permission string) bool { return p.Principal.May(api.Permission(permission)) }

// render writes a page. A template that fails is a defect: it is logged and answered in plain text, because the error page is a
// template too.
func (c *console) render(w http.ResponseWriter, r *http.Request, name string, p page) error {
	p.Shop, p.Now, p.Principal, p.Path, p.Groups = c.ShopName, c.Now(), principalOf(r), r.URL.RequestURI(), navigation
	p.Flash = c.takeFlash(w, r)
	one, ok := c.templates.byName[name]
	if !ok {
		return fmt.Errorf("render %s: there is no such template", name)
	}
	var html bytes.Buffer
	if err := one.ExecuteTemplate(&html, "layout", p); err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	web.Send(w, web.Reply{Status: p.Status, Kind: "text/html; charset=utf-8", Cache: "no-store", Body: html.Bytes()})
	return nil
}

// message is the data of a page that only says something.
type message struct{ Heading, Text string }

func (c *console) showNotFound(w http.ResponseWriter, r *http.Request) {
	c.view(api.ReadAll, func(http.ResponseWriter, *http.Request) error { return errNotFound }).ServeHTTP(w, r)
}

// errNotFound is returned by a handler for something that does not exist.
var errNotFound = errors.New("not found")

// errInvalid is returned by a handler for a request that makes no sense. Wrap it with what is wrong: staff see the whole text.
var errInvalid = errors.New("this is not possible")

// errForbidden is returned for a request without the permission that it needs.
var errForbidden = errors.New("not allowed")

// showFailure answers the error of a handler with a page.
func (c *console) showFailure(w http.ResponseWriter, r *http.Request, err error) {
	p := page{Title: "Not found", Status: http.StatusNotFound, Data: message{"Not found", "There is nothing at this address. Search finds orders, items, payments and events."}}
	switch {
	case errors.Is(err, errNotFound), errors.Is(err, replay.ErrNotFound), errors.Is(err, eventlog.ErrNotFound):
	case errors.Is(err, errInvalid):
		p = page{Title: "Not possible", Status: http.StatusBadRequest, Data: message{"Not possible", err.Error()}}
	case errors.Is(err, errForbidden):
		p = page{Title: "Not allowed", Status: http.StatusForbidden, Data: message{"Not allowed", err.Error() + ". An admin can change your role."}}
	default:
		if r.Context().Err() == nil {
			c.Logger.ErrorContext(r.Context(), "console page failed", "path", r.URL.Path, "error", err)
		}
		p = page{Title: "Not available", Status: http.StatusServiceUnavailable, Data: message{"This page is not available right now", err.Error()}}
	}
	if err := c.render(w, r, "message.html", p); err != nil {
		c.Logger.ErrorContext(r.Context(), "page not rendered", "path", r.URL.Path, "error", err)
		http.Error(w, "This page is not available right now.", http.StatusInternalServerError)
	}
}
