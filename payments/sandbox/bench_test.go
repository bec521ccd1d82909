package sandbox_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"tillstream/payments/sandbox"
)

// BenchmarkPurchase makes purchases (create, confirm, capture) through the handler with a journal on disk, after a number of
// earlier ones, and reports the memory per earlier purchase. The Restart benchmarks open the journal of all purchases.
func BenchmarkPurchase(b *testing.B) {
	for _, before := range []int{0, 100_000} {
		config := sandbox.Config{
			DataDir: b.TempDir(), SecretKey: secretKey, PublishableKey: publishableKey, WebhookSecret: webhookSecret,
		}
		server := open(b, config)
		empty := heapInUse()
		for i := range before {
			purchase(b, server, i)
		}
		grown := heapInUse() - empty
		var next atomic.Int64
		next.Store(int64(before))
		b.Run(fmt.Sprintf("After%d", before), func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					purchase(b, server, int(next.Add(1)))
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "purchases/s")
			b.ReportMetric(float64(grown)/float64(max(before, 1)), "heap-B/purchase-before")
		})
		if err := server.Close(); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("RestartAfter%d", before), func(b *testing.B) {
			for b.Loop() {
				if err := open(b, config).Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func open(b *testing.B, config sandbox.Config) *sandbox.Server {
	b.Helper()
	server, err := sandbox.New(config)
	if err != nil {
		b.Fatal(err)
	}
	return server
}

func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func purchase(b *testing.B, server http.Handler, n int) {
	order := fmt.Sprintf("order-%d", n)
	form := newIntentForm()
	form.Set("metadata[order_id]", order)
	created := post(b, server, "/v1/payment_intents", order+"/create/v1", form)
	id, _, _ := strings.Cut(strings.TrimPrefix(created, `{"id":"`), `"`)
	post(b, server, "/v1/payment_intents/"+id+"/confirm", order+"/confirm", url.Values{"payment_method": {"pm_card_visa"}})
	post(b, server, "/v1/payment_intents/"+id+"/capture", order+"/capture/v1", nil)
}

func post(b *testing.B, server http.Handler, path, key string, form url.Values) string {
	request := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Authorization", "Bearer "+secretKey)
	request.Header.Set("Idempotency-Key", key)
	recorder := httptest.NewRecorder()
	server.ServeHTTP(recorder, request)
	body, err := io.ReadAll(recorder.Body)
	if err != nil || recorder.Code != http.StatusOK {
		b.Fatalf("POST %s: %d %s %v", path, recorder.Code, body, err)
	}
	return string(body)
}
