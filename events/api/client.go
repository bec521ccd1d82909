package api

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// Proxies are the addresses of the proxies before the shop, whose X-Forwarded-For headers are believed.
type Proxies []netip.Prefix

// UnmarshalText reads networks and addresses, such as "10.0.0.0/8,192.0.2.7", separated by commas.
func (p *Proxies) UnmarshalText(text []byte) error {
	var proxies Proxies
	for part := range strings.SplitSeq(string(text), ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		network, err := netip.ParsePrefix(part)
		if addr, addrErr := netip.ParseAddr(part); addrErr == nil {
			network, err = addr.Prefix(addr.BitLen())
		}
		if err != nil {
			return fmt.Errorf("%q is not a network such as 10.0.0.0/8", part)
		}
		proxies = append(proxies, network.Masked())
	}
	*p = proxies
	return nil
}

// MarshalText writes the networks in the form that UnmarshalText reads.
func (p Proxies) MarshalText() ([]byte, error) {
	parts := make([]string, len(p))
	for i, network := range p {
		parts[i] = network.String()
	}
	return []byte(strings.Join(parts, ",")), nil
}

func (p Proxies) contains(addr netip.Addr) bool {
	return slices.ContainsFunc(p, func(network netip.Prefix) bool { return network.Contains(addr) })
}

// client returns the address of the client of a request that arrived from remote; see [Proxies.find]. It returns "" if all addresses
// are of proxies: then one address can stand for many clients. Of an IPv6 address it returns the network of 64 bits, because a
// client can use any address of it.
func (p Proxies) client(remote string, forwarded []string) string {
	addr, ok := p.find(remote, forwarded)
	switch {
	case !ok:
		return ""
	case addr.Is6():
		network, _ := addr.Prefix(64) // fails only for more bits than the address has
		return network.String()
	}
	return addr.String()
}

// find returns the last address that is not of a proxy, since every proxy appends the address from which it got the request, and a
// client can send any addresses before that one. If all are of proxies, ok is false, and the address is the first of them.
func (p Proxies) find(remote string, forwarded []string) (first netip.Addr, ok bool) {
	hops := append(strings.Split(strings.Join(forwarded, ","), ","), remote)
	for _, hop := range slices.Backward(hops) {
		addr, valid := parseHop(hop)
		if !valid {
			return first, false
		}
		if first = addr; !p.contains(addr) {
			return first, true
		}
	}
	return first, false
}

// parseHop parses an address with or without a port.
func parseHop(hop string) (netip.Addr, bool) {
	hop = strings.TrimSpace(hop)
	if withPort, err := netip.ParseAddrPort(hop); err == nil {
		return withPort.Addr().Unmap().WithZone(""), true
	}
	addr, err := netip.ParseAddr(hop)
	return addr.Unmap().WithZone(""), err == nil
}

type clientKey struct{}

// ClientOf returns the address of the client of a request, after [IdentifyClient]; "" if it is not known.
func ClientOf(ctx context.Context) string {
	client, _ := ctx.Value(clientKey{}).(string)
	return client
}

// IdentifyClient finds the address of the client of a request behind proxies.
func IdentifyClient(proxies Proxies) Middleware {
	return func(ctx huma.Context, next func(huma.Context)) {
		var forwarded []string
		ctx.EachHeader(func(name, value string) {
			if name == "X-Forwarded-For" {
				forwarded = append(forwarded, value)
			}
		})
		next(huma.WithValue(ctx, clientKey{}, proxies.client(ctx.RemoteAddr(), forwarded)))
	}
}

// FromClient has the RemoteAddr of every request name its client instead of the proxy before this server: attempts to sign in are
// counted by it, and the audit names it. Of a request that only passed networks of proxies it is the first address: staff may work
// in such a network.
func FromClient(next http.Handler, proxies Proxies) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if addr, _ := proxies.find(r.RemoteAddr, r.Header["X-Forwarded-For"]); addr.IsValid() {
			r = r.WithContext(r.Context()) // a copy
			r.RemoteAddr = netip.AddrPortFrom(addr, 0).String()
		}
		next.ServeHTTP(w, r)
	})
}
