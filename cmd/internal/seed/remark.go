package seed

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// remarks are first words of what staff write into the description when they correct stock.
var remarks = map[string]bool{
	"adjustment": true, "amazon": true, "barcode": true, "breakages": true, "broken": true, "check": true, "counted": true,
	"cracked": true, "crushed": true, "damage": true, "damaged": true, "damages": true, "dotcom": true, "ebay": true,
	"faulty": true, "found": true, "lost": true, "missing": true, "mouldy": true, "oops": true, "rusty": true, "sale": true,
	"sold": true, "test": true, "thrown": true, "unsaleable": true, "wet": true, "wrong": true, "wrongly": true,
}

// longestTitle is what the shop takes.
const longestTitle = 200

// isTitle reports whether an article can be called by a description.
func isTitle(description string) bool {
	printable := !strings.ContainsFunc(description, func(r rune) bool { return !unicode.IsPrint(r) })
	return description != "" && utf8.RuneCountInString(description) <= longestTitle && printable && !isRemark(description)
}

// isRemark reports whether a description is a note of staff ("damaged", "?", "wrong code?", "Found") rather than what
// the article is called. The shop writes articles in capitals, so what has no capital letter or a question mark is a
// note, and so is what begins with one of the words above, unless more words in capitals follow ("WET WIPES").
func isRemark(description string) bool {
	if strings.Contains(description, "?") || !strings.ContainsFunc(description, unicode.IsUpper) {
		return true
	}
	first, rest, _ := strings.Cut(description, " ")
	if !remarks[strings.ToLower(strings.Trim(first, ".,;:!"))] {
		return false
	}
	return rest == "" || strings.ContainsFunc(description, unicode.IsLower)
}
