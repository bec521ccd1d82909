package events_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tillstream/events"
)

// Row 17 of the fault matrix: an id that the shop makes is one subject token without escapes.
func TestCheckIDAcceptsSubjectTokens(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		id string
		ok bool
	}{
		"UUID":       {"0197e3a0-5c3b-7d1e-9a55-2f1c8f6f2b10", true},
		"StockCode":  {"85123A_gift-1", true},
		"OneLetter":  {"x", true},
		"Longest":    {strings.Repeat("a", 64), true},
		"Empty":      {"", false},
		"TooLong":    {strings.Repeat("a", 65), false},
		"Huge":       {strings.Repeat("a", 5000), false},
		"Star":       {"*", false},
		"Arrow":      {">", false},
		"Dot":        {"a.b", false},
		"Space":      {"a b", false},
		"NUL":        {"a\x00", false},
		"LineEnd":    {"a\n", false},
		"Umlaut":     {"ä", false},
		"BadUnicode": {"\xff", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := events.CheckID(c.id)
			if (err == nil) != c.ok {
				t.Errorf("CheckID(%.80q): got %v, want ok %v", c.id, err, c.ok)
			}
			if err != nil && !errors.Is(err, events.ErrBadID) {
				t.Errorf("CheckID(%.80q): got %v, want ErrBadID", c.id, err)
			}
			if err != nil && len(err.Error()) > 500 {
				t.Errorf("got an error of %d bytes, want it to shorten the id", len(err.Error()))
			}
		})
	}
}

// Row 17 of the fault matrix: SKUs come from outside the shop and can be any printable text. Unprintable and too long ones are
// refused before they become part of a subject.
func TestCheckSKUAcceptsPrintableTexts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sku string
		ok  bool
	}{
		"Plain":        {"85123A", true},
		"Star":         {"*", true},
		"Arrow":        {">", true},
		"Dot":          {"a.b", true},
		"Space":        {"a b", true},
		"Slash":        {"a/b", true},
		"Percent":      {"100%", true},
		"Umlaut":       {"ä", true},
		"Longest":      {strings.Repeat("語", 64), true},
		"Empty":        {"", false},
		"TooLong":      {strings.Repeat("語", 65), false},
		"Huge":         {strings.Repeat("a", 5000), false},
		"SpaceAtFirst": {" a", false},
		"SpaceAtLast":  {"a ", false},
		"NUL":          {"a\x00b", false},
		"LineEnd":      {"a\n", false},
		"HardSpace":    {"a\u00a0b", false},
		"BadUnicode":   {"\xff", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := events.CheckSKU(c.sku)
			if (err == nil) != c.ok {
				t.Errorf("CheckSKU(%.80q): got %v, want ok %v", c.sku, err, c.ok)
			}
			if err != nil && !errors.Is(err, events.ErrBadID) {
				t.Errorf("CheckSKU(%.80q): got %v, want ErrBadID", c.sku, err)
			}
			if _, subjectErr := events.Subject(events.PrefixItem, c.sku); (subjectErr == nil) != c.ok {
				t.Errorf("Subject(%.80q): got %v, want ok %v", c.sku, subjectErr, c.ok)
			}
		})
	}
}

// A subject is the prefix and one token, from which the id can be parsed, so two ids never share a subject.
func TestParseSubjectInvertsSubject(t *testing.T) {
	t.Parallel()
	token := regexp.MustCompile(`^[A-Za-z0-9_%-]+$`)
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.StringN(1, 64, -1).Filter(func(s string) bool { return events.CheckSKU(s) == nil }).Draw(t, "id")
		subject, err := events.Subject(events.PrefixItem, id)
		if err != nil {
			t.Fatal(err)
		}
		rest, found := strings.CutPrefix(subject, events.PrefixItem)
		if !found || !token.MatchString(rest) {
			t.Fatalf("subject of %q: got %q, want one token after %s", id, subject, events.PrefixItem)
		}
		if got, ok := events.ParseSubject(events.PrefixItem, subject); !ok || got != id {
			t.Fatalf("id of %q: got %q, %v; want %q", subject, got, ok, id)
		}
	})
}

// A subject that [events.Subject] does not return has no id, because an entity must not have two subjects.
func TestParseSubjectRefusesWhatSubjectDoesNotReturn(t *testing.T) {
	t.Parallel()
	for name, token := range map[string]string{
		"Nothing":        "",
		"TwoTokens":      "a.b",
		"NeedlessEscape": "%41",
		"LowerCase":      "%2e",
		"CutShort":       "a%2",
		"NoHexadecimal":  "%GG",
		"Unprintable":    "%00",
		"BadUnicode":     "%FF",
		"Unescaped":      "ä",
		"TooLong":        strings.Repeat("a", 65),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if id, ok := events.ParseSubject(events.PrefixItem, events.PrefixItem+token); ok {
				t.Errorf("id of %q: got %q, want none", token, id)
			}
		})
	}
	if id, ok := events.ParseSubject(events.PrefixItem, events.PrefixStock+"a"); ok {
		t.Errorf("id of a subject with another prefix: got %q, want none", id)
	}
}

func TestNoTwoDomainsOwnOneSubject(t *testing.T) {
	t.Parallel()
	domains := []string{"orders", "inventory", "payments", "notifications", "ops"}
	for _, subject := range events.ShopSubjects() {
		var owners []string
		for _, domain := range domains {
			for _, prefix := range events.OwnedPrefixes(domain) {
				if strings.HasPrefix(subject, prefix) {
					owners = append(owners, domain)
				}
			}
		}
		if len(owners) != 1 {
			t.Errorf("owners of %s: got %v, want one domain", subject, owners)
		}
	}
	if prefixes := events.OwnedPrefixes("unknown"); prefixes != nil {
		t.Errorf("prefixes of an unknown domain: got %v, want none", prefixes)
	}
}
