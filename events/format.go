package events

import (
	"strings"

	"github.com/bojanz/currency"
	"golang.org/x/text/language"
)

// Digits are how many decimals amounts of a currency have.
type Digits struct {
	Minor int `json:"minor"` // of the minor unit, as [MinorDigits] returns it
	Shown int `json:"shown"` // of an amount that people read; less than Minor only for currencies without decimals that Stripe counts in hundredths
}

// DigitsOf returns the digits of a currency. ISK and UGX have none in use, but Stripe counts them in hundredths, of which the last two
// digits are 00 (docs.stripe.com/currencies, "Special cases").
func DigitsOf(code string) Digits {
	minor := MinorDigits(code)
	if inUse, ok := currency.GetDigits(code); ok {
		return Digits{Minor: minor, Shown: min(minor, int(inUse))}
	}
	return Digits{Minor: minor, Shown: minor}
}

// UnusualDigits returns the digits of all currencies but those with two decimals, for programs that format amounts themselves, such as
// the scripts of the shop's pages.
func UnusualDigits() map[string]Digits {
	unusual := map[string]Digits{}
	for _, code := range currency.GetCurrencyCodes() {
		if digits := DigitsOf(code); digits != (Digits{2, 2}) {
			unusual[code] = digits
		}
	}
	return unusual
}

// shown returns how many decimals of m people read. Hundredths of a currency that has none in use are shown, because nothing of an amount may be
// hidden.
func (m Money) shown() int {
	digits, scale := DigitsOf(m.Currency), int64(1)
	for range digits.Minor - digits.Shown {
		scale *= 10
	}
	if m.Amount%scale != 0 {
		return digits.Minor
	}
	return digits.Shown
}

// Format returns the amount as people read it where a language is spoken: "£1,250.00" in en, "1.250,00 £" in de, "£ 1.250,00" in de-AT.
// The locale is a language tag (BCP 47). Another text, and a language that the CLDR does not have, is formatted as in English.
//
// Symbol, grouping, decimal sign and sign are those of the CLDR. A currency without a symbol has its code. Digits are always 0 to 9, which
// readers of Arabic, Persian, Bengali and other languages with digits of their own know from prices in shops and from card statements.
// The text may have no-break spaces (U+00A0, U+202F) and, in Arabic, Persian, Hebrew and Urdu, direction marks (U+200E, U+200F).
func (m Money) Format(locale string) string {
	place := placeOf(locale)
	symbol, ok := currency.GetSymbol(m.Currency, place)
	if !ok {
		symbol = m.Currency
	}
	// The formatter refuses currencies that it does not know, so it gets one that it knows, with the symbol and the digits of this one.
	const known = "EUR"
	amount, err := currency.NewAmount(m.Number(), known)
	if err != nil {
		return m.String()
	}
	formatter := currency.NewFormatter(place)
	formatter.SymbolMap[known] = symbol
	formatter.MinDigits = uint8(m.shown())
	formatter.MaxDigits = formatter.MinDigits
	return latin.Replace(formatter.Format(amount))
}

// placeOf returns the CLDR's locale for a language tag. It has a script only if the language has another one there than elsewhere, as in
// zh-TW, because the CLDR's patterns are by script for such languages only. Extensions, which can ask for other digits, are left out.
func placeOf(locale string) currency.Locale {
	tag, err := language.Parse(locale)
	base, confidence := tag.Base()
	if err != nil || confidence != language.Exact {
		return currency.Locale{Language: "en"}
	}
	place := currency.Locale{Language: base.String()}
	script, _ := tag.Script()
	if usual, _ := language.Make(base.String()).Script(); script != usual {
		place.Script = script.String()
	}
	if region, confidence := tag.Region(); confidence == language.Exact {
		place.Territory = region.String()
	}
	return place
}

// latin replaces the digits of Arabic, Persian, Bengali, Devanagari and Burmese by those of Latin script, with the separators and the
// direction marks that go with them: with Latin digits Arabic has the sign on the left of the number.
var latin = func() *strings.Replacer {
	pairs := []string{"٫", ".", "٬", ",", "\u061c-\u200f", "\u200f\u200e-", "\u061c", "\u200e"}
	for _, zero := range "٠۰০०၀" {
		for digit := range '\n' {
			pairs = append(pairs, string(zero+digit), string('0'+digit))
		}
	}
	return strings.NewReplacer(pairs...)
}()
