package failpoint_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/events/failpoint"
)

func TestParseReadsWhatStringFormats(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want failpoint.Trigger
	}{
		{"http.order_stored", failpoint.Trigger{Point: "http.order_stored", Pass: 1}},
		{"http.order_stored:3", failpoint.Trigger{Point: "http.order_stored", Pass: 3}},
		{"act.begun@payments.stripe", failpoint.Trigger{Point: "act.begun", Place: "payments.stripe", Pass: 1}},
		{"checkpoint.saved@orders:12", failpoint.Trigger{Point: "checkpoint.saved", Place: "orders", Pass: 12}},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			t.Parallel()
			got, err := failpoint.Parse(test.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("Parse (-want +got):\n%s", diff)
			}
			for _, stop := range []bool{false, true} {
				got.Stop = stop
				again, err := failpoint.ParseLine(got.String() + "\n")
				if err != nil || again != got {
					t.Errorf("ParseLine of %q: got %+v, %v; want %+v", got, again, err, got)
				}
			}
		})
	}
}

func TestBadTriggersAreRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want error
	}{
		{"", failpoint.ErrUnknownPoint},
		{"http.order_stord", failpoint.ErrUnknownPoint},
		{"decide", failpoint.ErrUnknownPoint},
		{"http.order_stored:0", failpoint.ErrBadTrigger},
		{"http.order_stored:twice", failpoint.ErrBadTrigger},
		{"http.order_stored@orders", failpoint.ErrBadTrigger},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			t.Parallel()
			if _, err := failpoint.Parse(test.text); !errors.Is(err, test.want) {
				t.Errorf("Parse: got %v, want %v", err, test.want)
			}
			if test.text == "" {
				return
			}
			if err := failpoint.Arm(failpoint.Config{Kill: test.text}); !errors.Is(err, test.want) {
				t.Errorf("Arm: got %v, want %v", err, test.want)
			}
		})
	}
	if _, err := failpoint.ParseLine("pause http.order_stored:1"); !errors.Is(err, failpoint.ErrBadTrigger) {
		t.Errorf("ParseLine: got %v, want ErrBadTrigger", err)
	}
}

func BenchmarkDisabled(b *testing.B) {
	for b.Loop() {
		failpoint.AtPlace("payments.stripe", "act.done")
	}
}
