// Package address is what may be said of the addresses of brokers and databases: they hold passwords, and messages are
// copied into logs and tickets.
package address

import (
	"errors"
	"net/url"
	"strings"
)

// ErrUnreadable is returned for an address that is no URL. It does not repeat it.
var ErrUnreadable = errors.New("address cannot be read: want nats://user:password@host:port, several separated by commas, with signs such as % and @ in the password escaped")

// hidden stands for a secret, as in net/url.
const hidden = "xxxxx"

// Redacted takes the secrets out of an address, or of several separated by commas.
func Redacted(list string) string {
	addresses := strings.Split(list, ",")
	for i, one := range addresses {
		scheme, u, err := parse(one)
		if err != nil {
			addresses[i] = "(unreadable address)"
			continue
		}
		if _, hasPassword := u.User.Password(); u.User != nil && !hasPassword {
			u.User = url.User(hidden) // to a broker a name alone is a token
		}
		addresses[i] = scheme + strings.TrimPrefix(u.Redacted(), "//")
	}
	return strings.Join(addresses, ",")
}

// Check returns [ErrUnreadable] when one of the addresses, separated by commas, is no URL.
func Check(list string) error {
	for one := range strings.SplitSeq(list, ",") {
		if _, _, err := parse(one); err != nil {
			return ErrUnreadable
		}
	}
	return nil
}

// parse reads one address. Brokers are also known by host and port alone, which to net/url would be something else.
func parse(address string) (scheme string, u *url.URL, err error) {
	address = strings.TrimSpace(address)
	if at := strings.Index(address, "://"); at >= 0 {
		scheme, address = address[:at+3], address[at+3:]
	}
	u, err = url.Parse("//" + address)
	return scheme, u, err
}
