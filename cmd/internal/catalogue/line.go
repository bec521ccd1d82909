package catalogue

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"tillstream/events"
	"tillstream/inventory"
)

// ErrHeader is returned when a file does not begin with the columns of the sales ledger.
var ErrHeader = errors.New("not a sales ledger")

// Columns are the header of the sales ledger.
var Columns = []string{"InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"}

// Currency of the sales ledger. Its prices are pounds.
const Currency = "GBP"

// Reason is why a line was refused or left out.
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

	CreditNote Reason = "credit note"         // Invoices only
	NoQuantity Reason = "quantity 0 or below" // Invoices only
	NoPrice    Reason = "price 0"             // Invoices only
)

// services are stock codes that stand for something other than goods.
var services = map[string]bool{
	"POST": true, "DOT": true, "C2": true, "C3": true, "M": true, "D": true, "S": true, "B": true, "CRUK": true,
	"BANK CHARGES": true, "AMAZONFEE": true, "ADJUST": true, "ADJUST2": true,
}

// servicePrefixes begin the stock codes of gift vouchers and of staff trying out the till.
var servicePrefixes = []string{"GIFT_", "TEST0"}

// line is one line of the ledger that is about goods.
type line struct {
	number      int // in the file, from 1; the header is line 1
	invoice     string
	sku         string
	description string
	quantity    int64
	date        time.Time
	price       int64 // pence, 0 or above
	country     string
}

// isCredit reports whether the line takes a sale back.
func (l line) isCredit() bool { return strings.HasPrefix(strings.ToUpper(l.invoice), "C") }

// refusedError is why a line is not a [line].
type refusedError struct {
	reason Reason
	detail string
}

func (e *refusedError) Error() string { return string(e.reason) + ": " + e.detail }

func refuse(reason Reason, format string, args ...any) error {
	return &refusedError{reason: reason, detail: fmt.Sprintf(format, args...)}
}

// maxLine bounds a line: the longest of the real ledger has some 120 bytes.
const maxLine = 64 << 10

// scan reads a ledger and hands over each line, either parsed or with the reason why not. Lines are split before they
// are parsed, since no field of the ledger holds a line break: a stray quote spoils its own line and not the file.
func scan(r io.Reader, each func(number int, text string, l line, refused *refusedError)) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	if !lines.Scan() {
		return errors.Join(fmt.Errorf("%w: it is empty", ErrHeader), lines.Err())
	}
	header, err := fields(strings.TrimPrefix(lines.Text(), "\ufeff")) // byte order mark
	if err != nil || !slices.Equal(header, Columns) {
		return fmt.Errorf("%w: line 1 is %.200q, want %s", ErrHeader, lines.Text(), strings.Join(Columns, ","))
	}
	number := 1
	for lines.Scan() {
		number++
		text := lines.Text()
		if strings.TrimSpace(text) == "" {
			continue
		}
		l, err := parse(text)
		var refused *refusedError
		if err != nil && !errors.As(err, &refused) {
			return fmt.Errorf("line %d: %w", number, err)
		}
		l.number = number
		each(number, text, l, refused)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read line %d: %w", number+1, err)
	}
	return nil
}

// fields splits a line; a line without quotes, as most are, costs no reader.
func fields(text string) ([]string, error) {
	if !strings.Contains(text, `"`) {
		return strings.Split(text, ","), nil
	}
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord = -1
	return r.Read()
}

// parse judges a line in the order in which a reader would: is it a line, is it about goods, does it count.
func parse(text string) (l line, err error) {
	if !utf8.ValidString(text) {
		return l, refuse(Malformed, "not UTF-8")
	}
	f, err := fields(text)
	if err != nil {
		return l, refuse(Malformed, "%v", err)
	}
	if len(f) != len(Columns) {
		return l, refuse(Malformed, "%d columns, want %d", len(f), len(Columns))
	}
	l = line{invoice: strings.TrimSpace(f[0]), description: strings.Join(strings.Fields(f[2]), " "), country: strings.TrimSpace(f[7])}
	if l.invoice == "" {
		return l, refuse(Malformed, "no invoice number")
	}
	if l.sku, err = parseSKU(f[1]); err != nil {
		return l, err
	}
	if l.quantity, err = strconv.ParseInt(strings.TrimSpace(f[3]), 10, 64); err != nil || l.quantity > maxQuantity || l.quantity < -maxQuantity {
		return l, refuse(BadQuantity, "%.40q", f[3])
	}
	if l.date, err = parseDate(f[4]); err != nil {
		return l, err
	}
	l.price, err = parsePence(f[5])
	return l, err
}

// maxQuantity of one line; what exceeds it is a slip of the keyboard.
const maxQuantity = 1_000_000

// parseSKU writes a stock code as a SKU: trimmed and in upper case.
func parseSKU(code string) (string, error) {
	sku := strings.ToUpper(strings.TrimSpace(code))
	isPrefixed := slices.ContainsFunc(servicePrefixes, func(prefix string) bool { return strings.HasPrefix(sku, prefix) })
	if services[sku] || isPrefixed {
		return "", refuse(NotGoods, "%s", sku)
	}
	if events.CheckSKU(sku) != nil {
		return "", refuse(BadSKU, "%.80q", code)
	}
	return sku, nil
}

// parseDate takes d/m/yyyy, with or without the time of day.
func parseDate(text string) (time.Time, error) {
	text = strings.TrimSpace(text)
	for _, layout := range []string{"2/1/2006", "2/1/2006 15:04"} {
		if date, err := time.Parse(layout, text); err == nil {
			return date, nil
		}
	}
	return time.Time{}, refuse(BadDate, "%.40q, want d/m/yyyy", text)
}

// pounds is a decimal of at most ten digits before the point.
var pounds = regexp.MustCompile(`^([0-9]{1,10})(?:\.([0-9]{1,4}))?$`)

// parsePence reads pounds exactly, without a float in between. A fraction of a penny cannot be charged, so it is refused.
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
