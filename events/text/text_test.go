package text_test

import (
	"encoding/json"
	"errors"
	"testing"

	"tillstream/events/text"
)

func TestCleanNormalizesAndRefusesWhatIsNotVisible(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, in, want string
		refused        bool
	}{
		{name: "ASCII", in: "Ada Lovelace", want: "Ada Lovelace"},
		{name: "white space", in: " Ada\t \nLovelace\u00a0", want: "Ada Lovelace"},
		{name: "decomposed letter", in: "Ame\u0301lie", want: "Am\u00e9lie"},
		{name: "Persian with a non-joiner", in: "\u0646\u06cc\u0644\u200c\u06af\u0648\u0646", want: "\u0646\u06cc\u0644\u200c\u06af\u0648\u0646"},
		{name: "family emoji", in: "\U0001f468\u200d\U0001f469", want: "\U0001f468\u200d\U0001f469"},
		{name: "emoji with variation selector", in: "\u2764\ufe0f", want: "\u2764\ufe0f"},
		{name: "Japanese", in: "\u5c71\u7530 \u592a\u90ce", want: "\u5c71\u7530 \u592a\u90ce"},
		{name: "empty", in: " ", want: ""},
		{name: "joiner alone", in: "\u200d", refused: true},
		{name: "joiner at the end", in: "Ada\u200d", refused: true},
		{name: "two joiners", in: "a\u200d\u200db", refused: true},
		{name: "right-to-left override", in: "Ada\u202efdp.exe", refused: true},
		{name: "isolate", in: "\u2066Ada\u2069", refused: true},
		{name: "left-to-right mark", in: "\u200eAda", refused: true},
		{name: "zero width space", in: "Ada\u200bLovelace", refused: true},
		{name: "byte order mark", in: "\ufeffAda", refused: true},
		{name: "soft hyphen", in: "A\u00adda", refused: true},
		{name: "Latin with a joiner", in: "Al\u200dice", refused: true},
		{name: "Cyrillic with a non-joiner", in: "\u0410\u200c\u043d\u043d\u0430", refused: true},
		{name: "digits with a joiner", in: "1\u200d2", refused: true},
		{name: "variation selector alone", in: "\ufe0f", refused: true},
		{name: "Latin with a variation selector", in: "Ada\ufe0f", refused: true},
		{name: "two variation selectors", in: "\u2764\ufe0f\ufe0f", refused: true},
		{name: "grapheme joiner", in: "A\u034fda", refused: true},
		{name: "Khmer inherent vowel", in: "\u1780\u17b4", refused: true},
		{name: "marks without a letter", in: "\u0301\u0302", refused: true},
		{name: "Japanese with an ideographic variation", in: "\u845b\U000e0100\u57ce", want: "\u845b\U000e0100\u57ce"},
		{name: "flag emoji", in: "\U0001f3f3\ufe0f\u200d\U0001f308", want: "\U0001f3f3\ufe0f\u200d\U0001f308"},
		{name: "Malayalam with a joiner", in: "\u0d28\u0d4d\u200d\u0d38", want: "\u0d28\u0d4d\u200d\u0d38"},
		{name: "Hangul filler", in: "\u3164", refused: true},
		{name: "empty Braille pattern", in: "\u2800", refused: true},
		{name: "tag character", in: "Ada\U000e0041", refused: true},
		{name: "NUL", in: "Ada\x00", refused: true},
		{name: "escape", in: "\x1b[31mAda", refused: true},
		{name: "private use", in: "\ue000", refused: true},
		{name: "unassigned", in: "\u0378", refused: true},
		{name: "invalid UTF-8", in: "Ada\xff", refused: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := text.Clean(c.in)
			if refused := errors.Is(err, text.ErrUnprintable); got != c.want || refused != c.refused {
				t.Errorf("Clean(%+q): got %+q, %v, want %+q, refused: %t", c.in, got, err, c.want, c.refused)
			}
		})
	}
}

func TestCleanLinesKeepsLineFeeds(t *testing.T) {
	t.Parallel()
	if got, err := text.CleanLines("\n one\r\n\ttwo \n"); got != "one\n\ttwo" || err != nil {
		t.Errorf("got %q, %v, want both lines", got, err)
	}
	if got, err := text.CleanLines("one\u202etwo"); !errors.Is(err, text.ErrUnprintable) {
		t.Errorf("bidirectional control: got %q, %v, want it refused", got, err)
	}
}

func TestLooksLikeLinkAcceptsNamesWithDots(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"Ada Lovelace": false, "J. R. R. Tolkien": false, "J.R.R. Tolkien": false, "St. John's": false, "Dr. No": false, "3.5 mm": false, "": false,
		"Anna Meier M.Sc.": false, "Zo\u00eb Ph.D., St. John's": false, "Dipl.-Ing. Meier": false, "Company S.A.R.L.": false,
		"https://evil.example": true, "Win at www.evil": true, "evil.com": true, "Click evil.com/x now": true, "evil.example:8080": true,
		"evil.com, for you": true, "(evil.com)": true, "evil.com!": true, "evil.com?a=1": true, "evil.com#a": true, "Go to evil.com.": true,
		"\u0437\u043b\u043e.\u0440\u0444": true, "evil\uff0ecom": true, "evil\u3002com": true, "evil.xn--p1ai": true, "192.0.2.7/a": true,
	} {
		if got := text.LooksLikeLink(s); got != want {
			t.Errorf("LooksLikeLink(%q): got %t, want %t", s, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("Ada\u200dLovelace e\u0301 \x00")
	f.Fuzz(func(t *testing.T, s string) {
		once, err := text.Clean(s)
		if err != nil {
			return
		}
		if twice, err := text.Clean(once); twice != once || err != nil {
			t.Errorf("Clean(%+q) is %+q; cleaned again: %+q, %v", s, once, twice, err)
		}
	})
}

func TestPrintableEscapesWhatATerminalDoesNotShow(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"Ada O\u0308zil":    "Ada O\u0308zil",
		"two\nlines":        "two\nlines",
		"gar\x1b[31mbage":   `gar\x1b[31mbage`,
		"evil\u202egpj.exe": `evil\u202egpj.exe`,
		"zero\u200bwidth":   `zero\u200bwidth`,
		"caf\xe9":           `caf\xe9`,
		"👩\u200d🔬":          "👩\u200d🔬",
	} {
		if got := text.Printable(given); got != want {
			t.Errorf("Printable(%q) = %q, want %q", given, got, want)
		}
	}
}

// The JSON means the same afterwards, and has nothing that a terminal obeys.
func TestPrintableJSONMeansTheSame(t *testing.T) {
	t.Parallel()
	want := "Ada\u202e\x1b[31m\u009b\x7f\U000e0041\U0001f468\u200d\U0001f469 \u5c71"
	data, err := json.Marshal(map[string]string{"name": want})
	if err != nil {
		t.Fatal(err)
	}
	got := text.PrintableJSON(data)
	if text.Printable(string(got)) != string(got) {
		t.Errorf("got %q, want nothing that is not printable", got)
	}
	var decoded map[string]string
	if err := json.Unmarshal(got, &decoded); err != nil || decoded["name"] != want {
		t.Errorf("got %q, error %v, want %q", decoded["name"], err, want)
	}
}
