package crash_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/events/crash"
)

func TestTrapsAreRead(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want crash.Trap
	}{
		{"http.order_stored", crash.Trap{Point: "http.order_stored", Pass: 1}},
		{"http.order_stored:3", crash.Trap{Point: "http.order_stored", Pass: 3}},
		{"decide.decided@orders-timers", crash.Trap{Point: "decide.decided", Place: "orders-timers", Pass: 1}},
		{"append.stored@ORDERS:12", crash.Trap{Point: "append.stored", Place: "ORDERS", Pass: 12}},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			t.Parallel()
			got, err := crash.Parse(test.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, stop := range []bool{false, true} {
				got.Stop = stop
				again, err := crash.ParseLine(got.String() + "\n")
				if err != nil || again != got {
					t.Errorf("%q is read as %+v, %v", got, again, err)
				}
			}
		})
	}
}

func TestMisspeltTrapsAreRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want error
	}{
		{"", crash.ErrUnknownPoint},
		{"http.order_stord", crash.ErrUnknownPoint},
		{"decide", crash.ErrUnknownPoint},
		{"http.order_stored:0", crash.ErrBadTrap},
		{"http.order_stored:twice", crash.ErrBadTrap},
		{"http.order_stored@ORDERS", crash.ErrBadTrap},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			t.Parallel()
			if _, err := crash.Parse(test.text); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if test.text == "" {
				return
			}
			if err := crash.Arm(crash.Traps{Kill: test.text}); !errors.Is(err, test.want) {
				t.Errorf("armed with %v, want %v", err, test.want)
			}
		})
	}
	if _, err := crash.ParseLine("hurt http.order_stored:1"); !errors.Is(err, crash.ErrBadTrap) {
		t.Errorf("got %v, want ErrBadTrap", err)
	}
}

func BenchmarkOff(b *testing.B) {
	for b.Loop() {
		crash.In("orders-timers", "decide.committed")
	}
}
