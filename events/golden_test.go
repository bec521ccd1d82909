package events_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"tillstream/events"
)

// update writes missing golden samples. It never rewrites an existing one: logs in production have such events, and a change
// that cannot read them needs a new version and an upcaster.
var update = flag.Bool("update", false, "write missing golden samples")

var goldenName = regexp.MustCompile(`^([a-z_.]+)\.v(\d+)\.json$`)

func goldenPath(eventType string, version int) string {
	return filepath.Join("testdata", fmt.Sprintf("%s.v%d.json", eventType, version))
}

// shopDefinitions are the definitions without those that these tests add.
func shopDefinitions() []events.Definition {
	return slices.DeleteFunc(events.Definitions(), func(d events.Definition) bool { return strings.HasPrefix(d.Type, "test.") })
}

// It is not parallel, because with -update it writes the files that the next test reads.
func TestEveryEventHasAGoldenSample(t *testing.T) {
	for _, def := range shopDefinitions() {
		for version := 1; version <= def.Version; version++ {
			path := goldenPath(def.Type, version)
			_, err := os.Stat(path)
			if errors.Is(err, fs.ErrNotExist) && *update && version == def.Version {
				err = os.WriteFile(path, sampleOf(t, def), 0o644)
			}
			if err != nil {
				t.Errorf("%s version %d: %v; run the test with -update once and never change the file", def.Type, version, err)
			}
		}
	}
}

// sampleOf returns the JSON of an event in which every field has a value.
func sampleOf(t *testing.T, def events.Definition) []byte {
	t.Helper()
	value := reflect.New(reflect.TypeOf(def.Zero)).Elem()
	sampler(def.Type).fill(value, "")
	data := jsontext.Value(encode(t, events.Event{Payload: value.Interface().(events.Payload)}).Data)
	if err := data.Indent(jsontext.WithIndent("  ")); err != nil {
		t.Fatal(err)
	}
	return append(data, '\n')
}

// Logs in production have events like the golden samples: each must decode, and the newest version must encode to the same
// bytes.
func TestGoldenSamplesSurviveARoundTrip(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < len(shopDefinitions()) {
		t.Errorf("got %d golden samples, want at least %d", len(files), len(shopDefinitions()))
	}
	for _, file := range files {
		t.Run(file.Name(), func(t *testing.T) {
			t.Parallel()
			roundTrip(t, file.Name())
		})
	}
}

func roundTrip(t *testing.T, name string) {
	t.Helper()
	parts := goldenName.FindStringSubmatch(name)
	if parts == nil {
		t.Fatalf("got file name %q, want <type>.v<version>.json", name)
	}
	version, err := strconv.Atoi(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	golden, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	payload, err := events.DecodePayload(parts[1], version, golden)
	if err != nil {
		t.Fatalf("got %v: events in production logs can no longer be read", err)
	}
	if payload.EventType() != parts[1] {
		t.Errorf("got type %s, want %s", payload.EventType(), parts[1])
	}
	if version == newest(t, parts[1]) {
		got := jsontext.Value(encode(t, events.Event{Payload: payload}).Data)
		want := jsontext.Value(bytes.Clone(golden))
		if err := errors.Join(got.Compact(), want.Compact()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("a field was renamed, removed or changed without a new version (-want +got):\n%s", diff)
		}
	}
}

func newest(t *testing.T, eventType string) int {
	t.Helper()
	all := shopDefinitions()
	i := slices.IndexFunc(all, func(d events.Definition) bool { return d.Type == eventType })
	if i < 0 {
		t.Fatalf("got no definition of %s, want one: production logs have such events", eventType)
	}
	return all[i].Version
}

// samples are realistic texts of fields, by JSON name, or by event type and JSON name.
var samples = map[string]string{
	"order_id": "0197e3a0-5c3b-7d1e-9a55-2f1c8f6f2b10", "number": "8F3K2-MQD7A", "email": "ada@example.com", "name": "Ada Lovelace",
	"locale": "en-GB", "line1": "12 St James's Square", "line2": "Second floor", "city": "London", "postal_code": "SW1Y 4JH", "country": "GB",
	"sku": "85123A", "location": "main", "title": "White hanging heart T-light holder", "currency": "GBP", "fact": "0197e3a0-7d10-7c44-8b0e-6a4f0c9d1e22", "error": "550 5.1.1 no such mailbox",
	"reason": "received", "orders.rejected reason": "out_of_stock", "payments.cancel_requested reason": "expired", "payments.cancelled reason": "abandoned",
	"payments.refund_requested reason": "order_cancelled", "payments.refund_failed reason": "expired_or_canceled_card", "orders.cancelled reason": "requested", "payment_id": "5b0f0f0e-6a0c-5f6e-9d53-3c2c8d1e9a41", "customer_id": "0197e3a0-11aa-7d1e-8a55-0c1c8f6f2b77", "ops.redelivery_requested reason": "mended in 1.4.2", "worker.discarded reason": "refunded by hand",
	"payment_intent": "pi_3PqZ0a2eZvKYlo2C1", "charge": "ch_3PqZ0a2eZvKYlo2C1", "refund_id": "0197e3a0-5c3b-7d1e-9a55-2f1c8f6f2b10-void",
	"stripe_refund": "re_3PqZ0a2eZvKYlo2C1", "stripe_event": "evt_1PqZ0a2eZvKYlo2C", "stripe_type": "payment_intent.succeeded",
	"api_version": "2023-10-16", "via": "webhook", "to": "ada@example.com", "template": "order_confirmed", "worker": "orders-payments",
	"message_id": "0197e3a0-5c3b-7d1e-9a55-2f1c8f6f2b10.order_confirmed@example.com", "subject": "payments.webhooks", "lane": "orders-payments",
	"code": "card_declined", "payments.failed code": "amount_too_small", "payments.failed message": "Amount must be at least 30 pence.", "decline_code": "insufficient_funds", "message": "Your card has insufficient funds.", "image": "/images/85123A.svg",
	"ops.staff_added name": "mira", "ops.staff_link_made name": "mira", "ops.staff_joined name": "mira", "ops.staff_password_changed name": "mira", "ops.staff_totp_set name": "mira",
	"ops.staff_totp_removed name": "mira", "ops.staff_role_changed name": "mira", "ops.staff_removed name": "mira", "ops.staff_signed_in name": "mira", "ops.staff_signed_out name": "mira",
	"ops.admins_changed name": "mira", "ops.key_made name": "backup", "ops.key_revoked name": "backup", "display_name": "Mira Novak", "role": "operator", "before": "viewer", "permission": "read",
	"sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "password": "1.tN3wFw0p.c2VhbGVkIGhhc2g", "secret": "1.tN3wFw0p.c2VhbGVkIHNlY3JldA", "session": "0197e3a0-7d10-7c44-8b0e-6a4f0c9d1e22",
	"user_agent":  "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
	"description": "Cream metal lantern for one tea light.", "tag": "candles", "order": "0197e3a0-5c3b-7d1e-9a55-2f1c8f6f2b10",
	"request_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "fingerprint": "3b1f9c07aa52", "type": "payments.webhook_received", "event_id": "0197e3a0-7d10-7c44-8b0e-6a4f0c9d1e22",
}

// sampler fills the fields of an event type.
type sampler string

// fill sets every field to a value that is not its zero value.
func (s sampler) fill(v reflect.Value, name string) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Date(2026, 11, 21, 9, 30, 0, 123456000, time.UTC)))
		return
	case jsontext.Value:
		v.Set(reflect.ValueOf(jsontext.Value(`{"id":"` + name + `","amount":1250}`)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			tag, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			s.fill(v.Field(i), tag)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		s.fill(v.Index(0), strings.TrimSuffix(name, "s"))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		s.fill(v.Elem(), name)
	case reflect.String:
		v.SetString(s.text(name))
	case reflect.Int, reflect.Int64:
		v.SetInt(2)
		if name == "amount" {
			v.SetInt(1250)
		}
	case reflect.Uint64:
		v.SetUint(42)
	case reflect.Bool:
		v.SetBool(true)
	default:
		panic(fmt.Sprintf("field %s: no sample for a %s", name, v.Type()))
	}
}

func (s sampler) text(name string) string {
	if text, ok := samples[string(s)+" "+name]; ok {
		return text
	}
	if text, ok := samples[name]; ok {
		return text
	}
	return "some " + strings.ReplaceAll(name, "_", " ")
}
