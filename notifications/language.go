package notifications

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
	"golang.org/x/text/message"

	"tillstream/events"
	"tillstream/events/text"
)

// locale is a language of the mails: its words, and its formats of dates. Amounts, numbers and countries are formatted with the
// data of the CLDR.
type locale struct {
	tag      language.Tag
	numbers  language.Tag // of amounts and quantities
	date     string       // a format of day, month, year
	months   [12]string
	greeting string // a format of the name
	anyone   string // the greeting without a name
	regions  display.Namer
	words    words
}

// words are the labels that all mails share.
type words struct {
	Amount, Farewell, Item, Order, Quantity, Shipping, ShipTo, Subtotal, Tax, Total, View string
}

// locales are the languages of the mails. The first one is the default.
var locales = []locale{
	{
		tag: language.English, numbers: language.English, date: "%[1]d %[2]s %[3]d",
		months:   [12]string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"},
		greeting: "Hello %s,", anyone: "Hello,", regions: display.English.Regions(),
		words: words{Amount: "Amount", Farewell: "Kind regards", Item: "Item", Order: "Order", Quantity: "Quantity", Shipping: "Delivery",
			ShipTo: "Delivery address", Subtotal: "Subtotal", Tax: "Tax", Total: "Total", View: "View your order"},
	},
	{
		tag: language.German, numbers: language.German, date: "%[1]d. %[2]s %[3]d",
		months:   [12]string{"Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"},
		greeting: "Guten Tag %s,", anyone: "Guten Tag,", regions: display.German.Regions(),
		words: words{Amount: "Betrag", Farewell: "Mit freundlichen Grüßen", Item: "Artikel", Order: "Bestellung", Quantity: "Menge", Shipping: "Versand",
			ShipTo: "Lieferadresse", Subtotal: "Zwischensumme", Tax: "Steuer", Total: "Gesamtbetrag", View: "Bestellung ansehen"},
	},
}

var matcher = language.NewMatcher([]language.Tag{locales[0].tag, locales[1].tag})

// localeFor returns the language for a customer's locale such as "de-AT", and English for any other. Amounts and quantities are formatted
// as in the customer's country, if the customer's language is that of the mail.
func localeFor(customer string) *locale {
	tag, err := language.Parse(customer)
	if err != nil {
		return &locales[0]
	}
	_, i, confidence := matcher.Match(tag)
	if confidence == language.No {
		return &locales[0]
	}
	t := locales[i]
	base, _, region := tag.Raw()
	if own, _ := t.tag.Base(); base == own {
		t.numbers, err = language.Raw.Compose(base, region) // without extensions, which can ask for other digits
	}
	if err != nil {
		return &locales[i]
	}
	return &t
}

// amount formats money as [events.Money.Format] does.
func (t *locale) amount(m events.Money) string { return m.Format(t.numbers.String()) }

// count formats a quantity. A negative one is 0.
func (t *locale) count(n int64) string { return message.NewPrinter(t.numbers).Sprintf("%d", max(n, 0)) }

func (t *locale) day(at time.Time) string {
	return fmt.Sprintf(t.date, at.Day(), t.months[at.Month()-1], at.Year())
}

// country returns the name of an ISO 3166 country, or its code if it has none.
func (t *locale) country(code string) string {
	region, err := language.ParseRegion(code)
	if err != nil {
		return code
	}
	if name := t.regions.Name(region); name != "" {
		return name
	}
	return code
}

// greet returns the greeting of a customer.
func (t *locale) greet(name string) string {
	if name = personName(name); name == "" {
		return t.anyone
	}
	return fmt.Sprintf(t.greeting, name)
}

// personName returns a customer's name as a mail shows it, "" for one that is left out: a name that looks blank or like another
// text, and one that could be an advertisement. Anyone can order with the address of someone else, and must not be able to
// send links to them. Newer orders have no such names, but older ones may.
func personName(name string) string {
	name, err := text.Clean(name)
	if err != nil || len(name) > 80 || strings.ContainsAny(name, ":/\\@<>") || text.LooksLikeLink(name) {
		return ""
	}
	return name
}
