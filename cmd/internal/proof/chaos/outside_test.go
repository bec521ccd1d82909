package chaos

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/proof/fleet"
	"tillstream/notifications/inbox"
	"tillstream/payments/sandbox"
)

const tries = 60 // each is affected with probability 1/2

func startStripe(t *testing.T) *fleet.Outside {
	t.Helper()
	stripe, err := fleet.StartOutside(fleet.OutsideConfig{Keys: fleet.NewSettings().Keys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stripe.Stop(); err != nil {
			t.Error(err)
		}
	})
	return stripe
}

// A fault of the webhooks goes on when one of Stripe ends.
func TestFaultsOfStripeEndAlone(t *testing.T) {
	t.Parallel()
	stripe, o := startStripe(t), &outside{}
	undo, err := o.begin(Fault{Kind: StripeBusy}, stripe)
	if err == nil {
		_, err = o.begin(Fault{Kind: WebhooksLost}, stripe)
	}
	if f := stripe.Faults(); err != nil || f.Requests.RateLimited != half || f.Webhooks.Drop != half {
		t.Fatalf("got faults %+v, %v; want both", f, err)
	}
	if err := undo(); err != nil {
		t.Fatal(err)
	}
	if f := stripe.Faults(); f.Requests.RateLimited != 0 || f.Webhooks.Drop != half {
		t.Errorf("got faults %+v, want that of the webhooks", f)
	}
}

// Each fault of Stripe and of its webhooks is one of the sandbox.
func TestStripeFaultsAreThoseOfTheSandbox(t *testing.T) {
	t.Parallel()
	stripe, o := startStripe(t), &outside{}
	for kind, want := range map[Kind]sandbox.Faults{
		StripeBroken:  {Requests: sandbox.RequestFaults{ServerError: half}},
		StripeKept:    {Requests: sandbox.RequestFaults{Stored500After: half}},
		StripeBusy:    {Requests: sandbox.RequestFaults{RateLimited: half}},
		StripeSilent:  {Requests: sandbox.RequestFaults{TimeoutAfter: half}},
		WebhooksLost:  {Webhooks: sandbox.WebhookFaults{Drop: half}},
		WebhooksTwice: {Webhooks: sandbox.WebhookFaults{Duplicate: half}},
		WebhooksLate:  {Webhooks: sandbox.WebhookFaults{Delay: half, DelayBy: sandbox.Duration(700 * time.Millisecond)}},
	} {
		undo, err := o.begin(Fault{Kind: kind, Amount: 700}, stripe)
		if err != nil {
			t.Fatal(err)
		}
		want.Requests.Hold, want.Webhooks.DelayBy = silence, stripe.Faults().Webhooks.DelayBy
		if kind == WebhooksLate {
			want.Webhooks.DelayBy = sandbox.Duration(700 * time.Millisecond)
		}
		if diff := cmp.Diff(want, stripe.Faults()); diff != "" {
			t.Errorf("%s: faults of the sandbox (-want +got):\n%s", kind, diff)
		}
		if err := undo(); err != nil {
			t.Fatal(err)
		}
		want = sandbox.Faults{Requests: sandbox.RequestFaults{Hold: silence}, Webhooks: sandbox.WebhookFaults{DelayBy: stripe.Faults().Webhooks.DelayBy}}
		if diff := cmp.Diff(want, stripe.Faults()); diff != "" {
			t.Errorf("after %s: faults of the sandbox (-want +got):\n%s", kind, diff)
		}
	}
}

func TestRefuseHalfRefusesSomeRecipientsAndNoStoredMail(t *testing.T) {
	t.Parallel()
	refused := 0
	for range tries {
		if refuseHalf(t.Context(), inbox.StageRcpt, "", "") != nil {
			refused++
		}
		if err := refuseHalf(t.Context(), inbox.StageStored, "", ""); err != nil {
			t.Errorf("stored mail: got %v, want no error", err)
		}
	}
	if refused == 0 || refused == tries {
		t.Errorf("got %d refusals of %d recipients, want some but not all", refused, tries)
	}
}
