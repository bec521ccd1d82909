package api

import (
	"fmt"
	"net"
	"net/url"
)

// ParsePublicURL parses an address that is told to people and to their browsers, such as the one that mails link to. It returns an
// error for one that nobody can open: another scheme than http and https, no host, or the unspecified address (0.0.0.0 or [::]),
// at which a server listens on all addresses of its machine and that is the address of no server.
func ParsePublicURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, err
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("%q is not a web address, such as https://shop.example.com", text)
	case net.ParseIP(u.Hostname()).IsUnspecified():
		return nil, fmt.Errorf("%q is an address to listen on, and nobody can open it: want the name or address by which others reach this machine, "+
			"such as https://shop.example.com, or http://localhost:8080 on this machine only", text)
	}
	return u, nil
}
