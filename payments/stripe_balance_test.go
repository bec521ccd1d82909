package payments

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// Row 76 of the fault matrix: an entry that cannot be read does not hide the others, and is no error of the list.
func TestUnreadableBalanceTransactionsAreHandedOn(t *testing.T) {
	t.Parallel()
	stripe := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		_, _ = rw.Write([]byte(`{"object":"list","has_more":false,"data":[{"id":"txn_1","amount":1250,"currency":"gbp"},
			{"id":"txn_2","amount":"12.50"},{"id":"txn_3","amount":500,"currency":"gbp"}]}`))
	}))
	defer stripe.Close()
	got := map[string]bool{}
	err := testGateway(stripe.URL).ListBalance(t.Context(), BalanceQuery{Since: time.Now()}, func(b BalanceTransaction) error {
		got[b.ID] = b.Unreadable == nil
		return nil
	})
	if err != nil || len(got) != 3 || !got["txn_1"] || got["txn_2"] || !got["txn_3"] {
		t.Errorf("got entries %v (readable: true) and error %v, want three, the second unreadable", got, err)
	}
}
