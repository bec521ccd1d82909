package process

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// Rehearsing has the setting of programs that take payments.
type Rehearsing struct {
	AllowTestKeys bool `name:"allow-test-keys" env:"ALLOW_TEST_KEYS" help:"Be ready with test keys of Stripe although shoppers can reach PUBLIC_URL, as for a rehearsal: goods are sold and nobody pays."`
}

// TestKeys returns the check that keeps a public shop from selling without being paid: with test keys of Stripe it is not ready, unless
// the setting allows them. live says whether the keys are live keys.
func (r Rehearsing) TestKeys(publicURL string, live bool) Check {
	var problem error
	if !live && !r.AllowTestKeys && !onThisMachine(publicURL) {
		problem = fmt.Errorf("shoppers can reach %s, and the keys of Stripe are test keys, with which nobody pays: set live keys, or ALLOW_TEST_KEYS=true for a rehearsal", publicURL)
	}
	return Check{Code: CodeTestKeys, Problem: func() error { return problem }}
}

// onThisMachine reports whether only this machine can reach an address. A name other than localhost may be that of any machine.
func onThisMachine(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Host == "" || strings.EqualFold(u.Hostname(), "localhost") || net.ParseIP(u.Hostname()).IsLoopback())
}

// checked is a Domain that has conditions of its own.
type checked interface {
	Checks() []Check
}
