package storefront

import "testing"

func TestCountriesAreThoseOfISO3166(t *testing.T) {
	if len(countries) != 249 {
		t.Errorf("got %d countries, want the 249 of ISO 3166-1", len(countries))
	}
	seen := map[string]bool{}
	for _, c := range countries {
		if len(c.Code) != 2 || c.Name == "" || seen[c.Code] {
			t.Errorf("country %+v is malformed or a duplicate", c)
		}
		seen[c.Code] = true
	}
	for _, code := range []string{"GB", "DE", "US", "TW", "XK"} {
		if seen[code] == (code == "XK") { // Kosovo's code is not in the standard
			t.Errorf("country %s is listed: %v, want %v", code, seen[code], !seen[code])
		}
	}
}

func TestEveryWordSelectsItsMotif(t *testing.T) {
	taken := map[string]bool{}
	for _, motif := range motifs {
		if motifFor(motif.names[0]) != motif.drawing {
			t.Errorf("%q selects another motif", motif.names[0])
		}
		for _, name := range motif.names {
			if taken[name] {
				t.Errorf("%q belongs to two motifs", name)
			}
			taken[name] = true
		}
	}
	if got := motifFor("Two MUGS, blue"); got != motifFor("mug") || got == "" {
		t.Errorf("motifFor(\"Two MUGS, blue\") = %q, want the motif of mug", got)
	}
}
