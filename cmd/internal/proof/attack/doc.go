// Package attack does to a shop what strangers do: it orders everything and pays nothing, tries stolen cards, forges webhooks,
// guesses ids and tokens, and sends what no browser sends.
//
// Each attacker has an address of its own, which it writes into X-Forwarded-For: a shop that believes this machine, as it
// believes its own proxies, then counts the attackers apart from the shoppers. The seed decides what each attacker sends, and in
// which order.
//
// A shop keeps two promises to the attackers' victims: no attack gets what it is not entitled to, and none is answered with an
// internal error. [Run] reports the answers of each attack, and every answer that breaks one of these.
//
//	Run ──► attackers (one or more per kind of attack) ──step──► shop
//	                                   └─ answer ──► Report: statuses per attack, broken promises
package attack

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// Config configures an attack.
type Config struct {
	Storefront     string // base URL of the shop
	Stripe         string // base URL of Stripe's API or of the sandbox
	PublishableKey string // Stripe's publishable key; default: the one that the shop returns with a payment
	SKUs           []string
	Seed           uint64
	Rate           float64                    // requests per second of all attackers together
	Placed         func(orderID string) error // called for every order that an attacker placed; default: none
}

// kind is a kind of attack.
type kind struct {
	name      string
	attackers int
	entitled  bool // the shop may accept these requests: they are those of a shopper
	step      func(ctx context.Context, a *attacker)
}

var kinds = []kind{
	{"orders of everything", 2, true, orderEverything},
	{"unpaid orders, one e-mail", 1, true, orderForVictim},
	{"declined cards", 1, true, tryCards},
	{"forged webhooks", 1, false, forgeWebhook},
	{"broken JSON", 2, false, sendBrokenJSON},
	{"wrong content types", 1, false, sendWrongType},
	{"guessed ids and tokens", 2, false, guess},
	{"oversized requests", 1, false, sendOversized},
	{"header tricks", 3, false, sendHeaderTrick},
	{"slow bodies", 6, false, sendSlowly},
	{"event streams", 1, true, openStream},
}

// Run attacks a shop until ctx ends.
func Run(ctx context.Context, config Config) Report {
	total := 0
	for _, k := range kinds {
		total += k.attackers
	}
	results := make([]*result, len(kinds))
	var running sync.WaitGroup
	n := uint64(0)
	for i, k := range kinds {
		results[i] = &result{kind: k, answers: map[string]int{}}
		for range k.attackers {
			n++
			a := newAttacker(config, n, results[i])
			running.Go(func() { a.run(ctx, k, float64(total)/config.Rate) })
		}
	}
	running.Wait()
	return reportOf(results)
}

// newAttacker returns the nth attacker. The addresses are those that RFC 5737 reserves for documentation.
func newAttacker(config Config, n uint64, r *result) *attacker {
	return &attacker{config: config, address: fmt.Sprintf("203.0.113.%d", n), random: rand.New(rand.NewPCG(config.Seed, n)), result: r,
		http: newClient()}
}

// run repeats the attack at an interval in seconds.
func (a *attacker) run(ctx context.Context, k kind, interval float64) {
	ticker := time.NewTicker(time.Duration(interval * float64(time.Second)))
	defer ticker.Stop()
	defer a.close()
	for {
		k.step(ctx, a)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
