package events_test

import (
	"math"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
)

// spaces stand for the no-break spaces and the direction marks of the CLDR, which a reader of the tests cannot see.
var spaces = strings.NewReplacer("_", "\u00a0", "~", "\u202f", ">", "\u200e", "<", "\u200f")

func TestMoneyIsFormattedByLocale(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		locale   string
		amount   int64
		currency string
		want     string
	}{
		{"en", 1250, "USD", "$12.50"}, {"en", 0, "USD", "$0.00"}, {"en-US", -199, "USD", "-$1.99"}, {"en-CA", 1250, "USD", "US$12.50"},
		{"en", 1250, "GBP", "£12.50"}, {"en-GB", 123456789, "GBP", "£1,234,567.89"}, {"en-IN", 123456789, "INR", "₹12,34,567.89"},
		{"de", 1250, "EUR", "12,50_€"}, {"de", 123456789, "EUR", "1.234.567,89_€"}, {"de", -1250, "EUR", "-12,50_€"}, {"de", 0, "EUR", "0,00_€"},
		{"de-DE", 5, "EUR", "0,05_€"}, {"de-AT", 1250, "EUR", "€_12,50"}, {"de-AT", -125000, "EUR", "-€_1.250,00"},
		{"de-CH", 1250, "CHF", "CHF_12.50"}, {"de-CH", 125000, "EUR", "€_1’250.00"}, {"de-CH", -1250, "CHF", "CHF-12.50"},
		{"fr", 123456789, "EUR", "1~234~567,89_€"}, {"sv", -1250, "SEK", "−12,50_kr"}, {"pt-BR", 1250, "BRL", "R$_12,50"}, {"es-MX", 125000, "MXN", "$1,250.00"},
		{"en", 1250, "JPY", "¥1,250"}, {"ja", 1250, "JPY", "￥1,250"}, {"de", 1250, "JPY", "1.250_¥"}, {"zh-TW", 1250, "TWD", "$12.50"}, {"zh", 1250, "TWD", "NT$12.50"},
		{"en", 1250, "KWD", "KWD_1.250"}, {"de", -5, "KWD", "-0,005_KWD"}, {"en", 1250, "MGA", "MGA_1,250"},
		{"en", 125000, "ISK", "ISK_1,250"}, {"is", 125000, "ISK", "1.250_kr."}, {"de", -100, "ISK", "-1_ISK"}, {"en", 125050, "ISK", "ISK_1,250.50"},
		{"en", 0, "UGX", "UGX_0"}, {"de", 125000, "UGX", "1.250_UGX"}, {"en-UG", 125000, "UGX", "USh_1,250"}, {"en", 1, "UGX", "UGX_0.01"},
		{"ar", 123450, "EUR", "<1,234.50_€"}, {"ar", -123450, "EUR", "<>-1,234.50_€"}, {"ar-EG", 123450, "EUR", "<1,234.50_€"}, {"ar-EG", -123450, "EUR", "<>-1,234.50_€"},
		{"ar-MA", 123450, "EUR", "<1.234,50_€"}, {"he", 1250, "ILS", "<12.50_<₪"}, {"fa", 1250, "EUR", ">€12.50"}, {"fa", -1250, "EUR", ">−>€12.50"},
		{"hi", 12345678, "INR", "₹1,23,456.78"}, {"bn", 12345678, "BDT", "1,23,456.78৳"}, {"mr", 1250, "INR", "₹12.50"}, {"my", 1250, "EUR", "12.50_€"},
		{"de-DE-u-nu-arab", 1250, "EUR", "12,50_€"}, {"DE_de", 1250, "EUR", "12,50_€"}, {"de-Latn-AT", 1250, "EUR", "€_12,50"},
		{"", 1250, "EUR", "€12.50"}, {"tlh", 1250, "EUR", "€12.50"}, {"x-klingon", 1250, "EUR", "€12.50"}, {"not a locale", 1250, "EUR", "€12.50"}, {"und-DE", 1250, "EUR", "€12.50"},
		{"en", 1250, "XYZ", "XYZ_12.50"}, {"de", -1250, "XYZ", "-12,50_XYZ"}, {"en", 0, "", "0.00"}, {"de", 0, "", "0,00"},
		{"en", math.MaxInt64, "GBP", "£92,233,720,368,547,758.07"}, {"de", math.MinInt64, "EUR", "-92.233.720.368.547.758,08_€"},
		{"en", math.MaxInt64, "JPY", "¥9,223,372,036,854,775,807"}, {"en", math.MinInt64, "KWD", "-KWD_9,223,372,036,854,775.808"},
	} {
		money := events.Money{Amount: c.amount, Currency: c.currency}
		if got, want := money.Format(c.locale), spaces.Replace(c.want); got != want {
			t.Errorf("%s in %q: got %+q, want %+q", money, c.locale, got, want)
		}
	}
}

// Amounts keep all of their digits, in Latin script, in every language.
func TestFormattedMoneyHasTheDigitsOfTheAmount(t *testing.T) {
	t.Parallel()
	for locale := range strings.FieldsSeq("af am ar ar-EG ar-SA as az be bg bn bn-IN ca ckb cs da de el en es et eu fa fa-AF fi fil fr ga gu he hi hr hu hy id is it ja ka kk km kn ko ky lo lt lv " +
		"mk ml mn mr ms my ne nl no or pa pa-Arab pl ps pt ro ru sd si sk sl so sq sr sv sw ta te th tk tr uk ur ur-IN uz uz-Arab vi yo zh zh-Hant zu") {
		for code := range strings.FieldsSeq(presentment) {
			for _, amount := range []int64{0, 1_234_567_800, -1_234_567_800, math.MaxInt64, math.MinInt64} {
				money := events.Money{Amount: amount, Currency: code}
				want := digitsOf(money.Number())
				if digits := events.DigitsOf(code); digits.Shown < digits.Minor && amount%100 == 0 {
					want = strings.TrimSuffix(want, "00")
				}
				if got := digitsOf(money.Format(locale)); got != want {
					t.Errorf("%s in %s: got %q with digits %s, want %s", money, locale, money.Format(locale), got, want)
				}
			}
		}
	}
}

// digitsOf returns the decimal digits of a text, of every script.
func digitsOf(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Nd, r) {
			return r
		}
		return -1
	}, text)
}

// Programs that format amounts themselves get the digits of every currency whose digits are not two.
func TestUnusualDigitsAreThoseThatStripeLists(t *testing.T) {
	t.Parallel()
	got, want := map[string]events.Digits{}, map[string]events.Digits{}
	all := events.UnusualDigits()
	for code := range strings.FieldsSeq(presentment) {
		if digits, ok := all[code]; ok {
			got[code] = digits
		}
	}
	for digits, codes := range map[events.Digits]string{
		{Minor: 0, Shown: 0}: "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF",
		{Minor: 2, Shown: 0}: "ISK UGX",
		{Minor: 3, Shown: 3}: "BHD JOD KWD OMR TND",
	} {
		for code := range strings.FieldsSeq(codes) {
			want[code] = digits
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("digits (-want +got):\n%s", diff)
	}
}
