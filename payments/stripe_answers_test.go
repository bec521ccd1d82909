package payments

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stripe/stripe-go/v76"
)

// codesOfSDK returns the constants of a type in the SDK's list of errors.
func codesOfSDK(t *testing.T, typeName string) (codes []stripe.ErrorCode) {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", "github.com/stripe/stripe-go/v76").Output()
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(dir)), "error.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); ok && name.Name == typeName && len(spec.Values) == 1 {
			literal, _ := spec.Values[0].(*ast.BasicLit)
			code, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			codes = append(codes, stripe.ErrorCode(code))
		}
		return false
	})
	if len(codes) == 0 {
		t.Fatalf("the SDK has no constants of the type %s", typeName)
	}
	return codes
}

// A new release of the SDK may have codes that no table lists. Then this test fails, and somebody decides what each of them is about.
func TestEveryCodeOfTheSDKIsInTheTables(t *testing.T) {
	t.Parallel()
	seen := map[stripe.ErrorCode]bool{}
	for class, codes := range codesOfAll {
		for _, code := range codes {
			if seen[code] {
				t.Errorf("%s is in two lists, of which one is %s", code, class)
			}
			seen[code] = true
		}
	}
	for _, code := range codesOfSDK(t, "ErrorCode") {
		for op, table := range answersTo {
			if _, listed := table.listed(code); !listed {
				t.Errorf("%s: %s is in no list", op, code)
			}
		}
	}
	for op, table := range answersTo {
		for _, code := range slices.Concat(table.payment, table.state, table.account) {
			if !seen[code] {
				t.Errorf("%s: its own table lists %s, which codesOfAll does not have", op, code)
			}
		}
		if table.declined == "" || table.unlisted == "" {
			t.Errorf("%s: got declined %q and unlisted %q, want both", op, table.declined, table.unlisted)
		}
	}
}

// Statuses of docs.stripe.com/api/errors and 408, which a proxy answers.
var errorStatuses = []int{400, 401, 402, 403, 404, 408, 409, 424, 429, 500, 502, 503, 504}

// errorTypes are those of the SDK and of docs.stripe.com/error-handling.
func errorTypes(t *testing.T) []stripe.ErrorType {
	t.Helper()
	types := []stripe.ErrorType{errorTypeAuthentication, errorTypeConnection, errorTypePermission, errorTypeRateLimit, "a_new_type", ""}
	for _, known := range codesOfSDK(t, "ErrorType") {
		types = append(types, stripe.ErrorType(known))
	}
	return types
}

// Every code, with every type and status, has one meaning for each operation, whatever combination a server sends.
//
// API10 of the OWASP API Top 10.
func TestEveryErrorShapeOfStripeHasAMeaning(t *testing.T) {
	t.Parallel()
	codes := []stripe.ErrorCode{"", "a_new_code"}
	for code := range classOf {
		codes = append(codes, code)
	}
	types := errorTypes(t)
	for op, table := range answersTo {
		for _, code := range codes {
			for _, kind := range types {
				for _, status := range errorStatuses {
					answer := &stripe.Error{HTTPStatusCode: status, Code: code, Type: kind, Msg: "message"}
					if problem := wrongMeaning(op, table, answer); problem != "" {
						t.Errorf("%s: HTTP %d %s %s: %s", op, status, kind, code, problem)
					}
				}
			}
		}
	}
}

// wrongMeaning returns which rule the meaning of an answer breaks; "" for none.
func wrongMeaning(op operation, table answers, answer *stripe.Error) string {
	got := gatewayError(answer, op)
	status := answer.HTTPStatusCode
	now := status >= 500 || slices.Contains([]int{408, 409, 424, 429}, status)
	ends := errors.Is(got, ErrDeclined) || errors.Is(got, ErrPermanent)
	asked := slices.Contains(table.payment, answer.Code) || slices.Contains(table.state, answer.Code)
	switch {
	case kinds[got.About] == nil:
		return "no meaning: " + string(got.About)
	case now && got.About != AboutNow:
		return "must be repeated, got " + string(got.About)
	case (status == 401 || status == 403) && (got.About != AboutAccount || !errors.Is(got, ErrAccount)):
		return "must be about the account, got " + string(got.About)
	case ends && slices.Contains([]operation{opSearchIntents, opListIntents, opListRefunds, opListEvents}, op):
		return "a refused look-up must not end a payment"
	case ends && (op == opRetrieveIntent || op == opRead) && !asked && status != 404:
		return "only a missing object is final for a look-up"
	case ends && op == opCreateIntent && !asked && !isCardError(answer) && classOf[answer.Code] != classBank:
		return "only a listed refusal and one by the bank fail a payment"
	case errors.Is(got, ErrOutcomeUnknown) && !errors.Is(got, ErrRetry):
		return "an unknown outcome must be retried"
	case status >= 500 && !errors.Is(got, ErrOutcomeUnknown):
		return "after a server error the outcome is unknown"
	case classOf[answer.Code] == classAccount && !now && answer.Type != stripe.ErrorTypeIdempotency && got.About != AboutAccount:
		return "must be about the account, got " + string(got.About)
	}
	return ""
}

// What happens after the answers that Stripe's documentation explains for these operations.
func TestDocumentedAnswersMeanWhatTheyShould(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		op     operation
		status int
		kind   stripe.ErrorType
		code   stripe.ErrorCode
		param  string
		want   About
	}{
		{opCreateIntent, 400, stripe.ErrorTypeInvalidRequest, stripe.ErrorCodeAmountTooSmall, "amount", AboutPayment},
		{opCreateIntent, 400, stripe.ErrorTypeInvalidRequest, stripe.ErrorCodeParameterUnknown, "capture", AboutRequest},
		{opCreateIntent, 400, stripe.ErrorTypeInvalidRequest, stripe.ErrorCodeParameterInvalidInteger, "amount", AboutRequest},
		{opCreateIntent, 400, stripe.ErrorTypeInvalidRequest, "", "currency", AboutRequest},
		{opCreateIntent, 400, stripe.ErrorTypeInvalidRequest, stripe.ErrorCodePaymentMethodUnactivated, "payment_method_types", AboutAccount},
		{opCreateIntent, 400, stripe.ErrorTypeInvalidRequest, stripe.ErrorCodeTestmodeChargesOnly, "", AboutAccount},
		{opCreateIntent, 400, stripe.ErrorTypeInvalidRequest, stripe.ErrorCodeTLSVersionUnsupported, "", AboutAccount},
		{opCreateIntent, 401, stripe.ErrorTypeInvalidRequest, stripe.ErrorCodeAPIKeyExpired, "", AboutAccount},
		{opCreateIntent, 403, stripe.ErrorTypeInvalidRequest, "", "", AboutAccount},
		{opCreateIntent, 429, stripe.ErrorTypeInvalidRequest, stripe.ErrorCodeRateLimit, "", AboutNow},
		{opCreateIntent, 429, stripe.ErrorTypeInvalidRequest, stripe.ErrorCodeLockTimeout, "", AboutNow},
		{opCreateIntent, 409, stripe.ErrorTypeIdempotency, stripe.ErrorCodeIdempotencyKeyInUse, "", AboutNow},
		{opCreateIntent, 400, stripe.ErrorTypeIdempotency, "", "", AboutKey},
		{opSearchIntents, 400, stripe.ErrorTypeInvalidRequest, "", "", AboutRequest},
		{opRetrieveIntent, 404, stripe.ErrorTypeInvalidRequest, stripe.ErrorCodeResourceMissing, "intent", AboutPayment},
		{opCapture, 400, stripe.ErrorTypeInvalidRequest, stripe.ErrorCodePaymentIntentUnexpectedState, "", AboutState},
		{opCapture, 400, stripe.ErrorTypeInvalidRequest, stripe.ErrorCodeChargeAlreadyCaptured, "", AboutState},
		{opCapture, 402, stripe.ErrorTypeCard, stripe.ErrorCodeCardDeclined, "", AboutState},
		{opCapture, 400, stripe.ErrorTypeInvalidRequest, "a_new_code", "", AboutState},
		{opCancel, 400, stripe.ErrorTypeInvalidRequest, stripe.ErrorCodePaymentIntentUnexpectedState, "", AboutState},
		{opCreateRefund, 400, stripe.ErrorTypeInvalidRequest, stripe.ErrorCodeChargeAlreadyRefunded, "", AboutPayment},
		{opCreateRefund, 400, stripe.ErrorTypeInvalidRequest, "", "amount", AboutPayment},
		{opCreateRefund, 400, stripe.ErrorTypeInvalidRequest, "a_new_code", "", AboutRequest},
		{opListRefunds, 404, stripe.ErrorTypeInvalidRequest, stripe.ErrorCodeResourceMissing, "payment_intent", AboutRequest},
		{opListEvents, 403, stripe.ErrorTypeInvalidRequest, "", "", AboutAccount},
		{opRead, 404, stripe.ErrorTypeInvalidRequest, "", "dispute", AboutPayment},
	} {
		answer := &stripe.Error{HTTPStatusCode: tc.status, Type: tc.kind, Code: tc.code, Param: tc.param}
		if got := gatewayError(answer, tc.op); got.About != tc.want {
			t.Errorf("%s: HTTP %d %s %s %s: got about %q, want %q", tc.op, tc.status, tc.kind, tc.code, tc.param, got.About, tc.want)
		}
	}
}
