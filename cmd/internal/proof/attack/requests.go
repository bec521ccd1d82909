package attack

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// sendBrokenJSON sends orders that no shop may accept: broken, deep, ambiguous, with what only the shop decides, or with
// quantities that are none.
func sendBrokenJSON(ctx context.Context, a *attacker) {
	good := string(placement("broken@example.org", "A Stranger", line{one(a, a.config.SKUs...), 1}))
	with := func(field string) string { return good[:len(good)-1] + "," + field + "}" }
	body := one(a,
		good[:a.random.IntN(len(good)-1)],
		strings.Repeat("[", 20_000), strings.Repeat(`{"lines":`, 5_000), "[]", "null", `"order"`, "", "\xff\xfe", good+good,
		with(`"email":"other@example.org"`), with(`"Email":"other@example.org"`), with(`"lines":[]`),
		with(`"status":"confirmed"`), with(`"price":{"amount":1,"currency":"GBP"}`), with(`"total":0`), with(`"payment_status":"paid"`),
		with(`"id":"`+a.uuid()+`"`), with(`"access_token":"`+a.text(43, base64URL)+`"`), with(`"$where":"1"`), with(`"__proto__":{}`),
		strings.Replace(good, `"quantity":1`, `"quantity":`+one(a, "-1", "0", "1e400", "0.5", "99999999999999999999", "null", `"1"`, "NaN", "true"), 1),
		strings.Replace(good, "broken@example.org", one(a, "x", `a@b\r\nBcc: c@d`, "@", strings.Repeat("a", 300)+"@example.org"), 1),
		strings.Replace(good, `"sku":"`, `"sku":"`+one(a, "*", ">", "no-such-", `\u0000`, "../"), 1))
	a.send(a.request(ctx, http.MethodPost, "/api/orders", []byte(body)), nil)
}

// sendWrongType sends a good order with the content types that pages of other sites can send.
func sendWrongType(ctx context.Context, a *attacker) {
	r := a.request(ctx, http.MethodPost, one(a, "/api/orders", "/webhooks/stripe"), placement("forged@example.org", "A Stranger", line{one(a, a.config.SKUs...), 1}))
	r.Header.Set("Origin", "https://evil.example")
	r.Header.Del("Content-Type")
	if kind := one(a, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain+json", "application/xml"); kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	a.send(r, nil)
}

// guess tries ids and tokens on the routes of orders and of staff.
func guess(ctx context.Context, a *attacker) {
	id := one(a, a.uuid(), a.text(22, base64URL), "1", "..", "*", "orders.>", "%00")
	route := one(a, "GET /api/orders/ID", "GET /api/orders/ID/payment", "GET /api/orders/ID/events", "POST /api/orders/ID/cancel",
		"GET /ops/api/orders", "GET /ops/api/notifications/ID", "GET /ops/api/stock/"+a.config.SKUs[0], "POST /ops/api/stock/"+a.config.SKUs[0]+"/adjustments",
		"PUT /ops/api/items/"+a.config.SKUs[0])
	method, path, _ := strings.Cut(strings.Replace(route, "ID", id, 1), " ")
	var body []byte
	if method != http.MethodGet {
		body = []byte(`{"delta":1000,"reason":"found"}`)
	}
	r := a.request(ctx, method, path, body)
	if token := one(a, "", a.text(43, base64URL), "ops_"+a.text(26, base64URL), "null", "eyJhbGciOiJub25lIn0.eyJyb2xlIjoib3BzIn0."); token != "" {
		r.Header.Set("Authorization", one(a, "Bearer ", "bearer  ", "Basic ")+token)
	}
	a.send(r, nil)
}

// sendOversized sends bodies, headers and addresses that are too large.
func sendOversized(ctx context.Context, a *attacker) {
	large := bytes.Repeat([]byte(" "), one(a, 70<<10, 300<<10, 1<<20))
	r := a.request(ctx, http.MethodPost, one(a, "/api/orders", "/webhooks/stripe"), large)
	switch a.random.IntN(4) {
	case 0: // without Content-Length
		r.ContentLength, r.Body = -1, io.NopCloser(bytes.NewReader(large))
	case 1:
		r = a.request(ctx, http.MethodGet, "/api/orders/"+a.uuid(), nil)
		r.Header.Set("Authorization", "Bearer "+strings.Repeat("a", 64<<10))
	case 2:
		r = a.request(ctx, http.MethodGet, "/api/items?q="+strings.Repeat("a", 8<<10), nil)
	}
	a.send(r, nil)
}

// forgeWebhook tells the shop that an order is paid. It has no secret of Stripe.
func forgeWebhook(ctx context.Context, a *attacker) {
	event := fmt.Sprintf(`{"id":"evt_%s","object":"event","api_version":"2023-10-16","created":%d,"account":"acct_%s","livemode":%t,`+
		`"type":"payment_intent.amount_capturable_updated","data":{"object":{"id":"pi_%s","object":"payment_intent","status":"requires_capture",`+
		`"amount":1250,"amount_capturable":1250,"currency":"gbp","metadata":{"order_id":"%s","payment_id":"%s"}}}}`,
		a.text(14, hexDigits), time.Now().Unix(), a.text(8, hexDigits), a.random.IntN(2) == 0, a.text(14, hexDigits), a.uuid(), a.uuid())
	signed := time.Now().Add(one(a, 0, -24*time.Hour, 24*time.Hour))
	mac := hmac.New(sha256.New, []byte(one(a, "", "whsec_", "whsec_"+a.text(32, base64URL))))
	fmt.Fprintf(mac, "%d.%s", signed.Unix(), event)
	r := a.request(ctx, http.MethodPost, "/webhooks/stripe", []byte(event))
	switch a.random.IntN(4) {
	case 0: // unsigned
	case 1:
		r.Header.Set("Stripe-Signature", one(a, "t=,v1=", "v1=00", "t=1e9,v1=", "t=-1,v1=00", strings.Repeat("v1=00,", 500)))
	default:
		r.Header.Set("Stripe-Signature", fmt.Sprintf("t=%d,v1=%s", signed.Unix(), hex.EncodeToString(mac.Sum(nil))))
	}
	a.send(r, nil)
}
