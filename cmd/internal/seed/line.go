package seed

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillstream/events"
	"tillstream/inventory"
)

// Currency of the sales ledger.
const Currency = "GBP"

// Reason is the reason why a line was refused or left out.
type Reason string

// The reasons.
const (
	Malformed   Reason = "malformed line"
	NotGoods    Reason = "not goods"
	BadSKU      Reason = "stock code cannot be a SKU"
	BadQuantity Reason = "bad quantity"
	BadDate     Reason = "bad date"
	BadPrice    Reason = "bad price"
	NeverPriced Reason = "never sold at a price"

	CreditNote Reason = "credit note"                     // Invoices only
	NoQuantity Reason = "quantity 0 or below"             // Invoices only
	NoPrice    Reason = "price 0"                         // Invoices only
	NotListed  Reason = "the shop does not list the item" // Invoices only
	NoCountry  Reason = "invoice without a known country" // Invoices only
)

// services are stock codes of something other than goods.
var services = map[string]bool{
	"POST": true, "DOT": true, "C2": true, "C3": true, "M": true, "D": true, "S": true, "B": true, "CRUK": true,
	"BANK CHARGES": true, "AMAZONFEE": true, "ADJUST": true, "ADJUST2": true,
}

// servicePrefixes are prefixes of the stock codes of gift vouchers and of tests of the till.
var servicePrefixes = []string{"GIFT_", "TEST0"}

// line is a parsed line of the ledger that is about goods.
type line struct {
	number      int // in the file; the header is line 1
	invoice     string
	sku         string
	description string
	quantity    int64
	date        time.Time
	price       int64 // pence, 0 or above
	customer    string
	country     string
}

// isCredit reports whether the line is part of a credit note.
func (l line) isCredit() bool { return strings.HasPrefix(strings.ToUpper(l.invoice), "C") }

// refusedError is returned for a line that is refused, with the reason.
type refusedError struct {
	reason Reason
	detail string
}

func (e *refusedError) Error() string { return string(e.reason) + ": " + e.detail }

func refuse(reason Reason, format string, args ...any) error {
	return &refusedError{reason: reason, detail: fmt.Sprintf(format, args...)}
}

// scan reads a ledger and calls each for every line, either parsed or with the reason why it is refused. It returns
// [ErrDates] at a line whose date is evidently in another format, even if that line would be refused for another reason.
func scan(r io.Reader, dates DateFormat, each func(row Row, l line, refused *refusedError)) error {
	return EachRow(r, func(row Row) error {
		if row.Err == nil {
			if err := dates.contradicts(row.Cells[4]); err != nil {
				return err
			}
		}
		l, err := parse(row, dates)
		var refused *refusedError
		if err != nil && !errors.As(err, &refused) {
			return err
		}
		each(row, l, refused)
		return nil
	})
}

// parse parses a row. The first reason counts: malformed, not goods, then bad values.
func parse(row Row, dates DateFormat) (l line, err error) {
	l.number = row.Number
	if row.Err != nil {
		return l, refuse(Malformed, "%v", row.Err)
	}
	f := row.Cells
	l.invoice, l.description = strings.TrimSpace(f[0]), strings.Join(strings.Fields(f[2]), " ")
	l.customer, l.country = strings.TrimSpace(f[6]), strings.TrimSpace(f[7])
	if l.invoice == "" {
		return l, refuse(Malformed, "no invoice number")
	}
	if l.sku, err = parseSKU(f[1]); err != nil {
		return l, err
	}
	if l.quantity, err = strconv.ParseInt(strings.TrimSpace(f[3]), 10, 64); err != nil || l.quantity > MaxQuantity || l.quantity < -MaxQuantity {
		return l, refuse(BadQuantity, "%.40q", f[3])
	}
	if l.date, err = dates.Parse(f[4]); err != nil {
		return l, err
	}
	l.price, err = parsePence(f[5])
	return l, err
}

// MaxQuantity is the maximum quantity of a line. Larger ones are typing errors.
const MaxQuantity = 1_000_000

// IsService reports whether a stock code in upper case is something other than goods, such as postage.
func IsService(code string) bool {
	isPrefixed := slices.ContainsFunc(servicePrefixes, func(prefix string) bool { return strings.HasPrefix(code, prefix) })
	return services[code] || isPrefixed
}

// parseSKU returns a stock code as a SKU: trimmed and in upper case.
func parseSKU(code string) (string, error) {
	sku := strings.ToUpper(strings.TrimSpace(code))
	if IsService(sku) {
		return "", refuse(NotGoods, "%s", sku)
	}
	if events.CheckSKU(sku) != nil {
		return "", refuse(BadSKU, "%.80q", code)
	}
	return sku, nil
}

// pounds matches a decimal of at most ten digits before the point and four after it.
var pounds = regexp.MustCompile(`^([0-9]{1,10})(?:\.([0-9]{1,4}))?$`)

// parsePence parses an amount in pounds exactly, without floating point. It refuses fractions of a penny, which cannot be
// charged.
func parsePence(text string) (int64, error) {
	parts := pounds.FindStringSubmatch(strings.TrimSpace(text))
	if parts == nil {
		return 0, refuse(BadPrice, "%.40q", text)
	}
	fraction := (parts[2] + "0000")[:4]
	if fraction[2:] != "00" {
		return 0, refuse(BadPrice, "%.40q is not a whole number of pence", text)
	}
	pence, err := strconv.ParseInt(parts[1]+fraction[:2], 10, 64)
	if err != nil || pence > inventory.MaxPrice {
		return 0, refuse(BadPrice, "%.40q", text)
	}
	return pence, nil
}

// countries are ISO 3166-1 codes by the ledger's name of the country, in lower case. Names that are not one country
// ("European Community", "Channel Islands", "Unspecified") have none.
var countries = map[string]string{
	"australia": "AU", "austria": "AT", "bahrain": "BH", "belgium": "BE", "brazil": "BR", "canada": "CA", "cyprus": "CY",
	"czech republic": "CZ", "denmark": "DK", "eire": "IE", "finland": "FI", "france": "FR", "germany": "DE", "greece": "GR",
	"hong kong": "HK", "iceland": "IS", "israel": "IL", "italy": "IT", "japan": "JP", "lebanon": "LB", "lithuania": "LT",
	"malta": "MT", "netherlands": "NL", "norway": "NO", "poland": "PL", "portugal": "PT", "rsa": "ZA", "saudi arabia": "SA",
	"singapore": "SG", "spain": "ES", "sweden": "SE", "switzerland": "CH", "united arab emirates": "AE", "united kingdom": "GB",
	"usa": "US",
}

// CountryCode returns the ISO 3166-1 alpha-2 code for the ledger's name of a country; empty if it is not one country.
func CountryCode(name string) string { return countries[strings.ToLower(strings.TrimSpace(name))] }
