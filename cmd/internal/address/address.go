// Package address checks the addresses of brokers and databases, and redacts them for messages. Such addresses contain passwords,
// and messages are copied into logs and tickets:
//
//	address.Redacted("nats://shop:secret@a:4222")  nats://shop:xxxxx@a:4222
package address

import (
	"errors"
	"net/url"
	"strings"
)

// ErrUnreadable is returned for an address that is not a URL. It does not contain the address.
var ErrUnreadable = errors.New("unreadable address: want nats://user:password@host:port, several separated by commas, with characters such as % and @ in the password escaped")

// hidden replaces a secret, as in net/url.
const hidden = "xxxxx"

// Redacted replaces the secrets in an address, or in several separated by commas.
func Redacted(list string) string {
	addresses := strings.Split(list, ",")
	for i, one := range addresses {
		scheme, u, err := parse(one)
		if err != nil {
			addresses[i] = "(unreadable address)"
			continue
		}
		if _, hasPassword := u.User.Password(); u.User != nil && !hasPassword {
			u.User = url.User(hidden) // a user without a password is a token for a broker
		}
		addresses[i] = scheme + strings.TrimPrefix(u.Redacted(), "//")
	}
	return strings.Join(addresses, ",")
}

// Check returns [ErrUnreadable] if one of the addresses, separated by commas, is not a URL.
func Check(list string) error {
	for one := range strings.SplitSeq(list, ",") {
		if _, _, err := parse(one); err != nil {
			return ErrUnreadable
		}
	}
	return nil
}

// parse parses one address. The address of a broker may be only a host and a port, where net/url would parse the host as a
// scheme.
func parse(address string) (scheme string, u *url.URL, err error) {
	address = strings.TrimSpace(address)
	if at := strings.Index(address, "://"); at >= 0 {
		scheme, address = address[:at+3], address[at+3:]
	}
	u, err = url.Parse("//" + address)
	return scheme, u, err
}
