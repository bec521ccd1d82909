package storefront

import (
	_ "embed"
	"strings"
)

// country is one option of the country list at checkout.
type country struct{ Code, Name string }

//go:embed countries.txt
var countryLines string

// countries are the ISO 3166-1 alpha-2 codes with their English names, in alphabetical order of the names.
var countries = parseCountries(countryLines)

func parseCountries(lines string) []country {
	var parsed []country
	for line := range strings.Lines(lines) {
		code, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		parsed = append(parsed, country{Code: code, Name: name})
	}
	return parsed
}
