package attach

import "net/url"

// redact takes the password out of an address, for messages that people copy into tickets.
func redact(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "(unreadable address)"
	}
	return u.Redacted()
}
