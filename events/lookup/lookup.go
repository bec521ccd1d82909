package lookup

import (
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
)

// Query is what a text can mean. Empty fields are readings that the text does not have.
type Query struct {
	Text     string // the text without blanks and quotes at its ends
	Number   string // an order number, as orders have it: 8F3K2-MQD7A
	UUID     string // the id of an order, a payment or an event, in lower case with hyphens
	ID       string // an id as it was typed, for ids that are not UUIDs
	Email    string // an e-mail address in lower case
	Stripe   string // an id of Stripe, such as pi_3Pq…: its letters keep their case
	Sequence uint64 // of an event in the log
	SKU      string // one word or more that can be an item number, as typed
	Search   Search // the text as a search for orders
}

// Search selects orders. Every condition must hold.
type Search struct {
	Words      []string  // folded: each is a part of the name, the address, the number or the e-mail address, or the SKU of a line
	Statuses   []string  // of the order: one of them
	Payments   []string  // payment statuses: one of them
	Fulfilment []string  // fulfilment statuses: one of them
	From       time.Time // placed at this time or later; the zero time is no condition
	To         time.Time // placed before this time; the zero time is no condition
}

// Parse reads a text. now and its location are used for words such as "today".
func Parse(text string, now time.Time) Query {
	text = trim(text)
	q := Query{Text: text, Number: Number(text), Email: email(text), Stripe: stripe(text), Sequence: sequence(text)}
	if id, err := uuid.Parse(squeeze(text)); err == nil {
		q.UUID = id.String()
	}
	if plainID.MatchString(text) {
		q.ID = text
	}
	if length := len([]rune(text)); length > 0 && length <= 64 {
		q.SKU = text
	}
	q.Search = parseSearch(text, now)
	return q
}

// plainID matches the ids that the shop makes itself; see events.CheckID.
var plainID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// trim removes white space, quotes, brackets and a full stop around a text, which come with it from a mail or a table. Two full
// stops are an open range of dates.
func trim(text string) string {
	text = strings.TrimFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || strings.ContainsRune("\"'`“”„‘’«»<>()[],;\u200b\ufeff", r)
	})
	if !strings.HasSuffix(text, "..") {
		text = strings.TrimSuffix(text, ".")
	}
	return text
}

// squeeze removes white space and invisible characters.
func squeeze(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)
}

// crockford are the digits of an order number: Douglas Crockford's base 32, in which I, L and O do not occur.
const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// numberLength is the number of digits of an order number.
const numberLength = 10

// prefixes are the words that people write before an order number.
var prefixes = regexp.MustCompile(`(?i)^((order|bestellung|commande|no|nr|number)[\s.:#]*)+`)

// Number returns a text as an order number in the form that orders have, or "" if it cannot be one. It accepts any case, blanks and
// punctuation anywhere, and the letters O for 0 and I and L for 1, as Crockford defines it.
func Number(text string) string {
	if number := digits(text); number != "" {
		return number
	}
	return digits(prefixes.ReplaceAllString(trim(text), ""))
}

func digits(text string) string {
	var out strings.Builder
	for _, r := range strings.ToUpper(text) {
		switch {
		case r == 'O':
			r = '0'
		case r == 'I' || r == 'L':
			r = '1'
		case unicode.IsSpace(r) || !unicode.IsPrint(r) || strings.ContainsRune("-‐‑‒–—−_#.:/,", r):
			continue
		}
		if !strings.ContainsRune(crockford, r) || out.Len() == numberLength {
			return ""
		}
		out.WriteRune(r)
	}
	if out.Len() != numberLength {
		return ""
	}
	return out.String()[:5] + "-" + out.String()[5:]
}

// email returns a text as an e-mail address in lower case, "" if it is none. "mailto:", a name before <address>, and blanks in the
// address, which a line break leaves, are removed.
func email(text string) string {
	if open := strings.LastIndexByte(text, '<'); open >= 0 {
		text = text[open+1:]
	}
	text = strings.ToLower(squeeze(strings.TrimPrefix(trim(text), "mailto:")))
	local, host, found := strings.Cut(text, "@")
	if !found || local == "" || !strings.Contains(host, ".") || strings.ContainsAny(host, "@/:,") {
		return ""
	}
	return text
}

// stripeID matches the ids of Stripe's objects that the shop meets.
var stripeID = regexp.MustCompile(`^(?i:(pi|ch|py|re|pyr|evt|du|dp))_([A-Za-z0-9_]{3,})$`)

// stripe returns a text as an id of Stripe, "" if it is none. Only the prefix has a case of its own.
func stripe(text string) string {
	found := stripeID.FindStringSubmatch(squeeze(text))
	if found == nil {
		return ""
	}
	return strings.ToLower(found[1]) + "_" + found[2]
}

// sequence returns a text as a sequence of the log: digits, with blanks or commas between thousands, or after "#" or "seq".
func sequence(text string) uint64 {
	text = strings.ToLower(squeeze(text))
	for _, prefix := range []string{"sequence", "seq", "event"} {
		text = strings.TrimPrefix(text, prefix)
	}
	text = strings.ReplaceAll(strings.TrimLeft(text, "#:"), ",", "")
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
