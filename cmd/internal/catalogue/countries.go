package catalogue

import "strings"

// countries are the ISO 3166-1 codes of the countries as the ledger names them, in lower case. What stands there but is no one
// country ("European Community", "Channel Islands", "Unspecified") has none.
var countries = map[string]string{
	"australia": "AU", "austria": "AT", "bahrain": "BH", "belgium": "BE", "brazil": "BR", "canada": "CA", "cyprus": "CY",
	"czech republic": "CZ", "denmark": "DK", "eire": "IE", "finland": "FI", "france": "FR", "germany": "DE", "greece": "GR",
	"hong kong": "HK", "iceland": "IS", "israel": "IL", "italy": "IT", "japan": "JP", "lebanon": "LB", "lithuania": "LT",
	"malta": "MT", "netherlands": "NL", "norway": "NO", "poland": "PL", "portugal": "PT", "rsa": "ZA", "saudi arabia": "SA",
	"singapore": "SG", "spain": "ES", "sweden": "SE", "switzerland": "CH", "united arab emirates": "AE", "united kingdom": "GB",
	"usa": "US",
}

// CountryCode is the ISO 3166-1 alpha-2 code of a country as the ledger names it; empty when the name is of no one country.
func CountryCode(name string) string { return countries[strings.ToLower(strings.TrimSpace(name))] }
