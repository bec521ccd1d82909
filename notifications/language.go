package notifications

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"tillstream/events"
)

// tongue is one language that we write in: its words and how it writes money and dates. Amounts are formatted here, from
// integers: what libraries offer for it goes through floats.
type locale struct {
	tag         language.Tag
	decimal     string
	group       string
	money       string // a format of symbol or code, then number
	codes       string // the same for a currency without a symbol
	date        string // a format of day, month, year
	months      [12]string
	greetName   string // a format of the name
	greetNobody string
	regions     display.Namer
	words       words
}

// words are the labels that all mails share.
type words struct {
	Amount, Each, Farewell, Item, Order, Quantity, Shipping, ShipTo, Subtotal, Tax, Together, Total, View string
}

// tongues are the languages; the first one is for whoever reads none of them.
var locales = []locale{
	{
		tag: language.English, decimal: ".", group: ",", money: "%[1]s%[2]s", codes: "%[1]s\u00a0%[2]s", date: "%[1]d %[2]s %[3]d",
		months:    [12]string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"},
		greetName: "Hello %s,", greetNobody: "Hello,", regions: display.English.Regions(),
		words: words{Amount: "Amount", Each: "each", Farewell: "With kind regards", Item: "Item", Order: "Order", Quantity: "Quantity", Shipping: "Delivery",
			ShipTo: "Delivery address", Subtotal: "Subtotal", Tax: "Tax", Together: "together", Total: "Total", View: "View your order"},
	},
	{
		tag: language.German, decimal: ",", group: ".", money: "%[2]s\u00a0%[1]s", codes: "%[2]s\u00a0%[1]s", date: "%[1]d. %[2]s %[3]d",
		months:    [12]string{"Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"},
		greetName: "Guten Tag %s,", greetNobody: "Guten Tag,", regions: display.German.Regions(),
		words: words{Amount: "Betrag", Each: "je", Farewell: "Mit freundlichen Grüßen", Item: "Artikel", Order: "Bestellung", Quantity: "Menge", Shipping: "Versand",
			ShipTo: "Lieferadresse", Subtotal: "Zwischensumme", Tax: "Steuer", Together: "zusammen", Total: "Gesamtbetrag", View: "Bestellung ansehen"},
	},
}

var matcher = language.NewMatcher([]language.Tag{locales[0].tag, locales[1].tag})

// localeFor picks the language of a locale such as "de-AT"; English for one that we do not write or cannot read.
func localeFor(locale string) *locale {
	tag, err := language.Parse(locale)
	if err != nil {
		return &locales[0]
	}
	_, i, confidence := matcher.Match(tag)
	if confidence == language.No {
		return &locales[0]
	}
	return &locales[i]
}

var symbols = map[string]string{"GBP": "£", "EUR": "€", "USD": "$", "JPY": "¥"}

// amount writes money: "£1,250.00" or "1.250,00 £".
func (t *locale) amount(m events.Money) string {
	digits := events.MinorDigits(m.Currency)
	scale := uint64(math.Pow10(digits))
	sign, minor := "", uint64(m.Amount)
	if m.Amount < 0 {
		sign, minor = "−", -minor
	}
	number := t.grouped(minor / scale)
	if digits > 0 {
		number += t.decimal + fmt.Sprintf("%0*d", digits, minor%scale)
	}
	if symbol, ok := symbols[m.Currency]; ok {
		return sign + fmt.Sprintf(t.money, symbol, number)
	}
	return sign + fmt.Sprintf(t.codes, m.Currency, number)
}

// grouped writes a whole number with a separator every three digits.
func (t *locale) grouped(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	var out strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			out.WriteString(t.group)
		}
		out.WriteRune(d)
	}
	return out.String()
}

// count writes a number of things; fewer than none is none.
func (t *locale) count(n int64) string { return t.grouped(uint64(max(n, 0))) }

func (t *locale) day(at time.Time) string {
	return fmt.Sprintf(t.date, at.Day(), t.months[at.Month()-1], at.Year())
}

// country writes the name of an ISO 3166 country, or its code when it has none.
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

// greeting addresses a customer. A name that could be an advertisement is left out: anybody can have us write to anybody
// by ordering in his name, and that must not become a way to send links.
func (t *locale) greeting(name string) string {
	name = oneLine(name)
	if name == "" || len(name) > 80 || strings.ContainsAny(name, ":/\\@<>") || strings.Contains(strings.ToLower(name), "www.") {
		return t.greetNobody
	}
	return fmt.Sprintf(t.greetName, name)
}
