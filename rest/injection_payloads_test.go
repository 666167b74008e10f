//go:build !race

package rest_test

import (
	"encoding/json"
	"strings"
)

// injectedTexts are what people send who hope that somebody reads it as more than text.
var injectedTexts = []string{
	"'", `"`, "`", `\`, "%", "_", "%_%", "*", "?", "--", ";", "'--", "' OR '1'='1", `" OR ""="`, "1 OR 1=1", "1) OR (1=1",
	"'; DROP TABLE api_tokens; --", "1; DELETE FROM users", "') UNION SELECT token FROM api_tokens --",
	"x' || (SELECT token FROM api_tokens) || '", "id); ATTACH DATABASE 'x' AS y; --", "' AND randomblob(1000000000) --",
	"name COLLATE NOCASE", "created_at DESC, (SELECT 1)", "$.a'", `\' OR 1=1 --`, "''", "%27%20OR%201=1",
	"\x00", "a\x00b", "\r\nSet-Cookie: a=b", "\t", "\x1b[2J", "\u2028", "\u202e", "\ufeff", "é", "e\u0301", "\U0001f41d", "ﬀ",
	"İ", "\u200b", "１", "٣", "<script>alert(1)</script>", "{{7*7}}", "${jndi:ldap://x/a}", "$(id)", "../../etc/passwd", "%s%n",
	"\xff", "\xc0\xae", "\xed\xa0\x80", strings.Repeat("a", 300), strings.Repeat("ä'", 5_000), strings.Repeat("%", 70_000),
	"", " ", "-1", "0", "00", "1e3", "1.5", "0x10", "+1", "9223372036854775807", "9223372036854775808",
	"-9223372036854775809", "18446744073709551616", strings.Repeat("9", 400), "NaN", "Infinity", "true", "null", "undefined",
	"[]", "{}", "2025-13-45", "0000-00-00", "99999-01-01T00:00:00Z", "user:1 OR 1=1", "AAAA", "AAAAAAAAAAAAAAAAAAAAAA==",
}

// injectedJSON are values that are no text, or no JSON.
var injectedJSON = []string{
	"-1", "0", "1.5", "1e400", "-1e400", "1e-400", "9007199254740993", "9223372036854775807", "9223372036854775808",
	"-9223372036854775809", "18446744073709551616", "true", "false", "null", "[]", "{}", "[null]", `[""]`, "[[]]", "[{}]", `{"":""}`,
	`{"__proto__":{}}`, `{"$gt":""}`, `["'","'"]`, "[1,2,3]", "[" + strings.Repeat(`"a",`, 5_000) + `"a"]`, `"\ud800"`, `"\u0000"`,
}

// injectedLiterals are all payloads as they can stand in a body.
func injectedLiterals() (literals []string) {
	for _, text := range injectedTexts {
		literals = append(literals, literalOf(text))
	}
	return append(literals, injectedJSON...)
}

// literalOf is json.Marshal that leaves bytes which are not UTF-8 as they are.
func literalOf(text string) string {
	var b strings.Builder
	for _, part := range strings.SplitAfter(text, "") {
		quoted, err := json.Marshal(part)
		if err != nil || strings.ContainsRune(string(quoted), '�') || strings.Contains(string(quoted), `\ufffd`) {
			b.WriteString(part)
			continue
		}
		b.Write(quoted[1 : len(quoted)-1])
	}
	return `"` + b.String() + `"`
}
