package latchward_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/latchward/latchward"
)

// bar 21, 22: what is read as a network has one form, which reads as itself, and holds the address that it was written
// with, in whatever form that comes.
func FuzzParseNetwork(f *testing.F) {
	for _, text := range []string{
		"203.0.113.5", "203.0.113.0/24", "203.0.113.77/24", "0.0.0.0/0", "::/0", "2001:db8::/32", "::ffff:203.0.113.5",
		"::ffff:203.0.113.5/120", "::ffff:0:0/95", "fe80::1%eth0", "fe80::/10%eth0", "203.0.113.05", "0xcb.0.113.5", "1.2.3",
		"1.2.3.4/33", "1.2.3.4/-1", "1.2.3.4/024", "", "/", " 1.2.3.4", "1.2.3.4/8/8", "[::1]", "1.2.3.4:80",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		network, err := latchward.ParseNetwork("networks[0]", text)
		if err != nil {
			if latchward.ErrorField(err) != "networks[0]" || network.IsValid() {
				t.Fatalf("%q: %v, %s", text, err, network)
			}
			return
		}
		again, err := latchward.ParseNetwork("", network.String())
		if err != nil || again != network || network != network.Masked() || network.Addr().Is4In6() {
			t.Fatalf("%q is %s, which is %s: %v", text, network, again, err)
		}
		host, _, _ := strings.Cut(text, "/")
		address, err := netip.ParseAddr(host)
		if err != nil || address.Zone() != "" || !network.Contains(address.Unmap()) {
			t.Fatalf("%q is %s, without %s: %v", text, network, address, err)
		}
	})
}
