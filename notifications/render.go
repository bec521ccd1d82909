package notifications

import (
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/go-json-experiment/json"

	"tillstream/events"
	plain "tillstream/events/text"
)

//go:embed templates/*.tmpl
var templateFiles embed.FS

// renderer renders queued messages as mails. A template has the wording of one mail in one language, as plain text. Two layouts
// make the text part and the HTML part of it. The wording contains no markup, so the HTML layout escapes all of it.
type renderer struct {
	shop     string
	location *time.Location
	orderURL func(orderID string) string
	staffURL func(orderID string) string // of an order in the console

	wording map[string]*template.Template // by wordingKey
	text    *template.Template
	html    *htmltemplate.Template
}

func newRenderer(shop string, location *time.Location, orderURL, staffURL func(string) string) (*renderer, error) {
	r := &renderer{shop: oneLine(shop), location: location, orderURL: orderURL, staffURL: staffURL, wording: map[string]*template.Template{}}
	var err error
	if r.text, err = template.ParseFS(templateFiles, "templates/layout.txt.tmpl"); err != nil {
		return nil, fmt.Errorf("read templates: %w", err)
	}
	if r.html, err = htmltemplate.ParseFS(templateFiles, "templates/layout.html.tmpl"); err != nil {
		return nil, fmt.Errorf("read templates: %w", err)
	}
	for _, name := range []string{TemplateConfirmed, TemplateRejected, TemplateExpired, TemplateCancelled, TemplateRefunded, TemplateShortened} {
		for i := range locales {
			key := wordingKey(name, &locales[i])
			if r.wording[key], err = template.ParseFS(templateFiles, "templates/"+key+".tmpl"); err != nil {
				return nil, fmt.Errorf("read templates: %w", err)
			}
		}
	}
	for _, name := range staffTemplates {
		key := wordingKey(name, &locales[0])
		if r.wording[key], err = template.ParseFS(templateFiles, "templates/"+key+".tmpl"); err != nil {
			return nil, fmt.Errorf("read templates: %w", err)
		}
	}
	return r, nil
}

func wordingKey(name string, t *locale) string { return name + "." + t.tag.String() }

// page is the data of the templates, formatted for the customer.
type page struct {
	Amount   string
	By       string
	Captures string // when the money is captured: "now" or "later"
	Closing  string
	Date     string
	Dispute  string // of a mail to staff
	Due      string // until when evidence is to be sent
	Greeting string
	Intro    string
	Language string
	Lines    []pageLine
	NotSent  string // such as "2 × Mug, 1 × Cup"
	Number   string
	Reason   string
	ShipTo   []string
	Shipping string
	Shop     string
	Short    []pageShort
	Status   string // of the dispute
	Subject  string
	Subtotal string
	Tax      string // "" if the prices include it
	Title    string
	Total    string
	URL      string
	Words    words
}

type pageLine struct{ Title, Quantity, UnitPrice, Total string }

type pageShort struct{ Title, Requested, Available string }

// IntroParagraphs returns the paragraphs before the list of goods.
func (p page) IntroParagraphs() []string { return strings.Split(p.Intro, "\n\n") }

// ClosingParagraphs returns the paragraphs after the list of goods.
func (p page) ClosingParagraphs() []string { return strings.Split(p.Closing, "\n\n") }

// render returns the subject and the parts of a message's mail, from the facts of its outcome and the first event of its order.
// It returns [ErrTemplate].
func (r *renderer) render(m events.MessageQueued, placed events.OrderPlaced) (mail Mail, err error) {
	loc := localeFor(placed.Customer.Locale)
	if forStaff(m.Template) {
		loc = &locales[0]
	}
	wording, ok := r.wording[wordingKey(m.Template, loc)]
	if !ok {
		return Mail{}, fmt.Errorf("%w: no template %.80q", ErrTemplate, m.Template)
	}
	var facts Facts
	if err := json.Unmarshal(m.Facts, &facts); err != nil {
		return Mail{}, fmt.Errorf("%w: facts of %s: %w", ErrTemplate, m.MessageID, err)
	}
	p := r.page(loc, facts, placed)
	if forStaff(m.Template) {
		r.forStaff(&p, loc, facts)
	}
	if m.Template == TemplateConfirmed { // only a confirmed order is delivered
		p.ShipTo = address(loc, personName(placed.Customer.Name), placed.ShipTo)
	}
	err = errors.Join(
		execute(wording, "subject", &p.Subject, p), execute(wording, "title", &p.Title, p),
		execute(wording, "intro", &p.Intro, p), execute(wording, "closing", &p.Closing, p))
	if err != nil {
		return Mail{}, fmt.Errorf("%w: %s: %w", ErrTemplate, m.Template, err)
	}
	var text, html strings.Builder
	if err := errors.Join(r.text.Execute(&text, p), r.html.Execute(&html, p)); err != nil {
		return Mail{}, fmt.Errorf("%w: %s: %w", ErrTemplate, m.Template, err)
	}
	return Mail{MessageID: m.MessageID, Language: p.Language, Subject: oneLine(p.Subject), Text: text.String(), HTML: html.String()}, nil
}

// cancelledBy returns who cancelled an order, for the template: "bank" because it declined too many cards, "stripe", "shopper"
// or "staff"; or "expiry" because the authorization expired.
func cancelledBy(f Facts) string {
	switch {
	case f.Reason == events.CancelDeclinedTooOften:
		return "bank"
	case f.Reason == events.CancelPaymentCancelled:
		return "stripe"
	case f.Reason == events.CancelAuthorizationExpired:
		return "expiry"
	case f.Actor == events.ActorGuest || strings.HasPrefix(f.Actor, events.ActorCustomer):
		return "shopper"
	}
	return "staff"
}

func execute(wording *template.Template, part string, into *string, p page) error {
	var out strings.Builder
	if err := wording.ExecuteTemplate(&out, part, p); err != nil {
		return err
	}
	*into = out.String()
	return nil
}

func (r *renderer) page(t *locale, f Facts, o events.OrderPlaced) page {
	p := page{
		By: cancelledBy(f), Date: t.day(f.At.In(r.location)), Greeting: t.greet(o.Customer.Name), Language: t.tag.String(), Number: oneLine(f.Number), Reason: f.Reason,
		Shipping: t.amount(o.Shipping), Shop: r.shop, Subtotal: t.amount(o.Subtotal), Total: t.amount(o.Total), URL: r.orderURL(f.OrderID), Words: t.words,
	}
	if !o.Tax.IsZero() {
		p.Tax = t.amount(o.Tax)
	}
	if f.Amount != nil {
		p.Amount = t.amount(*f.Amount)
	}
	if p.Captures = "now"; f.Authorized {
		p.Captures = "later"
	}
	titles := map[string]string{}
	for _, l := range o.Lines {
		titles[l.SKU] = oneLine(l.Title)
		p.Lines = append(p.Lines, pageLine{Title: titles[l.SKU], Quantity: t.count(l.Quantity), UnitPrice: t.amount(l.UnitPrice), Total: t.amount(l.Total)})
	}
	var notSent []string
	for _, l := range f.NotSent {
		title, ok := titles[l.SKU]
		if !ok {
			title = l.SKU
		}
		notSent = append(notSent, t.count(l.Quantity)+" × "+title)
	}
	p.NotSent = strings.Join(notSent, ", ")
	for _, s := range f.Short {
		title, ok := titles[s.SKU]
		if !ok {
			title = s.SKU
		}
		p.Short = append(p.Short, pageShort{Title: title, Requested: t.count(s.Requested), Available: t.count(s.Available)})
	}
	return p
}

// cityFirst lists the countries in whose addresses the city is before the postal code.
var cityFirst = []string{"AU", "CA", "GB", "IE", "NZ", "US"}

// address returns the lines of an address, as on an envelope. It leaves out a line with an invisible character or a link; a
// place such as "St.Gallen" is none.
func address(t *locale, name string, a events.Address) []string {
	var lines []string
	place := a.PostalCode + " " + a.City
	if slices.Contains(cityFirst, a.Country) {
		place = a.City + " " + a.PostalCode
	}
	for _, line := range []string{name, a.Line1, a.Line2, place, t.country(a.Country)} {
		line, err := plain.Clean(line)
		if lower := strings.ToLower(line); err == nil && line != "" && !strings.Contains(lower, "://") && !strings.Contains(lower, "www.") {
			lines = append(lines, line)
		}
	}
	return lines
}
