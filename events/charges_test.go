package events_test

import (
	"errors"
	"strings"
	"testing"

	"tillstream/events"
)

func TestChargeLimitsRefuseWhatStripeRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		amount   int64
		currency string
		want     string // part of the reason; "": accepted
	}{
		{30, "GBP", ""}, {29, "GBP", "0.30 GBP"}, {10, "GBP", "0.30 GBP"}, {0, "GBP", "0.30 GBP"}, {-5, "GBP", "0.30 GBP"},
		{99_999_999, "GBP", ""}, {100_000_000, "GBP", "999999.99 GBP"}, {120_000_000, "GBP", "999999.99 GBP"},
		{50, "JPY", ""}, {10, "JPY", "50 JPY"},
		{12_590, "KWD", ""}, {12_595, "KWD", "0.010 KWD"}, {100_200, "ISK", ""}, {100_255, "ISK", "1.00 ISK"},
		{1, "ZAR", ""}, {0, "ZAR", "0.01 ZAR"},
	} {
		err := events.ChargeLimits(nil).Check(events.Money{Amount: c.amount, Currency: c.currency})
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%d %s: got %v, want no error", c.amount, c.currency, err)
		case c.want != "" && (!errors.Is(err, events.ErrMoney) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%d %s: got %v, want ErrMoney with %s", c.amount, c.currency, err, c.want)
		}
	}
}

func TestChargeLimitsCanBeConfigured(t *testing.T) {
	t.Parallel()
	var c events.ChargeLimits
	if err := c.UnmarshalText([]byte("GBP=100, ISK=500/1")); err != nil {
		t.Fatal(err)
	}
	for currency, want := range map[string]events.ChargeLimit{"GBP": {100, 99_999_999, 1}, "ISK": {500, 99_999_999, 1}, "EUR": {50, 99_999_999, 1}} {
		if got := c.For(currency); got != want {
			t.Errorf("%s: got %+v, want %+v", currency, got, want)
		}
	}
	text, err := c.MarshalText()
	if err != nil || string(text) != "GBP=100/1,ISK=500/1" {
		t.Errorf("MarshalText: got %q, %v; want GBP=100/1,ISK=500/1", text, err)
	}
	for _, bad := range []string{"GBP", "gbp=30", "GBP=", "GBP=0", "GBP=30/0", "GBP=30/", "GBP=-3", "POUND=3", "GBP=123456789", "GBP=30;EUR=50"} {
		if err := c.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q: got no error, want one", bad)
		}
	}
}
