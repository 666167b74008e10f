package httpauth_test

import (
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

func proxies(t testing.TB, header string, networks ...string) *httpauth.Proxies {
	t.Helper()
	var prefixes []netip.Prefix
	for _, text := range networks {
		prefixes = append(prefixes, netip.MustParsePrefix(text))
	}
	p, err := httpauth.NewProxies(prefixes, header)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func clientAddress(p *httpauth.Proxies, remote, header string, lines ...string) string {
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = remote
	r.Header[header] = lines
	address := p.ClientAddress(r)
	if !address.IsValid() {
		return "unknown"
	}
	return address.String()
}

// S2-32, bar 21
func TestClientAddressFromForwardedFor(t *testing.T) {
	trusting := proxies(t, "", "10.0.0.0/8", "2001:db8:1::/48", "::ffff:192.168.0.0/112")
	const proxy = "10.0.0.9:4711"
	tests := []struct {
		name, remote string
		lines        []string
		want         string
	}{
		{"no header", proxy, nil, "10.0.0.9"},
		{"untrusted peer", "198.51.100.1:1", []string{"203.0.113.5"}, "198.51.100.1"},
		{"one hop", proxy, []string{"203.0.113.5"}, "203.0.113.5"},
		{"rightmost untrusted", proxy, []string{"203.0.113.5, 198.51.100.7"}, "198.51.100.7"},
		{"through two proxies", proxy, []string{"203.0.113.5, 198.51.100.7, 10.1.1.1"}, "198.51.100.7"},
		{"all trusted: the first", proxy, []string{"10.3.3.3, 10.2.2.2"}, "10.3.3.3"},
		{"lines in order", proxy, []string{"203.0.113.5", "198.51.100.7"}, "198.51.100.7"},
		{"lines in order, last trusted", proxy, []string{"203.0.113.5, 198.51.100.7", "10.2.2.2"}, "198.51.100.7"},
		{"mapped client", proxy, []string{"::ffff:203.0.113.5"}, "203.0.113.5"},
		{"mapped peer", "[::ffff:10.0.0.9]:1", []string{"203.0.113.5"}, "203.0.113.5"},
		{"peer in a mapped network", "192.168.0.1:1", []string{"203.0.113.5"}, "203.0.113.5"},
		{"IPv6 peer", "[2001:db8:1::1]:1", []string{"2001:db8:2::5"}, "2001:db8:2::5"},
		{"IPv6 peer, untrusted", "[2001:db8:2::1]:1", []string{"203.0.113.5"}, "2001:db8:2::1"},
		{"peer with a zone", "[fe80::1%eth0]:1", []string{"203.0.113.5"}, "fe80::1"},
		{"with a port", proxy, []string{"203.0.113.5:80"}, "203.0.113.5"},
		{"IPv6 in brackets", proxy, []string{"[2001:db8::5]"}, "2001:db8::5"},
		{"IPv6 in brackets with a port", proxy, []string{"[2001:db8::5]:80"}, "2001:db8::5"},
		{"spaces", proxy, []string{" \t203.0.113.5\t "}, "203.0.113.5"},
		{"garbage before it does not matter", proxy, []string{"garbage, 203.0.113.5"}, "203.0.113.5"},

		{"leading zero", proxy, []string{"203.0.113.05"}, "unknown"},
		{"hexadecimal", proxy, []string{"0xcb.0.113.5"}, "unknown"},
		{"three numbers", proxy, []string{"203.0.113"}, "unknown"},
		{"a name", proxy, []string{"example.com"}, "unknown"},
		{"the word unknown", proxy, []string{"unknown"}, "unknown"},
		{"a zone", proxy, []string{"fe80::1%eth0"}, "unknown"},
		{"a zone in brackets", proxy, []string{"[fe80::1%eth0]:80"}, "unknown"},
		{"empty", proxy, []string{""}, "unknown"},
		{"empty before a trusted hop", proxy, []string{", 10.2.2.2"}, "unknown"},
		{"empty last", proxy, []string{"203.0.113.5,"}, "unknown"},
		{"bad port", proxy, []string{"203.0.113.5:99999"}, "unknown"},
		{"IPv4 in brackets", proxy, []string{"[203.0.113.5]"}, "unknown"},
		{"open bracket", proxy, []string{"[2001:db8::5"}, "unknown"},
		{"bad behind a trusted hop", proxy, []string{"garbage, 10.2.2.2"}, "unknown"},
		{"a Unix socket", "@", []string{"203.0.113.5"}, "unknown"},
		{"no peer", "", []string{"203.0.113.5"}, "unknown"},
	}
	for _, test := range tests {
		if got := clientAddress(trusting, test.remote, "X-Forwarded-For", test.lines...); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// bar 21: nobody is trusted unless named, and no header is read unless chosen
func TestClientAddressIgnoresOtherHeaders(t *testing.T) {
	headers := []string{
		"X-Forwarded-For", "Forwarded", "X-Real-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "X-Client-Ip", "Fastly-Client-Ip",
	}
	trusting := proxies(t, "x-client-IP", "10.0.0.0/8")
	for _, header := range headers {
		value := "203.0.113.5"
		if header == "Forwarded" {
			value = "for=203.0.113.5"
		}
		for name, p := range map[string]*httpauth.Proxies{"nil": nil, "zero": {}, "none": proxies(t, header)} {
			if got := clientAddress(p, "10.0.0.9:1", header, value); got != "10.0.0.9" {
				t.Errorf("%s, %s proxies: %s", header, name, got)
			}
		}
		want := "10.0.0.9"
		if header == "X-Client-Ip" {
			want = "203.0.113.5"
		}
		if got := clientAddress(trusting, "10.0.0.9:1", header, value); got != want {
			t.Errorf("%s when X-Client-IP is chosen: %s", header, got)
		}
	}
}

// bar 21, RFC 7239 §4, §6
func TestClientAddressFromForwarded(t *testing.T) {
	trusting := proxies(t, "forwarded", "10.0.0.0/8", "2001:db8:1::/48")
	tests := []struct {
		lines []string
		want  string
	}{
		{[]string{`for=203.0.113.5`}, "203.0.113.5"},
		{[]string{`For="203.0.113.5:47011"`}, "203.0.113.5"},
		{[]string{`for="[2001:db8::5]:47011"`}, "2001:db8::5"},
		{[]string{`for="[2001:db8::5]"`}, "2001:db8::5"},
		{[]string{`for="[::ffff:203.0.113.5]"`}, "203.0.113.5"},
		{[]string{`proto=https;for=203.0.113.5;by=10.0.0.1;host="a,b;for=1.1.1.1"`}, "203.0.113.5"},
		{[]string{`for=192.0.2.43, for=198.51.100.7`}, "198.51.100.7"},
		{[]string{`for=192.0.2.43,for="[2001:db8:1::1]"`}, "192.0.2.43"},
		{[]string{`for=192.0.2.43`, `for=10.2.2.2`}, "192.0.2.43"},
		{[]string{`for="192.0.\2.43"`}, "192.0.2.43"},
		{[]string{`;for=192.0.2.43;`}, "192.0.2.43"},
		{[]string{`!x=!;for=192.0.2.43`}, "192.0.2.43"},
		{[]string{`"broken`, `for=192.0.2.43`}, "192.0.2.43"},
		{nil, "10.0.0.9"},

		{[]string{``}, "unknown"},
		{[]string{`by=10.0.0.1`}, "unknown"},
		{[]string{`for=`}, "unknown"},
		{[]string{`for`}, "unknown"},
		{[]string{`for=unknown`}, "unknown"},
		{[]string{`for=_hidden`}, "unknown"},
		{[]string{`for=203.0.113.05`}, "unknown"},
		{[]string{`for=203.0.113.5:80`}, "unknown"},
		{[]string{`for="2001:db8::5"`}, "unknown"},
		{[]string{`for=[2001:db8::5]`}, "unknown"},
		{[]string{`for=192.0.2.43;for=192.0.2.44`}, "unknown"},
		{[]string{`for=192.0.2.43;x`}, "unknown"},
		{[]string{`for=192.0.2.43;x=`}, "unknown"},
		{[]string{`for=192.0.2.43;x="`}, "unknown"},
		{[]string{`for=192.0.2.43;x="\`}, "unknown"},
		{[]string{`for=192.0.2.43;x="\"`}, "unknown"},
		{[]string{`for = 192.0.2.43`}, "unknown"},
		{[]string{`for=192.0.2.43 for=192.0.2.44`}, "unknown"},
		{[]string{`for=192.0.2.43,`}, "unknown"},
		{[]string{`for="192.0.2.43`}, "unknown"},
		{[]string{`for="192.0.2.43\`}, "unknown"},
		{[]string{`for="x, for=192.0.2.43`}, "unknown"},
		{[]string{`for=9.9.9.9;x=", for="[2001:db8::5]"`}, "unknown"},
		{[]string{`for=192.0.2.43, for=_proxy, for=10.2.2.2`}, "unknown"},
	}
	for _, test := range tests {
		if got := clientAddress(trusting, "10.0.0.9:1", "Forwarded", test.lines...); got != test.want {
			t.Errorf("%q: %s, want %s", test.lines, got, test.want)
		}
	}
}

// bar 139
func TestNewProxiesRefuses(t *testing.T) {
	for field, attempts := range map[string][]func() error{
		"trusted_proxies": {
			newProxies("", netip.MustParsePrefix("0.0.0.0/0")),
			newProxies("", netip.MustParsePrefix("::/0")),
			newProxies("", netip.MustParsePrefix("::ffff:0:0/96")),
			newProxies("", netip.MustParsePrefix("::ffff:0:0/90")),
			newProxies("", netip.Prefix{}),
		},
		"trusted_proxy_header": {newProxies("X Y"), newProxies("X:Y"), newProxies("X\r\nY")},
	} {
		for i, attempt := range attempts {
			if err := attempt(); latchward.ErrorCode(err) != latchward.CodeInvalid || latchward.ErrorField(err) != field {
				t.Errorf("%s %d: %v", field, i, err)
			}
		}
	}
}

func newProxies(header string, networks ...netip.Prefix) func() error {
	return func() error {
		_, err := httpauth.NewProxies(networks, header)
		return err
	}
}

func TestProxiesTrusts(t *testing.T) {
	p := proxies(t, "", "10.1.2.3/8", "fe80::/64")
	for text, want := range map[string]bool{
		"10.255.0.1": true, "::ffff:10.0.0.1": true, "fe80::1%eth0": true, "11.0.0.1": false, "fe81::1": false,
	} {
		if got := p.Trusts(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	r := httptest.NewRequest("GET", "/", nil)
	for remote, want := range map[string]bool{"10.0.0.9:1": true, "11.0.0.9:1": false, "@": false} {
		if r.RemoteAddr = remote; p.TrustsPeer(r) != want {
			t.Errorf("peer %s: %v", remote, !want)
		}
	}
	if p.Trusts(netip.Addr{}) || (*httpauth.Proxies)(nil).Trusts(netip.MustParseAddr("10.0.0.1")) {
		t.Error("somebody is trusted whom nobody named")
	}
}
