package httpauth

import (
	"net/netip"
	"strings"
)

// forwardedNodes returns the "for" addresses of one line of a Forwarded header (RFC 7239 §4) in order, and an invalid
// address for an element whose "for" is missing, obfuscated or unknown. A line with a fault in its syntax, or with a
// parameter repeated, is one invalid address: a quote left open by a client could otherwise swallow what proxies add.
func forwardedNodes(line string) []netip.Addr {
	var nodes []netip.Addr
	for {
		node, rest, ok := cutElement(line)
		if !ok {
			return []netip.Addr{{}}
		}
		nodes = append(nodes, node)
		if line, ok = strings.CutPrefix(rest, ","); !ok {
			return nodes
		}
	}
}

// cutElement reads one forwarded-element and returns what follows it: "" or a comma and more.
func cutElement(text string) (node netip.Addr, rest string, ok bool) {
	seen := false
	for rest = strings.TrimLeft(text, " \t"); ; rest = rest[1:] {
		var name, value string
		if name, value, rest, ok = cutPair(rest); !ok {
			return node, rest, false
		}
		if strings.EqualFold(name, "for") {
			if seen {
				return node, rest, false
			}
			seen, node = true, parseForwardedNode(value)
		}
		if !strings.HasPrefix(rest, ";") {
			break
		}
	}
	rest = strings.TrimLeft(rest, " \t")
	return node, rest, rest == "" || rest[0] == ','
}

// cutPair reads one forwarded-pair, which may be empty.
func cutPair(text string) (name, value, rest string, ok bool) {
	name, rest = cutToken(text)
	if name == "" {
		return "", "", rest, true
	}
	if rest, ok = strings.CutPrefix(rest, "="); !ok {
		return name, "", rest, false
	}
	if strings.HasPrefix(rest, `"`) {
		value, rest, ok = cutQuoted(rest)
		return name, value, rest, ok
	}
	value, rest = cutToken(rest)
	return name, value, rest, value != ""
}

// cutToken reads a token (RFC 9110 §5.6.2), which may be empty.
func cutToken(text string) (token, rest string) {
	for i := range len(text) {
		if c := text[i]; !isAlphanumeric(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return text[:i], text[i:]
		}
	}
	return text, ""
}

// cutQuoted reads a quoted-string (RFC 9110 §5.6.4).
func cutQuoted(text string) (value, rest string, ok bool) {
	var unquoted []byte
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '"':
			return string(unquoted), text[i+1:], true
		case '\\':
			if i++; i == len(text) {
				return "", "", false
			}
		}
		unquoted = append(unquoted, text[i])
	}
	return "", "", false
}

// parseForwardedNode reads a node (RFC 7239 §6), where IPv6 addresses always have brackets.
func parseForwardedNode(text string) netip.Addr {
	if !strings.HasPrefix(text, "[") && strings.Count(text, ":") > 1 {
		return netip.Addr{}
	}
	return parseNode(text)
}
