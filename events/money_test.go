package events_test

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"tillstream/events"
)

func gbp(amount int64) events.Money { return events.Money{Amount: amount, Currency: "GBP"} }

func TestMoneyRefusesMixedCurrencies(t *testing.T) {
	t.Parallel()
	eur := events.Money{Amount: 1, Currency: "EUR"}
	if _, err := gbp(1).Add(eur); !errors.Is(err, events.ErrMoney) {
		t.Errorf("GBP plus EUR: got %v, want ErrMoney", err)
	}
	if _, err := gbp(1).Sub(eur); !errors.Is(err, events.ErrMoney) {
		t.Errorf("GBP minus EUR: got %v, want ErrMoney", err)
	}
}

// Row 63 of the fault matrix, the arithmetic: a result equals that of unlimited arithmetic or is ErrMoney. It never overflows.
func TestMoneyAgreesWithUnlimitedArithmetic(t *testing.T) {
	t.Parallel()
	amounts := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-1000, 1000), rapid.SampledFrom([]int64{math.MinInt64, math.MinInt64 + 1, math.MaxInt64}))
	rapid.Check(t, func(t *rapid.T) {
		a, b := amounts.Draw(t, "a"), amounts.Draw(t, "b")
		sum, err := gbp(a).Add(gbp(b))
		agree(t, "add", sum, err, new(big.Int).Add(big.NewInt(a), big.NewInt(b)))
		if b != math.MinInt64 { // always refused, because its negative is not an int64
			difference, err := gbp(a).Sub(gbp(b))
			agree(t, "sub", difference, err, new(big.Int).Sub(big.NewInt(a), big.NewInt(b)))
		}
		product, err := gbp(a).Times(b)
		if a < 0 || b < 0 {
			if !errors.Is(err, events.ErrMoney) {
				t.Fatalf("%d times %d: got %v, want ErrMoney", a, b, err)
			}
			return
		}
		agree(t, "times", product, err, new(big.Int).Mul(big.NewInt(a), big.NewInt(b)))
	})
}

func agree(t *rapid.T, operation string, got events.Money, err error, want *big.Int) {
	t.Helper()
	if want.IsInt64() {
		if err != nil || got != gbp(want.Int64()) {
			t.Fatalf("%s: got %v, %v; want %s", operation, got, err, want)
		}
		return
	}
	if !errors.Is(err, events.ErrMoney) {
		t.Fatalf("%s to %s: got %v, %v; want ErrMoney", operation, want, got, err)
	}
}

func TestMoneyPrintsMinorUnits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		money events.Money
		want  string
	}{
		{gbp(1250), "12.50 GBP"},
		{gbp(5), "0.05 GBP"},
		{gbp(-5), "-0.05 GBP"},
		{gbp(-1250), "-12.50 GBP"},
		{gbp(0), "0.00 GBP"},
		{events.Money{Amount: 1250, Currency: "JPY"}, "1250 JPY"},
		{events.Money{Amount: 1250, Currency: "KWD"}, "1.250 KWD"},
		{gbp(math.MaxInt64), "92233720368547758.07 GBP"},
		{gbp(math.MinInt64), "-92233720368547758.08 GBP"},
	} {
		if got := c.money.String(); got != c.want {
			t.Errorf("%d %s: got %q, want %q", c.money.Amount, c.money.Currency, got, c.want)
		}
	}
}

func TestPricesAreReadAsTyped(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]int64{"8.50": 850, "8.5": 850, " 8 ": 800, "0.01": 1, "8.505": -1, "8,50": -1, "-8": -1, "+8": -1, "": -1, "8.": -1, ".5": -1, "1e3": -1, "1_0": -1, "99999999999999999999": -1} {
		got, err := events.ParseMoney(typed, "GBP")
		if (err != nil) != (want < 0) || err == nil && got.Amount != want {
			t.Errorf("%q: got %+v, %v; want %d", typed, got, err, want)
		}
	}
	if got, err := events.ParseMoney("1250", "JPY"); err != nil || got != (events.Money{Amount: 1250, Currency: "JPY"}) {
		t.Errorf("yen: got %+v, %v", got, err)
	}
}

// Amounts are minor units as Stripe counts them, which differ from the CLDR for ISK, MGA and UGX (docs.stripe.com/currencies).
// The test is not parallel, because it counts allocations.
func TestMinorDigitsAreThoseOfStripe(t *testing.T) {
	for want, codes := range map[int][]string{
		0: {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"},
		2: {"EUR", "GBP", "HUF", "ISK", "TWD", "UGX", "USD", "", "XYZ", "gbp"},
		3: {"BHD", "JOD", "KWD", "OMR", "TND"},
	} {
		for _, code := range codes {
			if got := events.MinorDigits(code); got != want {
				t.Errorf("%q: got %d digits, want %d", code, got, want)
			}
		}
	}
	if allocations := testing.AllocsPerRun(100, func() { events.MinorDigits("GBP") }); allocations != 0 {
		t.Errorf("got %v allocations, want 0", allocations)
	}
}
