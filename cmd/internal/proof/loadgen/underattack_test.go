package loadgen_test

import (
	"net/http"
	"strings"
	"testing"

	"tillstream/cmd/internal/proof/attack"
	"tillstream/cmd/internal/proof/loadgen"
)

func TestShoppersUnderAttackAreCompared(t *testing.T) {
	t.Parallel()
	report := func(orders int, p99 float64, errors map[loadgen.Kind]int) loadgen.Report {
		return loadgen.Report{Orders: orders, PlaceMS: loadgen.Percentiles{P99: p99}, ConfirmMS: loadgen.Percentiles{P99: 2 * p99}, Errors: errors}
	}
	before := report(1000, 200, nil)
	for name, c := range map[string]struct {
		during  loadgen.Report
		attacks attack.Report
		want    string // part of the only broken promise; empty: none
	}{
		"AsBefore":        {report(1000, 210, nil), nil, ""},
		"OneOfAThousand":  {report(999, 500, map[loadgen.Kind]int{"place_5xx": 1}), nil, ""},
		"TwoOfAThousand":  {report(998, 210, map[loadgen.Kind]int{"place_5xx": 2}), nil, "99.80 % of the shoppers could buy"},
		"NothingLeft":     {report(900, 210, map[loadgen.Kind]int{loadgen.OutOfStock: 100}), nil, "90.00 %"},
		"NobodyBought":    {report(0, 0, nil), nil, "0.00 %"},
		"SlowToConfirm":   {loadgen.Report{Orders: 1000, ConfirmMS: loadgen.Percentiles{P99: 1300}}, nil, "placed to confirmed: p99 was 1300.0 ms, want at most 1200.0 ms"},
		"StrangerGotOne":  {report(1000, 210, nil), attack.Report{{Attack: "guesses", Broken: []string{"answered 200"}}}, "guesses: answered 200"},
		"StrangerGotNone": {report(1000, 210, nil), attack.Report{{Attack: "guesses", Answers: map[string]int{"404": 7}}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := loadgen.NewUnderAttack(before, c.during, c.attacks, 3)
			if broken := strings.Join(u.Broken, "\n"); !strings.Contains(broken, c.want) || (c.want == "") != (broken == "") || len(u.Broken) > 1 {
				t.Errorf("got broken promises %q, want one with %q", u.Broken, c.want)
			}
			c.during.UnderAttack = u
			var text strings.Builder
			if err := c.during.WriteText(&text); err != nil || !strings.Contains(text.String(), "under attack") || !strings.Contains(text.String(), "BROKEN "+c.want) == (c.want != "") {
				t.Errorf("got report %v:\n%s", err, text.String())
			}
		})
	}
}

// A shop with too many open streams refuses one more. The shopper polls, as the shop's page does.
func TestRefusedStreamIsReplacedByPolls(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		shop := newFakeShop(t)
		shop.intercept = func(w http.ResponseWriter, r *http.Request) bool {
			refused := strings.HasSuffix(r.URL.Path, "/events")
			if refused {
				problem(w, status, "too many streams")
			}
			return refused
		}
		if p := shop.buyer(t, false).Buy(t.Context(), basket); p.Err != nil || shop.requests("GET /api/orders/order-run-1") == 0 {
			t.Errorf("%d: got %v after %d polls, want a confirmed order", status, p.Err, shop.requests("GET /api/orders/order-run-1"))
		}
	}
}
