package main

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"go.mongodb.org/mongo-driver/v2/bson"

	"tillstream/cmd/internal/target"
	"tillstream/events/project"
)

const anyPortOfMachine = "0.0.0.0:0"

// Row 73 of the fault matrix: without --expose and PUBLIC_URL no server listens where other machines can reach it.
func TestAddressesBeyondLoopbackAreRefused(t *testing.T) {
	t.Parallel()
	for flag, set := range map[string]func(*Config, string){
		"--http":   func(c *Config, at string) { c.HTTP = at },
		"--nats":   func(c *Config, at string) { c.NATS = at },
		"--mongo":  func(c *Config, at string) { c.Mongo = at },
		"--stripe": func(c *Config, at string) { c.Stripe = at },
		"--smtp":   func(c *Config, at string) { c.SMTP = at },
	} {
		for address, loopback := range map[string]bool{"127.0.0.1:80": true, "localhost:80": true, "[::1]:80": true, "127.9.9.9:80": true,
			"0.0.0.0:80": false, "[::]:80": false, ":80": false, "192.0.2.1:80": false, "[2001:db8::1]:80": false, "shop.internal:80": false} {
			config := testConfig(t, nil)
			set(&config, address)
			err := config.Validate()
			if loopback != (err == nil) {
				t.Errorf("%s %s: got error %v, want one: %t", flag, address, err, !loopback)
			}
			if err != nil && (!strings.Contains(err.Error(), flag+" "+address) || !strings.Contains(err.Error(), "--expose") || !strings.Contains(err.Error(), "PUBLIC_URL")) {
				t.Errorf("%s %s: error %q, want one that names both and what to do", flag, address, err)
			}
			config.Expose = true
			if err := config.Validate(); loopback != (err == nil) {
				t.Errorf("%s %s with --expose: got error %v, want one: %t", flag, address, err, !loopback)
			}
			config.PublicURL = "https://shop.example"
			if err := config.Validate(); err != nil {
				t.Errorf("%s %s with --expose and PUBLIC_URL: %v", flag, address, err)
			}
		}
	}
	other := testConfig(t, nil)
	other.NATS, other.NATSURL = anyPortOfMachine, "nats://elsewhere:4222" // the address is not used
	if err := other.Validate(); err != nil {
		t.Errorf("--nats with NATS_URL: %v", err)
	}
	other.PublicURL = "shop.example"
	if err := other.Validate(); err == nil || !strings.Contains(err.Error(), "PUBLIC_URL") {
		t.Errorf("PUBLIC_URL without a scheme: got error %v, want one that names it", err)
	}
}

// expose opens a shop to other machines.
func expose(c *Config) {
	c.HTTP, c.NATS, c.Mongo, c.Stripe, c.SMTP = anyPortOfMachine, anyPortOfMachine, anyPortOfMachine, anyPortOfMachine, anyPortOfMachine
	c.Expose, c.PublicURL = true, "http://shop.example"
}

// Row 73 of the fault matrix: a shop beyond loopback sells, says what it exposes, shows its mailbox to staff only and does not
// answer to foreign names.
//
// API5 of the OWASP API Top 10.
func TestExposedShopShowsMailboxAndMetricsToStaffOnly(t *testing.T) {
	t.Parallel()
	ts := startShop(t, expose)
	ts.list(t, "MUG", 1250, 10)
	ts.mailed(t, ts.buy(t, cart("ada", line{"MUG", 1})).Email, 1) // read with the ops token as a bearer token

	for _, path := range []string{"/mail", "/mail/messages", "/mail?id=1", "/metrics"} {
		for password, want := range map[string]int{"": 401, "guess": 401, ts.OpsKey: 200} {
			r := ts.request(t, http.MethodGet, path, "", nil)
			if password != "" {
				r.SetBasicAuth("anyone", password)
			}
			a := ts.send(t, r)
			if a.Status != want || (want == 401) != strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Basic ") {
				t.Errorf("%s with password %q: status %d, WWW-Authenticate %q, want %d", path, password, a.Status, a.Header.Get("WWW-Authenticate"), want)
			}
		}
	}
	for origin, path := range map[string]string{ts.Storefront: "/healthz", ts.Stripe: "/v1/balance"} {
		for host, refused := range map[string]bool{"evil.example": true, "shop.example": false, "10.0.0.7:8080": false} {
			if got := statusAt(t, origin+path, host); (got == http.StatusMisdirectedRequest) != refused {
				t.Errorf("%s for host %s: status %d, want it refused: %t", origin+path, host, got, refused)
			}
		}
	}
	page := string(ts.get(t, "/orders/"+ts.place(t, cart("bob", line{"MUG", 1})).ID, "").Body)
	if _, port, _ := net.SplitHostPort(strings.TrimPrefix(ts.Stripe, "http://")); !strings.Contains(page, "http://shop.example:"+port) {
		t.Errorf("the order page does not send browsers to the sandbox at shop.example:%s", port)
	}
	var out bytes.Buffer
	printReady(&out, ts.Shop, ts.config, "")
	if text := out.String(); strings.Count(text, anyPortOfMachine) != 5 || !strings.Contains(text, "Other machines can reach") {
		t.Errorf("start-up message =\n%s\nwant the five addresses that other machines can reach", text)
	}
}

func statusAt(t *testing.T, url, host string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
}

// Row 73 of the fault matrix: a proxy before a shop on loopback publishes its mailbox just as well; and a page of a stranger
// cannot read a shop on loopback.
func TestShopBehindProxyShowsMailboxToStaffOnly(t *testing.T) {
	t.Parallel()
	ts := startShop(t, func(c *Config) { c.PublicURL = "https://shop.example" })
	if got := statusAt(t, ts.Storefront+"/mail", "shop.example"); got != http.StatusUnauthorized {
		t.Errorf("mailbox without a token: status %d, want 401", got)
	}
	for host, want := range map[string]int{"": 200, "localhost:1": 200, "[::1]:1": 200, "shop.example": 200, "10.0.0.7": 421, "evil.example": 421, "orders": 421} {
		if got := statusAt(t, ts.Storefront+"/healthz", host); got != want {
			t.Errorf("host %q: status %d, want %d", host, got, want)
		}
	}
}

// Row 73 of the fault matrix: every server on an IPv6 address. At first no mail could be sent to [::1].
func TestShopListensOnIPv6(t *testing.T) {
	t.Parallel()
	const any6 = "[::1]:0"
	l, err := net.Listen("tcp", any6)
	if err != nil {
		t.Skipf("this machine has no IPv6: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ts := startShop(t, func(c *Config) { c.HTTP, c.NATS, c.Mongo, c.Stripe, c.SMTP = any6, any6, any6, any6, any6 })
	for _, address := range []string{ts.Storefront, ts.Stripe, ts.NATS, ts.MongoDB} {
		if !strings.Contains(address, "[::1]:") {
			t.Errorf("address %s, want it on [::1]", address)
		}
	}
	ts.list(t, "MUG", 1250, 10)
	mails := ts.mailed(t, ts.buy(t, cart("ada", line{"MUG", 1})).Email, 1)
	if !strings.Contains(mails[0].Text, ts.Storefront+"/orders/") {
		t.Errorf("mail =\n%s\nwant a link to %s", mails[0].Text, ts.Storefront)
	}
}

// Row 74 of the fault matrix: another user of the machine knows the addresses of the broker and the database, but cannot read
// the files of the shop. The owner's tools need only the ready file.
func TestOtherUsersOfTheMachineHaveNoAccess(t *testing.T) {
	t.Parallel()
	ts := startShop(t, func(c *Config) { c.Data = filepath.Join(c.Data, "new") })
	broker, err := url.Parse(ts.NATS)
	if err != nil {
		t.Fatal(err)
	}
	if conn, err := nats.Connect("nats://" + broker.Host); !errors.Is(err, nats.ErrAuthorization) {
		conn.Close()
		t.Errorf("connection to the broker without a token: error %v, want ErrAuthorization", err)
	}
	database, err := url.Parse(ts.MongoDB)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := project.Connect(t.Context(), "mongodb://user:password@"+database.Host+"/?serverSelectionTimeoutMS=500&timeoutMS=500")
	if err != nil {
		t.Fatal(err)
	}
	if names, err := stranger.ListCollectionNames(t.Context(), bson.D{}); err == nil {
		t.Errorf("a client without a key lists the collections %v, want an error", names)
	}
	if err := stranger.Client().Disconnect(t.Context()); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(ts.config.Data); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode of the data directory = %v (%v), want 0700", info.Mode(), err)
	}
	for _, name := range []string{"ready.json", "secrets.json", "mongo.key"} {
		if info, err := os.Stat(ts.config.dir(name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode of %s = %v (%v), want 0600", name, info.Mode(), err)
		}
	}
	var ready target.Shop
	readFile(t, ts.config.dir("ready.json"), &ready)
	_, disconnect, err := ready.Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	disconnect()
}

// Tools that were started before a restart of the shop keep their connections' credentials.
func TestCredentialsOutliveARestart(t *testing.T) {
	t.Parallel()
	config := testConfig(t, nil)
	first := openShop(t, config)
	before := first.Shop
	first.close(t)
	after := openShop(t, config)
	for name, pair := range map[string][2]string{"NATS": {before.NATS, after.NATS}, "MongoDB": {before.MongoDB, after.MongoDB}} {
		a, errA := url.Parse(pair[0])
		b, errB := url.Parse(pair[1])
		if errA != nil || errB != nil || a.User.String() != b.User.String() || a.RawQuery != b.RawQuery {
			t.Errorf("credentials of %s before and after the restart differ", name)
		}
	}
	if before.NATS == "" || !strings.Contains(before.NATS, "@") {
		t.Error("the address of the broker has no token")
	}
}

func TestStartUpMessageSaysThatShoppersCannotReachTheSandbox(t *testing.T) {
	t.Parallel()
	for stripe, reachable := range map[string]bool{"127.0.0.1:12111": false, "0.0.0.0:12111": true} {
		var out bytes.Buffer
		printReady(&out, target.Shop{}, Config{Data: "data", HTTP: "0.0.0.0:8080", Stripe: stripe, PublicURL: "http://shop.example"}, "")
		if text := out.String(); strings.Contains(text, "cannot pay") == reachable {
			t.Errorf("start-up message with --stripe %s =\n%s\nwant a warning: %t", stripe, text, !reachable)
		}
	}
}
