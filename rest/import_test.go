package rest_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

const importPath = "/api/latchward/tokens/import"

func oldSecret(n int) string { return fmt.Sprintf("acme-5Hk2mQ8ZtR4w-%d", n) }

func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// sendLines sends a body that is not JSON as a whole.
func (w *world) sendLines(bearer, query, media, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, importPath+query, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+bearer)
	r.Header.Set("Content-Type", media)
	r.RemoteAddr = "192.0.2.7:1234"
	return w.serve(r)
}

func (w *world) importAs(bearer, query string, lines ...string) rest.ImportReply {
	w.t.Helper()
	answer := w.sendLines(bearer, query, "application/x-ndjson", strings.Join(lines, "\n"))
	return decode[rest.ImportReply](w.t, answer, http.StatusOK)
}

// B-03: each line fails or succeeds alone, and says why; and the old secrets go on working.
func TestImportTellsOfEachLine(t *testing.T) {
	w := newPopulated(t)
	group := `"group:ops"`
	lines := []string{
		`{"token":"` + oldSecret(1) + `","name":"One","owner":"1","rate_limit":7,"metadata":{"a":1},"external_id":"x-1"}`,
		`{"digest":"` + sumOf(oldSecret(2)) + `","kind":"service","owner":` + group + `,"permissions":["orders.read"]}`,
		``,
		`{"token":"` + oldSecret(1) + `"}`,
		`{"token":"` + oldSecret(3) + `","rate_limit":0}`,
		`{"token":"` + oldSecret(4) + `","algorithm":"rot13"}`,
		`{"token":"` + oldSecret(5) + `","secret":1}`,
		`{"token":"` + oldSecret(6) + `"`,
		`{"digest":"` + sumOf("x")[:63] + `"}`,
		`{"digest":"` + sumOf("x") + `","owner":"nobody@example.com"}`,
		`{"digest":"$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"}`,
		`{"digest":"` + sumOf("y") + `","algorithm":"sha256-salt-token","lookup_prefix":"acme"}`,
		`{"token":"short"}`, `{"token":"aaaaaaaaaaaaaaaaaaaaaaaa"}`, `{"token":"eyJhbGciOi.eyJzdWIiOjF9.c2lnbmF0dXJl"}`,
		`{"token":"lw_5Hk2mQ8ZtR4w-from-elsewhere"}`, `{"token":"` + oldSecret(7) + `","allowed_networks":["10.0.0.0/33"]}`,
		`{}`, `[]`, `7`, `{"token":"` + oldSecret(8) + `","token":"` + oldSecret(9) + `"}`,
	}
	wantFields := map[int64]string{
		5: "rate_limit", 6: "algorithm", 7: "secret", 8: "", 9: "digest", 10: "owner", 11: "lookup_prefix", 12: "salt",
		13: "token", 14: "token", 15: "token", 16: "token", 17: "allowed_networks[0]", 18: "digest", 19: "", 20: "", 21: "token",
	}
	reply := w.importAs(adminJWT, "?import=move-1", lines...)
	if reply.Created != 2 || reply.Skipped != 1 || reply.Failed != len(wantFields)-0 || reply.Import != "move-1" {
		t.Errorf("%d created, %d skipped, %d failed of %q", reply.Created, reply.Skipped, reply.Failed, reply.Import)
	}
	text, err := json.Marshal(reply)
	must(t, err)
	for i := range 10 {
		if strings.Contains(string(text), oldSecret(i)) {
			t.Errorf("the report repeats a secret: %s", text)
		}
	}
	for _, result := range reply.Results {
		field, fails := wantFields[result.Line]
		if fails != (result.Status == latchward.ImportFailed) || fails && (result.Field != field || result.Code != "invalid" || result.Error == "") {
			t.Errorf("line %d: %+v, want field %q", result.Line, result, field)
		}
	}
	if results := reply.Results; *results[2].TokenID != *results[0].TokenID || results[2].Line != 4 {
		t.Errorf("a secret that comes twice: %+v", results[2])
	}
	one := decode[rest.TokenReply](t, w.do(http.MethodGet, fmt.Sprintf("/api/api-tokens/%d", *reply.Results[0].TokenID), adminJWT, ""), 200).Token
	if one.Name != "One" || one.RateLimit != 7 || one.Metadata["external_id"] != "x-1" || one.Metadata["a"] != 1.0 ||
		one.Imported == nil || *one.Imported != "move-1" {
		t.Errorf("%+v", one)
	}
	if !w.allows(oldSecret(2), "orders.read") || w.allows(oldSecret(2), "orders.write") || w.allows(oldSecret(3), "orders.read") {
		t.Error("the imported service token holds something else")
	}
}

// A dry run says what would be and changes nothing; stopping at an error leaves out what follows.
func TestImportTries(t *testing.T) {
	w := newPopulated(t)
	lines := []string{`{"token":"` + oldSecret(1) + `"}`, `{"token":"x"}`, `{"token":"` + oldSecret(2) + `"}`}
	if reply := w.importAs(adminJWT, "?dry_run=true", lines...); reply.Created != 2 || reply.Failed != 1 || !reply.DryRun ||
		reply.Results[0].TokenID != nil || w.allows(oldSecret(1), "a.b") {
		t.Errorf("dry run: %+v", reply)
	}
	if reply := w.importAs(adminJWT, "?stop_on_error=true&first_line=10", lines...); reply.Created != 1 || len(reply.Results) != 2 ||
		reply.Results[1].Line != 11 {
		t.Errorf("stopped: %+v", reply)
	}
	entries, err := w.service.AuditEntries(asAdmin(), latchward.AuditFilter{Action: latchward.ActionTokenImport})
	must(t, err)
	if len(entries) != 1 || entries[0].After["lines"] != "10-11" || entries[0].After["created"] != 1.0 && entries[0].After["created"] != 1 {
		t.Errorf("%d audit entries: %+v", len(entries), entries[0].After)
	}
	if reply := w.importAs(adminJWT, "", lines...); reply.Created != 1 || reply.Skipped != 1 || len(reply.Import) != 64 {
		t.Errorf("again: %+v", reply)
	}
	if reply := w.importAs(adminJWT, "", lines...); reply.Created != 0 || reply.Skipped != 2 {
		t.Errorf("and again: %+v", reply)
	}
}

// bar 98, 114: only what says that it is lines of JSON is read.
func TestImportMedia(t *testing.T) {
	w := newPopulated(t)
	for media, want := range map[string]int{
		"application/x-ndjson": 200, "application/X-NDJSON; charset=utf-8": 200, "application/json": 200, "text/plain": 415,
		"application/x-ndjsonx": 415, "text/csv": 415,
	} {
		answer := w.sendLines(adminJWT, "", media, `{"token":"x"}`)
		if answer.Code != want {
			t.Errorf("%s: status %d, want %d", media, answer.Code, want)
		}
	}
	large := strings.Repeat(`{"token":"x"}`+"\n", rest.MaxBody/14+1)
	if answer := w.sendLines(adminJWT, "", "application/x-ndjson", large); answer.Code != 413 {
		t.Errorf("over 1 MiB: status %d", answer.Code)
	}
	packed := httptest.NewRequest(http.MethodPost, importPath, strings.NewReader("x"))
	packed.Header = http.Header{
		"Authorization": {"Bearer " + adminJWT}, "Content-Type": {"application/x-ndjson"}, "Content-Encoding": {"gzip"},
	}
	if answer := w.serve(packed); answer.Code != http.StatusUnsupportedMediaType {
		t.Errorf("compressed: status %d", answer.Code)
	}
}

// bar 104: whoever imports gives nobody more than they hold.
func TestImportAtMostTheImporter(t *testing.T) {
	w := shop(t)
	parent := w.issue(latchward.NewToken{
		Kind: latchward.KindService, Permissions: []string{"tokens.import", "tokens.create", "products.read"}, RateLimit: 50,
		AllowedNetworks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, ExpiresAt: start.Add(48 * time.Hour),
	})
	const within = `,"kind":"service","rate_limit":50,"allowed_networks":["192.0.2.7"],"expires_at":"` + "2026-11-23" + `"`
	ends := start.Add(24 * time.Hour).Format(time.RFC3339)
	line := func(n int, more string) string {
		more = strings.Replace(more, "2026-11-23", ends, 1)
		return fmt.Sprintf(`{"digest":"%s"%s}`, sumOf(oldSecret(n)), more)
	}
	reply := w.importAs(parent.Secret.Expose(), "",
		line(1, within+`,"permissions":["products.read"]`),
		line(2, within+`,"permissions":["products.write"]`),
		line(3, within+`,"permissions":["tokens.import"]`),
		line(4, within+`,"roles":["administrator"]`),
		line(5, `,"kind":"service","rate_limit":50,"expires_at":"`+ends+`"`),
		line(6, `,"kind":"service","rate_limit":51,"allowed_networks":["192.0.2.7"],"expires_at":"`+ends+`"`),
		line(7, `,"kind":"service","rate_limit":50,"allowed_networks":["192.0.2.7"]`),
		line(8, within+`,"owner":"1"`),
		line(9, `,"rate_limit":50,"allowed_networks":["192.0.2.7"],"owner":"1","expires_at":"`+ends+`"`),
	)
	for i, want := range []string{"", "permissions[0]", "permissions", "roles[0]", "allowed_networks", "rate_limit", "expires_at", "", "owner"} {
		result := reply.Results[i]
		if created := result.Status == latchward.ImportCreated; created != (want == "") || result.Field != want ||
			!created && result.Code != "forbidden" {
			t.Errorf("line %d: %+v, want %q", i+1, result, want)
		}
	}
	bob := w.issue(latchward.NewToken{Kind: latchward.KindService, Permissions: []string{"tokens.import"}})
	reply = w.importAs(bob.Secret.Expose(), "", line(20, `,"owner":"2","kind":"service"`), line(21, `,"owner":"nobody@x.y","kind":"service"`))
	for _, result := range reply.Results { // who may not create for others does not learn who there is
		if result.Field != "owner" || result.Code != "forbidden" {
			t.Errorf("for others: %+v", result)
		}
	}
	if denied, err := w.service.AuditEntries(asAdmin(), latchward.AuditFilter{Outcome: latchward.OutcomeDenied, Action: "token.import"}); err != nil || len(denied) != 2 {
		t.Errorf("%d denials, %v", len(denied), err)
	}
}

// creating a token with a secret of one's own choice is left to imports.
func TestCreateTakesNoSecret(t *testing.T) {
	w := newPopulated(t)
	for _, member := range []string{"token", "digest", "lookup_prefix"} {
		p := problem(t, w.do(http.MethodPost, "/api/api-tokens", adminJWT, `{"`+member+`":"`+oldSecret(1)+`"}`))
		if p.Status != http.StatusBadRequest || p.Field != member || strings.Contains(p.Error+p.Detail, oldSecret(1)) {
			t.Errorf("%s: %+v", member, p)
		}
	}
}

func TestClientImports(t *testing.T) {
	w := newPopulated(t)
	client := w.adminClient()
	line, err := json.Marshal(rest.ImportLine{
		Digest: rest.Some(sumOf(oldSecret(1))), Name: rest.Some("Old"), ExpiresAt: rest.Some(rest.Time{Time: start.Add(time.Hour)}),
		Owner: rest.Some("1"), Algorithm: rest.Some(latchward.ForeignSHA256),
	})
	must(t, err)
	reply, err := client.ImportTokens(context.Background(), rest.ImportQuery{Import: "a", FirstLine: 3}, line)
	must(t, err)
	if reply.Created != 1 || reply.Results[0].Line != 3 {
		t.Errorf("%+v", reply)
	}
	_, err = client.ImportTokens(context.Background(), rest.ImportQuery{Import: "no blanks"}, line)
	wantCode(t, err, latchward.CodeInvalid, "import")
}
