package attack

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// raw sends bytes on a connection of its own and reads the answer.
func (a *attacker) raw(ctx context.Context, what, text string) {
	conn, err := a.dial(ctx)
	if err != nil {
		a.result.unanswered(ctx, err)
		return
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })() // ends the wait for an answer
	if _, err := io.WriteString(conn, text); err != nil {
		a.result.unanswered(ctx, err)
		return
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		a.result.unanswered(ctx, err)
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		a.result.unanswered(ctx, err)
		return
	}
	a.result.answered(what, response.StatusCode, response.Header)
	if location := response.Header.Get("Location"); strings.Contains(location+string(body), evilHost) && response.StatusCode < http.StatusBadRequest {
		a.result.breaks("%s: the answer contains the host that the request made up", what)
	}
}

func (a *attacker) dial(ctx context.Context) (net.Conn, error) {
	u, err := url.Parse(a.config.Storefront)
	if err != nil {
		return nil, fmt.Errorf("address of the storefront: %w", err)
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	}
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(time.Now().Add(patience))
}

// host is the Host header of the shop.
func (a *attacker) host() string {
	_, host, _ := strings.Cut(a.config.Storefront, "://")
	return host
}

// evilHost is a host that must not appear in an answer of the shop, where a mail or a cache would spread it.
const evilHost = "evil.example"

// sendHeaderTrick sends requests that proxies and servers read differently, or that name another host.
func sendHeaderTrick(ctx context.Context, a *attacker) {
	forwarded := "X-Forwarded-For: " + one(a, a.address, "127.0.0.1", "::1", "localhost", strings.Repeat("10.0.0.1, ", 200), "\"") + "\r\n"
	order := string(placement("tricks@example.org", "A Stranger", line{a.config.SKUs[0], 0}))
	length := "Content-Length: " + number(len(order)) + "\r\n"
	post := "POST /api/orders HTTP/1.1\r\nHost: " + a.host() + "\r\nContent-Type: application/json\r\n" + forwarded
	get := "GET /ops/api/orders HTTP/1.1\r\n"
	trick := one(a,
		get+"Host: "+evilHost+"\r\n\r\n",
		get+"Host: "+a.host()+"\r\nX-Forwarded-Host: "+evilHost+"\r\n"+forwarded+"\r\n",
		get+"Host: "+a.host()+"\r\nHost: "+evilHost+"\r\n\r\n",
		"GET http://"+evilHost+"/ops/api/orders HTTP/1.1\r\nHost: "+a.host()+"\r\n\r\n",
		"GET /ops/api/orders HTTP/1.1\r\nHost: "+a.host()+"\r\nX-Original-URL: /api/items\r\n\r\n",
		"GET //ops/api/orders HTTP/1.1\r\nHost: "+a.host()+"\r\nConnection: close\r\n\r\n",
		post+length+"Transfer-Encoding: chunked\r\n\r\n"+order,
		post+length+"Content-Length: 1\r\n\r\n"+order,
		post+"Transfer-Encoding: xchunked\r\n\r\n"+order,
		post+"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"+order,
		post+"Content-Length: -1\r\n\r\n"+order,
		post+"X-Bad : space\r\n"+length+"\r\n"+order,
		post+"traceparent: 00-"+strings.Repeat("0", 32)+"-\r\nIdempotency-Key: "+strings.Repeat("k", 300)+"\r\n"+length+"\r\n"+order,
		post+"Content-Encoding: gzip\r\n"+length+"\r\n"+order,
		post+"Expect: 200-maybe\r\n"+length+"\r\n"+order,
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/9.9\r\nHost: "+a.host()+"\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")
	a.raw(ctx, fmt.Sprintf("%.60q", trick), trick)
}

// sendSlowly announces a body and does not send it.
func sendSlowly(ctx context.Context, a *attacker) {
	path := one(a, "/api/orders", "/webhooks/stripe", "/ops/api/items", "/nowhere", "/")
	keyed := one(a, "", "Idempotency-Key: "+a.text(20, hexDigits)+"\r\n")
	a.raw(ctx, "POST "+path, "POST "+path+" HTTP/1.1\r\nHost: "+a.host()+"\r\nX-Forwarded-For: "+a.address+"\r\n"+keyed+
		"Content-Type: application/json\r\nContent-Length: "+number(1000+a.random.IntN(60_000))+"\r\n\r\n{")
}
