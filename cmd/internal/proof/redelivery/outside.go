package redelivery

import (
	"fmt"
	"slices"
	"strings"

	"tillstream/cmd/internal/invariants"
	"tillstream/cmd/internal/output"
)

// BrokenOutside returns what a redelivery has done outside of the log, one line each: what was there before has changed, or there is
// more than the orders that were placed meanwhile account for. Each of them has at most one PaymentIntent and one mail.
func BrokenOutside(before, after invariants.Effects, orders int) (broken []string) {
	changed, made := difference(before.Money, after.Money)
	refunds := slices.DeleteFunc(slices.Clone(made), func(id string) bool { return !strings.HasPrefix(id, "re_") })
	copies, mails := difference(before.Mails, after.Mails)
	for what, ids := range map[string][]string{"PaymentIntents or refunds that changed": changed, "new refunds": refunds,
		"mails with another number of copies": copies} {
		if n := len(ids); n > 0 {
			broken = append(broken, fmt.Sprintf("%d %s: %s", n, what, strings.Join(ids[:min(n, maxNamed)], ", ")))
		}
	}
	for what, ids := range map[string][]string{"PaymentIntent": made, "mail": mails} {
		if n := len(ids); n > orders {
			broken = append(broken, fmt.Sprintf("%s for %s", output.Count(n, what), output.Count(orders, "order")))
		}
	}
	for _, id := range mails {
		if after.Mails[id] > 1 {
			broken = append(broken, fmt.Sprintf("mail %s was sent %d times", id, after.Mails[id]))
		}
	}
	return broken
}

// difference returns the keys whose values differ or are gone, and the new keys.
func difference[V comparable](before, after map[string]V) (changed, made []string) {
	for id, value := range before {
		if now, ok := after[id]; !ok || now != value {
			changed = append(changed, id)
		}
	}
	for id := range after {
		if _, known := before[id]; !known {
			made = append(made, id)
		}
	}
	slices.Sort(changed)
	slices.Sort(made)
	return changed, made
}
