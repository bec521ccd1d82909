package events_test

import (
	"strings"
	"testing"

	"tillstream/events"
)

// presentment are the currencies that Stripe charges (docs.stripe.com/currencies, "Supported presentment currencies", with the
// three-decimal currencies and those that were added later).
const presentment = `USD AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BWP BYN BZD CAD CDF CHF CLP CNY COP
CRC CVE CZK DJF DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR ISK JMD JOD JPY KES KGS KHR KMF KRW KWD
KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON
RSD RUB RWF SAR SBD SCR SEK SGD SHP SLE SOS SRD STD SZL THB TJS TND TOP TRY TTD TWD TZS UAH UGX UYU UZS VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW`

// Digits, step, minimum and maximum of every currency that Stripe lists.
func TestEveryCurrencyHasTheLimitsOfStripe(t *testing.T) {
	t.Parallel()
	sets := func(codes string) func(string) bool {
		all := strings.Fields(codes)
		return func(code string) bool {
			for _, c := range all {
				if c == code {
					return true
				}
			}
			return false
		}
	}
	whole := sets("BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF")
	thirds, hundreds := sets("BHD JOD KWD OMR TND"), sets("ISK UGX")
	most := map[string]int64{"COP": 9_999_999_999, "HUF": 9_999_999_999, "IDR": 999_999_999_999, "INR": 999_999_999, "JPY": 9_999_999_999, "LBP": 99_999_999_999}
	least := map[string]int64{"USD": 50, "AED": 200, "AUD": 50, "BGN": 100, "BRL": 50, "CAD": 50, "CHF": 50, "CZK": 1500, "DKK": 250, "EUR": 50, "GBP": 30, "HKD": 400,
		"HUF": 17_500, "INR": 50, "JPY": 50, "MXN": 1000, "MYR": 200, "NOK": 300, "NZD": 50, "PLN": 200, "RON": 200, "SEK": 300, "SGD": 50, "THB": 1000}
	for code := range strings.FieldsSeq(presentment) {
		digits, step, maximum := 2, int64(1), int64(99_999_999)
		switch {
		case whole(code):
			digits = 0
		case thirds(code):
			digits, step = 3, 10
		case hundreds(code):
			step = 100
		}
		if m, ok := most[code]; ok {
			maximum = m
		}
		minimum := step
		if m, ok := least[code]; ok {
			minimum = m
		}
		want := events.ChargeLimit{Min: minimum, Max: maximum, Step: step}
		if got := events.ChargeLimits(nil).For(code); got != want || events.MinorDigits(code) != digits {
			t.Errorf("%s: got %+v and %d digits, want %+v and %d", code, got, events.MinorDigits(code), want, digits)
		}
	}
}
