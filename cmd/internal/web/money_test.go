package web

import (
	"math"
	"testing"

	"tillstream/events"
)

func TestPriceFormatsMoney(t *testing.T) {
	for want, money := range map[string]events.Money{
		"£12.50":                      {Amount: 1250, Currency: "GBP"},
		"£0.05":                       {Amount: 5, Currency: "GBP"},
		"£0.00":                       {Amount: 0, Currency: "GBP"},
		"-£1.99":                      {Amount: -199, Currency: "GBP"},
		"€1,234,567.89":               {Amount: 123456789, Currency: "EUR"},
		"¥1,250":                      {Amount: 1250, Currency: "JPY"},
		"KWD\u00a01.250":              {Amount: 1250, Currency: "KWD"},
		"-£92,233,720,368,547,758.08": {Amount: math.MinInt64, Currency: "GBP"},
	} {
		if got := Price(money); got != want {
			t.Errorf("Price(%v) = %q, want %q", money, got, want)
		}
	}
}
