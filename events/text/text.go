// Package text checks text that people type, such as names, addresses and titles, before it is stored. Such text is shown on
// pages, in mails and in operators' terminals, where invisible characters and changes of the writing direction can make it look
// like another text.
package text

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// ErrUnprintable is returned for text with a character that is not visible or changes the writing direction.
var ErrUnprintable = errors.New("contains an invisible character")

const (
	zeroWidthNonJoiner = '\u200c'
	zeroWidthJoiner    = '\u200d'
)

// blank are characters of Unicode's letter and symbol categories that show nothing: the Hangul fillers and the empty
// Braille pattern.
const blank = "\u115f\u1160\u3164\uffa0\u2800"

// Clean returns s in Unicode's normalization form C, with its runs of white space as single spaces and none at its ends.
// It returns [ErrUnprintable], naming the character, for control characters (the line feed is white space), bidirectional
// controls, other format characters, blank letters, marks without a character before them, private and unassigned characters,
// and text that is not UTF-8. Joiners and variation selectors are accepted where Persian, Indic scripts, Japanese names and
// emoji need them.
func Clean(s string) (string, error) {
	return clean(s, func(s string) string { return strings.Join(strings.FieldsFunc(s, unicode.IsSpace), " ") })
}

// CleanLines is [Clean] for text of several lines: it keeps line feeds.
func CleanLines(s string) (string, error) {
	return clean(strings.ReplaceAll(s, "\r\n", "\n"), strings.TrimSpace)
}

func clean(s string, space func(string) string) (string, error) {
	s = space(norm.NFC.String(s))
	runes := []rune(s)
	for i, r := range runes {
		before, after := ' ', ' '
		if i > 0 {
			before = runes[i-1]
		}
		if i < len(runes)-1 {
			after = runes[i+1]
		}
		if !visible(r) && !shapes(before, r, after) || unicode.Is(unicode.M, r) && unicode.IsSpace(before) {
			return "", fmt.Errorf("%w (%U)", ErrUnprintable, r)
		}
	}
	return s, nil
}

// shapes reports whether r shows nothing itself and changes how its neighbours look.
func shapes(before, r, after rune) bool {
	switch {
	case r == zeroWidthJoiner || r == zeroWidthNonJoiner:
		return joins(before) && joins(after)
	case unicode.Is(unicode.Variation_Selector, r):
		return unicode.In(before, unicode.Symbol, unicode.Han, unicode.Mongolian)
	}
	return false
}

// joins reports whether a joiner may stand beside r. Beside another joiner or a space, and in scripts without joined or
// stacked letters, it would show nothing.
func joins(r rune) bool {
	return unicode.In(r, unicode.Letter, unicode.Mark, unicode.Symbol) && !unicode.In(r, unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Han)
}

func visible(r rune) bool {
	switch {
	case r == unicode.ReplacementChar || strings.ContainsRune(blank, r),
		unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector):
		return false
	case r == ' ' || r == '\n' || r == '\t':
		return true
	}
	return unicode.IsGraphic(r) && !unicode.Is(unicode.Zs, r) && !unicode.Is(unicode.Bidi_Control, r)
}

// Printable returns s with what a terminal would not show as it is, such as control characters, escape sequences and changes of
// the writing direction, written as escapes like \x1b and \u202e. It keeps line feeds, and the joiners and variation selectors of emoji. Text that was stored
// before it was checked, or by another program, is printed with it.
func Printable(s string) string {
	var out strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == zeroWidthJoiner, r == zeroWidthNonJoiner, unicode.Is(unicode.Variation_Selector, r), visible(r):
			out.WriteString(s[:size])
		default:
			quoted := strconv.QuoteToASCII(s[:size])
			out.WriteString(quoted[1 : len(quoted)-1])
		}
		s = s[size:]
	}
	return out.String()
}

// PrintableJSON returns JSON that means the same, with the characters that [Printable] escapes written as JSON escapes. Such characters
// can only be inside of its strings.
func PrintableJSON(data []byte) []byte {
	out := make([]byte, 0, len(data))
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		if s := string(data[:size]); r == '\n' || Printable(s) == s {
			out = append(out, s...)
		} else {
			for _, unit := range utf16.Encode([]rune{r}) {
				out = fmt.Appendf(out, "\\u%04x", unit)
			}
		}
		data = data[size:]
	}
	return out
}

// link matches a scheme, "www.", and host names in any script with their last two labels of two characters or more, or before a
// path. Mail programs take the punctuation after a host name for the end of the link.
var link = regexp.MustCompile(`(?i)://|\bwww\.|[\pL\pN-]{2}[.。．｡](xn--[a-z0-9-]+|\pL{2,})([^\pL\pN_-]|$)|[\pL\pN][.。．｡][\pL\pN]{2,}[/:?#]|\d\.\d+[/:]`)

// LooksLikeLink reports whether a mail program may turn a part of s into a link. Such a name is left out of mails:
// with it, the shop would send an attacker's advertisement.
func LooksLikeLink(s string) bool { return link.MatchString(s) }
