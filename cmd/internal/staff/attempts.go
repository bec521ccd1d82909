package staff

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// After maxFailures failed attempts to sign in within failurePeriod, further ones are refused: for the account, and from the address.
const (
	maxFailures   = 10
	failurePeriod = 15 * time.Minute
)

// maxCounted is how many accounts, unknown names and addresses are counted. The least recently used is forgotten.
const maxCounted = 10_000

// attempts counts failed attempts to sign in, in memory: strangers must not be able to fill the log.
type attempts struct {
	mu       sync.Mutex
	accounts *lru.Cache[string, []time.Time] // apart, so that strangers cannot push them out
	others   *lru.Cache[string, []time.Time] // unknown names and addresses
}

func newAttempts() *attempts {
	accounts, _ := lru.New[string, []time.Time](maxCounted) // fails only for a size below 1
	others, _ := lru.New[string, []time.Time](maxCounted)
	return &attempts{accounts: accounts, others: others}
}

// attempt is one attempt to sign in: by a name, which may be that of an account, from an address.
type attempt struct {
	name    string
	known   bool
	address string
	at      time.Time
}

// counters returns what the attempt counts for, the account first. A text that no account can have for a name is not counted, only
// the address: a stranger can send any number of such texts, each as long as a form.
func (a *attempts) counters(try attempt) []counter {
	names, name := a.others, try.name
	switch {
	case try.known:
		names = a.accounts
	case CheckName(name) != nil:
		return []counter{{a.others, "address " + network(try.address)}}
	}
	return []counter{{names, "name " + name}, {a.others, "address " + network(try.address)}}
}

type counter struct {
	in  *lru.Cache[string, []time.Time]
	key string
}

// begin counts an attempt as failed until it succeeds, so that attempts at the same time cannot pass the limit. It returns a
// [*LockedError] when there were too many.
func (a *attempts) begin(try attempt) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	counters := a.counters(try)
	for _, c := range counters {
		if recent := c.recent(try.at); len(recent) >= maxFailures {
			return &LockedError{Until: recent[len(recent)-maxFailures].Add(failurePeriod)}
		}
	}
	for _, c := range counters {
		c.in.Add(c.key, append(c.recent(try.at), try.at))
	}
	return nil
}

// succeeded forgets the failures of the account, and this attempt of the address.
func (a *attempts) succeeded(try attempt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	counters := a.counters(try)
	counters[0].in.Remove(counters[0].key)
	c := counters[1]
	recent := c.recent(try.at)
	if i := slices.Index(recent, try.at); i >= 0 {
		c.in.Add(c.key, slices.Delete(recent, i, i+1))
	}
}

// recent returns the failures that count at a time.
func (c counter) recent(now time.Time) []time.Time {
	all, _ := c.in.Get(c.key)
	return slices.DeleteFunc(slices.Clone(all), func(at time.Time) bool { return now.Sub(at) >= failurePeriod })
}

// network returns the network of an address that one client has: its IPv4 address, or its IPv6 /64.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if ip = ip.Unmap(); ip.Is4() {
		return ip.String()
	}
	prefix, err := ip.Prefix(64)
	if err != nil {
		return address
	}
	return prefix.String()
}
