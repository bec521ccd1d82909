package events

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxID is the most characters of an id or a SKU. Encoded these are at most 768 bytes; the broker closes a connection that
// sends a subject of about 4,000 bytes.
const maxID = 64

// idPattern matches the ids that the shop makes itself.
var idPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// CheckID returns [ErrBadID] unless id matches ^[A-Za-z0-9_-]{1,64}$.
func CheckID(id string) error {
	if !idPattern.MatchString(id) {
		return fmt.Errorf("%w: %.80q: want 1 to %d of letters, digits, _ and -", ErrBadID, id, maxID)
	}
	return nil
}

// CheckSKU returns [ErrBadID] unless sku is 1 to 64 printable characters and neither begins nor ends with a space. SKUs come
// from outside the shop; real ones contain dots, slashes and spaces. "." and ".." are refused, because browsers remove them
// from a path.
func CheckSKU(sku string) error {
	length := utf8.RuneCountInString(sku)
	if !utf8.ValidString(sku) || length < 1 || length > maxID || strings.TrimSpace(sku) != sku || sku == "." || sku == ".." ||
		strings.ContainsFunc(sku, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("%w: %.80q: want 1 to %d printable characters", ErrBadID, sku, maxID)
	}
	return nil
}

// Subject returns the subject of an entity: the prefix and the id as one token. Letters, digits, _ and - stay as they are;
// every other byte is written as % and two hexadecimal digits (RFC 3986 §2.1), so two ids never share a subject. It returns
// [ErrBadID] like [CheckSKU].
func Subject(prefix, id string) (string, error) {
	if err := CheckSKU(id); err != nil {
		return "", err
	}
	return prefix + token(id), nil
}

const upperHex = "0123456789ABCDEF"

func token(id string) string {
	if idPattern.MatchString(id) {
		return id
	}
	var b strings.Builder
	for i := range len(id) {
		if c := id[i]; isUnreserved(c) {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(upperHex[c>>4])
			b.WriteByte(upperHex[c&15])
		}
	}
	return b.String()
}

func isUnreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// ParseSubject returns the id of the entity that a subject with a prefix belongs to. ok is false for a subject that [Subject]
// does not return, such as one with more tokens.
func ParseSubject(prefix, subject string) (id string, ok bool) {
	rest, ok := strings.CutPrefix(subject, prefix)
	if !ok {
		return "", false
	}
	if idPattern.MatchString(rest) {
		return rest, true
	}
	var b strings.Builder
	for i := 0; i < len(rest); i++ {
		if rest[i] != '%' {
			b.WriteByte(rest[i])
			continue
		}
		if i+2 >= len(rest) {
			return "", false
		}
		high, low := strings.IndexByte(upperHex, rest[i+1]), strings.IndexByte(upperHex, rest[i+2])
		if high < 0 || low < 0 {
			return "", false
		}
		b.WriteByte(byte(high<<4 | low))
		i += 2
	}
	id = b.String()
	want, err := Subject(prefix, id)
	return id, err == nil && want == subject
}
