package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"

	"tillstream/events/api"
)

// endpoint is an address on which the shop listens.
type endpoint struct{ flag, addr, serves string }

// endpoints returns the addresses of the servers that run in this process.
func (c *Config) endpoints() (all []endpoint) {
	if c.NATSURL == "" {
		all = append(all, endpoint{"--nats", c.NATS, "the broker, for clients that have its token"})
	}
	if c.MongoURI == "" {
		all = append(all, endpoint{"--mongo", c.Mongo, "the database, for clients that have its key file"})
	}
	if c.Closed {
		return all
	}
	all = append(all, endpoint{"--http", c.HTTP, "storefront and API of shoppers; the mailbox and metrics, with an API key"})
	all = append(all, endpoint{"--ops", c.Ops, "the staff console and API, for staff who sign in"})
	if c.sandboxed() {
		all = append(all, endpoint{"--stripe", c.Stripe, "the Stripe sandbox, for clients that have a key or a payment's secret"})
	}
	if c.SMTPURL == "" {
		all = append(all, endpoint{"--smtp", c.SMTP, "the mail inbox, which accepts mail from anyone"})
	}
	return all
}

// exposed returns the addresses that other machines can reach.
func (c *Config) exposed() (all []endpoint) {
	for _, e := range c.endpoints() {
		if host, _, err := net.SplitHostPort(e.addr); err == nil && !isLoopback(host) {
			all = append(all, e)
		}
	}
	return all
}

// isLoopback reports whether only this machine can reach a host. A name other than localhost may be that of any address.
func isLoopback(host string) bool {
	return strings.EqualFold(host, "localhost") || net.ParseIP(host).IsLoopback()
}

// checkExposure refuses addresses that other machines can reach, unless the operator asked for that: the sandbox and the mailbox
// are for trying the shop out, and a typing error must not publish them.
func (c *Config) checkExposure() error {
	var addresses []string
	for _, e := range c.exposed() {
		addresses = append(addresses, e.flag+" "+e.addr)
	}
	if len(addresses) == 0 || c.Expose && c.PublicURL != "" {
		return nil
	}
	return fmt.Errorf("other machines could reach %s: add --expose and set PUBLIC_URL to the address that shoppers use, such as https://shop.example.com; "+
		"or listen on 127.0.0.1, with a proxy before --http", strings.Join(addresses, " and "))
}

// checkPublicURLs returns an error for an address that is told to people and that nobody can open.
func (c *Config) checkPublicURLs() error {
	var wrong []error
	for _, setting := range []struct{ name, value string }{{"PUBLIC_URL", c.PublicURL}, {"OPS_PUBLIC_URL", c.OpsURL}, {"SANDBOX_PUBLIC_URL", c.SandboxURL}} {
		if setting.value == "" {
			continue
		}
		if _, err := api.ParsePublicURL(setting.value); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", setting.name, err))
		}
	}
	if c.SandboxURL != "" && !c.sandboxed() && c.StripeAPIBase == "" {
		wrong = append(wrong, errors.New("SANDBOX_PUBLIC_URL is set, but Stripe takes the payments: remove it, or the keys of Stripe"))
	}
	return errors.Join(wrong...)
}

// public reports whether strangers can reach the storefront, directly or through a proxy.
func (c *Config) public() bool {
	u, err := url.Parse(c.PublicURL)
	if err != nil || c.PublicURL != "" && !isLoopback(u.Hostname()) {
		return true
	}
	for _, e := range c.exposed() {
		if e.flag == "--http" {
			return true
		}
	}
	return false
}

// staffOnly asks for an API key: browsers as the password of any user, tools as a bearer token.
func staffOnly(next http.Handler, access api.StaffAccess) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		authorization := r.Header.Get("Authorization")
		if _, password, ok := r.BasicAuth(); ok {
			authorization = "Bearer " + password
		}
		if p, ok := access.Staff(authorization); !ok || !p.May(api.ReadAll) {
			w.Header().Set("WWW-Authenticate", `Basic realm="Tillstream, with an API key as the password", charset="UTF-8"`)
			http.Error(w, "This is for staff. An API key is the password; the user can be anything.", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// printExposed prints what other machines can reach, and whether shoppers on them cannot pay.
func printExposed(w io.Writer, config Config) {
	exposed := config.exposed()
	if len(exposed) > 0 {
		fmt.Fprint(w, "\nOther machines can reach:\n\n")
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, e := range exposed {
		fmt.Fprintf(table, "  %s\t%s\n", e.addr, e.serves)
	}
	_ = table.Flush() // like the other lines: a closed terminal must not stop the shop
	printUnreachableSandbox(w, config, exposed)
}

// printUnreachableSandbox prints why shoppers cannot pay, if their browsers cannot reach the sandbox.
func printUnreachableSandbox(w io.Writer, config Config, exposed []endpoint) {
	if !config.public() || !config.sandboxed() || config.Closed || config.SandboxURL != "" {
		return
	}
	switch {
	case !slices.ContainsFunc(exposed, func(e endpoint) bool { return e.flag == "--stripe" }):
		fmt.Fprint(w, "\nShoppers on other machines cannot pay: the Stripe sandbox needs --stripe with an\naddress that they can reach, such as 0.0.0.0:12111; or SANDBOX_PUBLIC_URL, the address\nof a proxy before it; or the shop needs keys of Stripe.\n")
	case strings.HasPrefix(config.PublicURL, "https:"):
		fmt.Fprint(w, "\nShoppers cannot pay: a page that was loaded with https may not use the Stripe sandbox\nwith http. Set SANDBOX_PUBLIC_URL to the https address of a proxy before it.\n")
	}
}
