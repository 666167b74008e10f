package httpauth

import (
	"net/http"
	"net/netip"
	"net/textproto"
	"slices"
	"strings"

	"github.com/latchward/latchward"
)

// Proxies are the reverse proxies that may say where a request came from. A nil *Proxies and the zero value trust
// nobody, so that the client is whoever holds the connection. It is safe for concurrent use.
type Proxies struct {
	networks  []netip.Prefix
	header    string // in canonical case
	forwarded bool   // the header is Forwarded of RFC 7239
}

// NewProxies trusts the proxies in networks to append the address of their peer to one header: "" is X-Forwarded-For,
// "Forwarded" is that of RFC 7239, any other is read as a list of addresses. No other header is ever read.
//
// Errors have code invalid: the field is trusted_proxies for networks that are no networks or contain everybody, and
// trusted_proxy_header for a header that is no header name.
func NewProxies(networks []netip.Prefix, header string) (*Proxies, error) {
	if header == "" {
		header = "X-Forwarded-For"
	}
	if strings.Trim(header, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
		return nil, latchward.Invalid("trusted_proxy_header", "%q is not the name of a header", header)
	}
	p := &Proxies{header: textproto.CanonicalMIMEHeaderKey(header)}
	p.forwarded = p.header == "Forwarded"
	for _, network := range networks {
		unmapped, ok := unmapNetwork(network)
		if !ok {
			return nil, latchward.Invalid("trusted_proxies", "%s is not a network of proxies; "+
				"name the networks that your proxies are in, never everybody", network)
		}
		p.networks = append(p.networks, unmapped)
	}
	return p, nil
}

// unmapNetwork returns a network in the form that unmapped addresses are compared with; false when it is invalid or
// has everybody in it.
func unmapNetwork(network netip.Prefix) (netip.Prefix, bool) {
	const mapped = 96 // bits before the IPv4 address in ::ffff:0:0/96
	address, bits := network.Addr(), network.Bits()
	if address.Is4In6() {
		address, bits = address.Unmap(), bits-mapped
	}
	if bits <= 0 || address.Zone() != "" {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(address, bits).Masked(), true
}

// Trusts reports whether peer is a trusted proxy.
func (p *Proxies) Trusts(peer netip.Addr) bool {
	if p == nil || !peer.IsValid() {
		return false
	}
	peer = peer.Unmap().WithZone("")
	return slices.ContainsFunc(p.networks, func(network netip.Prefix) bool { return network.Contains(peer) })
}

// TrustsPeer reports whether r came straight from a trusted proxy.
func (p *Proxies) TrustsPeer(r *http.Request) bool { return p.Trusts(peerAddress(r.RemoteAddr)) }

// ClientAddress returns where r came from: the peer, or, if that is a trusted proxy, the last address of the header
// that no trusted proxy has (RFC 7239 §5.2). When all of them are trusted proxies it is the first, and the peer when
// there is no such header. IPv4 addresses are never mapped, and there is no zone.
//
// The address is invalid when it cannot be told: the peer has none, as on a Unix socket, or a trusted proxy names
// something that is no address. The peer's own address never stands in for that of a client (bar 21).
func (p *Proxies) ClientAddress(r *http.Request) netip.Addr {
	peer := peerAddress(r.RemoteAddr)
	if !p.Trusts(peer) {
		return peer
	}
	client, lines := peer, r.Header[p.header]
	for i := len(lines) - 1; i >= 0 && p.Trusts(client); i-- {
		client = p.clientOf(lines[i])
	}
	return client
}

// clientOf returns the last address in one line of the header that no trusted proxy has, or else the first.
func (p *Proxies) clientOf(line string) netip.Addr {
	if p.forwarded {
		nodes := forwardedNodes(line)
		for len(nodes) > 1 && p.Trusts(nodes[len(nodes)-1]) {
			nodes = nodes[:len(nodes)-1]
		}
		return nodes[len(nodes)-1]
	}
	for {
		comma := strings.LastIndexByte(line, ',')
		node := parseNode(strings.Trim(line[comma+1:], " \t"))
		if comma < 0 || !p.Trusts(node) {
			return node
		}
		line = line[:comma]
	}
}

func peerAddress(remote string) netip.Addr {
	peer, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().Unmap().WithZone("")
}

// parseNode reads an address, with or without a port: "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]" or
// "[2001:db8::1]:80". It is invalid for anything else, such as an address with a zone.
func parseNode(text string) netip.Addr {
	address, err := netip.ParseAddr(text)
	if err != nil {
		if strings.HasSuffix(text, "]") {
			text += ":0"
		}
		var withPort netip.AddrPort
		withPort, err = netip.ParseAddrPort(text)
		address = withPort.Addr()
	}
	if err != nil || address.Zone() != "" {
		return netip.Addr{}
	}
	return address.Unmap()
}
