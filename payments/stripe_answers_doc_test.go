package payments

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stripe/stripe-go/v76"
)

var update = flag.Bool("update", false, "write the tables of Stripe's answers into deploy/PAYMENTS.md")

// The lines of deploy/PAYMENTS.md between which the tables stand.
const (
	answersFile  = "../deploy/PAYMENTS.md"
	answersBegin = "<!-- Written by go test ./payments -run TestAnswersAreDocumented -update -->\n"
	answersEnd   = "<!-- End of the tables -->\n"
)

// meanings says what happens after an answer of each kind, in the order of the table.
var meanings = []struct {
	about About
	title string
	then  string
}{
	{AboutPayment, "the payment or refund", "it fails: `payments.failed` or `payments.refund_failed`; of a look-up: the object does not exist"},
	{AboutState, "the state of the intent", "Stripe is asked for the intent, and its state is recorded; if that explains nothing, the second such answer becomes a dead letter"},
	{AboutKey, "the idempotency key, used for another request", "the object is looked up; a capture or a cancellation is made without the key"},
	{AboutAccount, "the account or the key", "the circuit of the lane opens (*A circuit is open* in the runbook); no payment fails, all wait"},
	{AboutNow, "this moment", "repeated under the same key, after half a second to half a minute, without a limit"},
	{AboutRequest, "the request, or unknown to this release", "the second such answer becomes a dead letter; the payment waits for staff, who redrive it when the reason is gone. A search is replaced by a list"},
}

// answersDocument renders the tables of Stripe's answers.
func answersDocument() string {
	var doc strings.Builder
	doc.WriteString("| an answer about | what happens | for every request |\n|---|---|---|\n")
	common := map[About]string{
		AboutKey:     "type `idempotency_error`",
		AboutNow:     "HTTP 408, 409, 424, 429, 5xx, no answer, and every answer that is not of Stripe's form; " + codeList(nowCodes),
		AboutAccount: "HTTP 401 and 403; " + codeList(accountCodes),
		AboutRequest: codeList(requestCodes),
	}
	for _, m := range meanings {
		fmt.Fprintf(&doc, "| %s | %s | %s |\n", m.title, m.then, common[m.about])
	}
	doc.WriteString("\n| request | about the payment or refund | about the state | about the account | refusals by a bank | all other answers |\n|---|---|---|---|---|---|\n")
	var names []string
	for op := range answersTo {
		names = append(names, string(op))
	}
	slices.Sort(names)
	for _, name := range names {
		t := answersTo[operation(name)]
		payment := codeList(t.payment)
		for param := range t.params {
			payment += fmt.Sprintf(", an error of the parameter `%s` without a code", param)
		}
		fmt.Fprintf(&doc, "| %s | %s | %s | %s | %s | %s |\n", name, payment, codeList(t.state), codeList(t.account), titleOf(t.declined), titleOf(t.unlisted))
	}
	return doc.String()
}

func titleOf(about About) string {
	for _, m := range meanings {
		if m.about == about {
			return m.title
		}
	}
	return ""
}

func codeList(codes []stripe.ErrorCode) string {
	var quoted []string
	for _, code := range codes {
		quoted = append(quoted, "`"+string(code)+"`")
	}
	slices.Sort(quoted)
	return strings.Join(quoted, ", ")
}

// The tables in deploy/PAYMENTS.md are those by which the program acts.
func TestAnswersAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(answersFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), answersBegin)
	documented, after, ended := strings.Cut(rest, answersEnd)
	if !found || !ended {
		t.Fatalf("%s has no lines %q and %q", answersFile, answersBegin, answersEnd)
	}
	want := "\n" + answersDocument() + "\n"
	if documented == want {
		return
	}
	if !*update {
		t.Fatalf("%s has other tables than the program: run go test ./payments -run TestAnswersAreDocumented -update", answersFile)
	}
	if err := os.WriteFile(answersFile, []byte(before+answersBegin+want+answersEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
