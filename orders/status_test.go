package orders

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// What the API says it may be asked for, and may answer, is what an order can be.
func TestTheAPINamesEveryStatus(t *testing.T) {
	t.Parallel()
	for _, body := range []any{listInput{}, OrderBody{}} {
		field, found := reflect.TypeOf(body).FieldByName("Status")
		if !found {
			t.Fatalf("%T has no status", body)
		}
		var named []Status
		for _, name := range strings.Split(field.Tag.Get("enum"), ",") {
			named = append(named, Status(name))
		}
		slices.Sort(named)
		if want := Statuses(); !slices.Equal(named, want) {
			t.Errorf("%T: %v, want %v", body, named, want)
		}
	}
}
