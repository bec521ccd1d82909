package notifications

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
)

var update = flag.Bool("update", false, "rewrite the golden mails")

func testRenderer(t testing.TB) *renderer {
	t.Helper()
	r, err := newRenderer("The Lantern Shop", time.UTC, func(id string) string { return "https://shop.example/orders/" + id + "#token=tok_en-1" },
		func(id string) string { return "https://ops.example/ops/orders/" + id })
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// renderOutcome renders the mail about an outcome of an order, for a customer with a locale and a name.
func renderOutcome(t testing.TB, r *renderer, o Outcome, placed events.OrderPlaced, locale, name string) (Mail, error) {
	t.Helper()
	placed.Customer.Locale, placed.Customer.Name = locale, name
	return r.render(queue(t, Notification{}, o, "e1")[0].(events.MessageQueued), placed)
}

// outcomesByName returns every outcome that has a wording of its own.
func outcomesByName() map[string]Outcome {
	base := sampleOutcome("o1")
	rejected := func(reason string, short ...events.Shortage) Outcome {
		return Rejected(events.OrderRejected{OrderOutcome: base, Reason: reason, Short: short}, noon)
	}
	cancelled := func(reason, actor string) Outcome {
		return Cancelled(events.OrderCancelled{OrderOutcome: base, Reason: reason}, actor, noon)
	}
	return map[string]Outcome{
		"confirmed": Confirmed(confirmed("o1"), noon), "confirmed_taxed": Confirmed(confirmed("o1"), noon),
		"rejected_out_of_stock": rejected(events.RejectedNoStock, events.Shortage{SKU: "85123A", Requested: 2, Available: 1}, events.Shortage{SKU: "71053", Requested: 1}),
		"rejected_paid_late":    rejected(events.RejectedPaidLate), "rejected_payment": rejected(events.RejectedPaymentFailed),
		"expired":           Expired(events.OrderExpired{OrderOutcome: base}, noon),
		"cancelled_shopper": cancelled(events.CancelRequested, events.ActorGuest), "cancelled_staff": cancelled(events.CancelRequested, "key:ops"),
		"cancelled_bank":       cancelled(events.CancelDeclinedTooOften, events.ActorSystem),
		"cancelled_stripe":     cancelled(events.CancelPaymentCancelled, events.ActorSystem),
		"cancelled_authorized": Cancelled(events.OrderCancelled{OrderOutcome: base, Reason: events.CancelRequested, Restock: []events.ReservedLine{{SKU: "71053", Quantity: 1}}}, "key:ops", noon),
		"cancelled_expiry":     cancelled(events.CancelAuthorizationExpired, events.ActorSystem),
		"confirmed_authorized": Confirmed(events.OrderConfirmed{OrderOutcome: base, Authorized: true}, noon),
		"shortened": Shortened(events.OrderAuthorizationLost{OrderOutcome: base, Lines: []events.ReservedLine{{SKU: "85123A", Quantity: 1}, {SKU: "71053", Quantity: 2}},
			Released: events.Money{Amount: 1055, Currency: "GBP"}}, noon),
		"refunded": Refunded(refunded("o1", "r1"), noon),
	}
}

func TestMailsEqualTheirGoldenFiles(t *testing.T) {
	t.Parallel()
	r := testRenderer(t)
	for name, outcome := range outcomesByName() {
		placed := samplePlaced("o1")
		if strings.HasSuffix(name, "_taxed") {
			placed.Tax = events.Money{Amount: 2_000, Currency: "GBP"}
		}
		for _, locale := range []string{"en-GB", "de-AT"} {
			golden := name + "." + locale[:2]
			t.Run(golden, func(t *testing.T) {
				t.Parallel()
				mail, err := renderOutcome(t, r, outcome, placed, locale, "Ada Lovelace")
				if err != nil {
					t.Fatal(err)
				}
				compare(t, golden+".txt", "Subject: "+mail.Subject+"\n\n"+mail.Text)
				compare(t, golden+".html", mail.HTML)
				if mail.Language != locale[:2] || mail.MessageID == "" {
					t.Errorf("got language %q, message id %q; want %s and an id", mail.Language, mail.MessageID, locale[:2])
				}
			})
		}
	}
}

// Mails to staff are in English whatever the customer speaks.
func TestStaffMailsEqualTheirGoldenFiles(t *testing.T) {
	t.Parallel()
	r := testRenderer(t)
	for _, status := range []string{events.DisputeWarningNeedsResponse, events.DisputeWarningUnderReview, events.DisputeNeedsResponse, events.DisputeUnderReview} {
		opened := events.OrderDisputed{OrderOutcome: sampleOutcome("o1"), Dispute: "dp_1", Status: status, Reason: "fraudulent",
			Amount: events.Money{Amount: 1250, Currency: "GBP"}, EvidenceDue: noon.Add(7 * 24 * time.Hour)}
		compareStaffMail(t, r, status, Disputed(opened, noon))
	}
	for _, status := range []string{events.DisputeWon, events.DisputeLost, events.DisputeWarningClosed} {
		closed := events.OrderDisputeClosed{OrderOutcome: sampleOutcome("o1"), Dispute: "dp_1", Status: status, Amount: events.Money{Amount: 1250, Currency: "GBP"}}
		compareStaffMail(t, r, status, DisputeClosed(closed, noon))
	}
}

func compareStaffMail(t *testing.T, r *renderer, status string, o Outcome) {
	t.Helper()
	mail, err := renderOutcome(t, r, o, samplePlaced("o1"), "de-AT", "Ada Lovelace")
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "staff_dispute_"+status+".en.txt", "Subject: "+mail.Subject+"\n\n"+mail.Text)
}

func compare(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; check the mail, then run with -update", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// Texts of a shopper stay text in HTML, in the subject and in the greeting.
func TestMailsEscapeWhatShoppersWrite(t *testing.T) {
	t.Parallel()
	r := testRenderer(t)
	for _, evil := range []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, "Ada\r\nBcc: victim@example.com", "{{.URL}}", "Visit https://evil.example now",
		"\u202eAda", strings.Repeat("A", 5000),
	} {
		for name, outcome := range outcomesByName() {
			outcome.Facts.Number = evil
			placed := samplePlaced("o1")
			placed.Lines[0].Title = evil
			mail, err := renderOutcome(t, r, outcome, placed, "en", evil)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(mail.HTML, "<script") || strings.Contains(mail.HTML, "<img") {
				t.Errorf("%s: got the markup of %q in the HTML, want it escaped", name, evil)
			}
			if strings.ContainsAny(mail.Subject, "\r\n\u202e") {
				t.Errorf("%s: got subject %q, want no control characters", name, mail.Subject)
			}
			if greeting, _, _ := strings.Cut(mail.Text, "\n"); strings.Contains(greeting, "evil.example") || len(greeting) > 100 {
				t.Errorf("%s: got greeting %q, want it without the name", name, greeting)
			}
		}
	}
}

func TestRenderRefusesUnknownTemplatesAndUnreadableFacts(t *testing.T) {
	t.Parallel()
	r := testRenderer(t)
	m := queue(t, Notification{}, Confirmed(confirmed("o1"), noon), "e1")[0].(events.MessageQueued)
	unknown, unreadable := m, m
	unknown.Template = "order_teleported"
	unreadable.Facts = []byte(`{"number":7}`)
	for name, bad := range map[string]events.MessageQueued{"UnknownTemplate": unknown, "UnreadableFacts": unreadable} {
		if _, err := r.render(bad, samplePlaced("o1")); !errors.Is(err, ErrTemplate) {
			t.Errorf("%s: got %v, want ErrTemplate", name, err)
		}
	}
}

func TestLocaleSelectsTheLanguage(t *testing.T) {
	t.Parallel()
	for locale, want := range map[string]string{
		"en": "en", "en-GB": "en", "de": "de", "de-AT": "de", "de-CH": "de", "DE_de": "de", "gsw": "de",
		"fr": "en", "": "en", "not a locale": "en", "x-klingon": "en", strings.Repeat("de-", 5000): "en",
	} {
		if got := localeFor(locale).tag.String(); got != want {
			t.Errorf("%.20q: got %s, want %s", locale, got, want)
		}
	}
}

func TestAmountsAndQuantitiesAreThoseOfTheCustomersCountry(t *testing.T) {
	t.Parallel()
	euros, krona := events.Money{Amount: 123450, Currency: "EUR"}, events.Money{Amount: 125000, Currency: "ISK"}
	for locale, want := range map[string][3]string{
		"en": {"€1,234.50", "ISK_1,250", "1,000,000"}, "en-GB": {"€1,234.50", "ISK_1,250", "1,000,000"}, "en-IN": {"€1,234.50", "ISK_1,250", "10,00,000"},
		"de": {"1.234,50_€", "1.250_ISK", "1.000.000"}, "de-AT": {"€_1.234,50", "ISK_1.250", "1_000_000"}, "de-CH": {"€_1’234.50", "ISK_1’250", "1’000’000"},
		"de-DE-u-nu-arab": {"1.234,50_€", "1.250_ISK", "1.000.000"}, "en-u-nu-beng": {"€1,234.50", "ISK_1,250", "1,000,000"},
		"gsw": {"1.234,50_€", "1.250_ISK", "1.000.000"},                                                                                               // read in German
		"fr":  {"€1,234.50", "ISK_1,250", "1,000,000"}, "ar-EG": {"€1,234.50", "ISK_1,250", "1,000,000"}, "": {"€1,234.50", "ISK_1,250", "1,000,000"}, // read in English
	} {
		l := localeFor(locale)
		for i, got := range []string{l.amount(euros), l.amount(krona), l.count(1_000_000)} {
			if want := strings.ReplaceAll(want[i], "_", "\u00a0"); got != want {
				t.Errorf("%q: got %+q, want %+q", locale, got, want)
			}
		}
	}
}

// The spaces of an amount do not break, in both parts of a mail. In a subject they are plain spaces.
func TestAmountsStayTogetherInMails(t *testing.T) {
	t.Parallel()
	refund := Refunded(events.OrderRefunded{OrderOutcome: sampleOutcome("o1"), RefundID: "r1", Amount: events.Money{Amount: 123450, Currency: "EUR"}}, noon)
	mail, err := renderOutcome(t, testRenderer(t), refund, samplePlaced("o1"), "de-AT", "Ada")
	if err != nil {
		t.Fatal(err)
	}
	const amount = "€\u00a01.234,50"
	if !strings.Contains(mail.Text, amount) || !strings.Contains(mail.HTML, amount) || !strings.Contains(mail.Subject, "€ 1.234,50") {
		t.Errorf("want %+q in\n%+q\n%+q\n%+q", amount, mail.Subject, mail.Text, mail.HTML)
	}
}

func TestQuantitiesAreNotNegative(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{-1: "0", 0: "0", 999: "999"} {
		if got := localeFor("en").count(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}

func TestDatesAndCountriesAreInBothLanguages(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	en, de := localeFor("en"), localeFor("de")
	got := []string{en.day(at), de.day(at), en.country("DE"), de.country("DE"), de.country("GB"), en.country("??")}
	want := []string{"1 March 2026", "1. März 2026", "Germany", "Deutschland", "Vereinigtes Königreich", "??"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Row 72 of the fault matrix: a name that shows nothing, shows another text, or looks like a link is in no part of a mail. An older
// release accepted such names.
func TestNamesThatAreNoNamesAreLeftOut(t *testing.T) {
	t.Parallel()
	r := testRenderer(t)
	for _, name := range []string{"", "\u200b\u2060", "\u3164", "\u2800\u2800", "Ada\u202eecalevoL", "Ada\u00ad\u200bLovelace", "win-big.example",
		"Visit www.evil.example", "https://evil.example/x", "evil.example/a", strings.Repeat("A", 200)} {
		for locale, want := range map[string]string{"en": "Hello,\n", "de": "Guten Tag,\n"} {
			placed := samplePlaced("o1")
			mail, err := renderOutcome(t, r, Confirmed(confirmed("o1"), noon), placed, locale, name)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(mail.Text, want) || name != "" && (strings.Contains(mail.Text, name) || strings.Contains(mail.HTML, name)) {
				t.Errorf("name %q: want the greeting %q and no name in\n%s", name, want, mail.Text)
			}
		}
		if got := personName(name); got != "" {
			t.Errorf("name %q in the header To: got %q, want none", name, got)
		}
	}
	for _, name := range []string{"Ada Lovelace", "José Núñez", "Dr. A. O'Brien-Smith", "王小明", "فاطمة", "J.R.R. Tolkien"} {
		if got := personName(name); got != name {
			t.Errorf("name %q: got %q, want it unchanged", name, got)
		}
	}
}

// A line of an address that is a link or shows nothing is left out. The dot of a place is no link.
func TestLinesOfAnAddressThatAreLinksAreLeftOut(t *testing.T) {
	t.Parallel()
	a := events.Address{Line1: "Win at https://evil.example", Line2: "\u200b", City: "St.Gallen", PostalCode: "9000", Country: "CH"}
	got := address(&locales[0], personName("www.evil.example"), a)
	if diff := cmp.Diff([]string{"9000 St.Gallen", "Switzerland"}, got); diff != "" {
		t.Errorf("address (-want +got):\n%s", diff)
	}
}
