package rest_test

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

// C-05, B-16: the audit log tells who, from where, and what changed.
func TestAudit(t *testing.T) {
	w := newWorld(t, nil)
	r := httptest.NewRequest(http.MethodPost, "/api/api-tokens", strings.NewReader(`{"name":"A"}`))
	r.RemoteAddr = "192.0.2.7:1234"
	r.Header.Set("Authorization", "Bearer "+adminJWT)
	r.Header.Set("Content-Type", "application/json; charset=UTF-8")
	r.Header.Set("User-Agent", "curl/8\xff"+strings.Repeat("x", 300))
	r.Header.Set("X-Request-Id", "req-1")
	secret := decode[rest.TokenReply](t, w.serve(r), 201).Token.Secret.Expose()
	w.do(http.MethodPut, "/api/api-tokens/1", adminJWT, `{"rate_limit":5}`)
	answer := w.do(http.MethodGet, "/api/latchward/audit?target_type=token", adminJWT, "")
	if strings.Contains(answer.Body.String(), secret) {
		t.Error("the audit log holds the secret")
	}
	list := decode[rest.AuditList](t, answer, 200)
	if len(list.Entries) != 2 || list.NextCursor != nil {
		t.Fatalf("%+v", list)
	}
	e := list.Entries[1]
	if e.Action != "token.create" || e.Actor.ID != 1 || e.Actor.Name != "Ada" || *e.Actor.Address != "192.0.2.7" ||
		*e.Actor.RequestID != "req-1" || !strings.HasPrefix(*e.Actor.UserAgent, "curl/8x") || len(*e.Actor.UserAgent) > 255 ||
		e.Target != (rest.Target{Type: "token", ID: 1, Name: "A"}) || e.Before != nil || e.After["name"] != "A" {
		t.Errorf("%s", jsonOf(t, e))
	}
	if e = list.Entries[0]; fmt.Sprint(e.Before, e.After) != "map[rate_limit:100] map[rate_limit:5]" {
		t.Errorf("%s", jsonOf(t, e))
	}
	first := decode[rest.AuditList](t, w.do(http.MethodGet, "/api/latchward/audit?limit=1", adminJWT, ""), 200)
	second := decode[rest.AuditList](t, w.do(http.MethodGet, "/api/latchward/audit?limit=1&cursor="+*first.NextCursor,
		adminJWT, ""), 200)
	if first.Entries[0].ID <= second.Entries[0].ID {
		t.Errorf("entries %d, then %d", first.Entries[0].ID, second.Entries[0].ID)
	}
}

// bar 127: what a person or token was refused over HTTP is on record with where it came from; what nobody in particular
// was refused is not.
func TestDenialsOverHTTP(t *testing.T) {
	eachRoute(t, func(t *testing.T, w *populated, r rest.RouteInfo, c routeCase) {
		denied := func() []rest.AuditEntry {
			return decode[rest.AuditList](t, w.do(http.MethodGet, "/api/latchward/audit?outcome=denied", adminJWT, ""), 200).Entries
		}
		changes := r.Persons && (r.Method != http.MethodGet && r.ID != "verifyAudit" && r.ID != "explain" || r.ID == "exportAudit")
		w.do(r.Method, c.target, "", c.body)
		w.do(r.Method, c.target, brokenJWT, c.body)
		w.do(r.Method, c.target, w.tokens[1].Secret.Expose()+"x", c.body)
		if n := len(denied()); n != 0 {
			t.Errorf("%d entries about nobody in particular", n)
		}
		want := 0
		if w.do(r.Method, c.target, w.tokens[1].Secret.Expose(), c.body); changes || r.ID == "rotateMe" {
			want = 1
		}
		entries := denied()
		if len(entries) != want {
			t.Fatalf("%d entries about a token, want %d", len(entries), want)
		}
		if want > 0 && (entries[0].Actor.Type != "token" || entries[0].Actor.ID != 1 || entries[0].Actor.Address == nil ||
			!strings.Contains(entries[0].Action, entries[0].Target.Type+".") || entries[0].After["reason"] == "") {
			t.Errorf("%s", jsonOf(t, entries[0]))
		}
		if answer := w.do(r.Method, c.target, memberJWT, c.body); changes && answer.Code == http.StatusForbidden {
			want++
		}
		if entries := denied(); len(entries) != want || want == 2 && entries[0].Actor.Name != "Max" {
			t.Errorf("%d entries about a token and a member, want %d: %s", len(entries), want, jsonOf(t, entries))
		}
	})
}

// bar 118: an export is whole, and spreadsheets run nothing of it; JSON stays as it is.
func TestExportAudit(t *testing.T) {
	w := newWorld(t, nil)
	names := []string{"=1+1", "+1", "-1", "@SUM(A1)", " =1", "\uff1d1", "a,b;=1", `say \"hi\"`, "plain"}
	for _, name := range names {
		answer := w.do(http.MethodPost, "/api/api-tokens", adminJWT, `{"name":"`+name+`"}`)
		decode[rest.TokenReply](t, answer, 201)
	}
	client := w.adminClient()
	read := func(format rest.AuditFormat) string {
		export, err := client.ExportAudit(t.Context(), rest.AuditExportQuery{
			Format: format, AuditSelection: rest.AuditSelection{TargetType: "token"},
		})
		must(t, err)
		defer export.Close()
		text, err := io.ReadAll(export)
		must(t, err)
		if export.Newest < int64(len(names)) {
			t.Errorf("the newest entry is %d", export.Newest)
		}
		return string(text)
	}
	lines, err := csv.NewReader(strings.NewReader(read(rest.FormatCSV))).ReadAll()
	must(t, err)
	if len(lines) != len(names)+1 {
		t.Fatalf("%d lines for %d entries", len(lines), len(names))
	}
	for i, want := range []string{"'=1+1", "'+1", "'-1", "'@SUM(A1)", "'=1", "'\uff1d1", "a,b;=1", `say "hi"`, "plain"} {
		if got := lines[i+1][12]; got != want {
			t.Errorf("the name %q became the cell %q, want %q", names[i], got, want)
		}
	}
	decoder := json.NewDecoder(strings.NewReader(read("")))
	for i := range names {
		var e rest.AuditEntry
		must(t, decoder.Decode(&e))
		if want := strings.TrimSpace(strings.ReplaceAll(names[i], `\"`, `"`)); i != 5 && e.Target.Name != want {
			t.Errorf("the name %q became %q", want, e.Target.Name)
		}
	}
	if list, err := client.Audit(t.Context(), rest.AuditQuery{
		AuditSelection: rest.AuditSelection{Action: "audit.export", Actor: "user:1"},
	}); err != nil || len(list.Entries) != 2 || list.Entries[0].After["target_type"] != "token" {
		t.Errorf("exports on record: %s, %v", jsonOf(t, list), err)
	}
	report, err := client.VerifyAudit(t.Context(), rest.AuditCheck{})
	if err != nil || !report.Intact || report.Anchor == nil {
		t.Errorf("%s, %v", jsonOf(t, report), err)
	}
}

// An export holds no more than a page at a time, however long the log is.
func TestExportIsStreamed(t *testing.T) {
	w := newWorld(t, nil)
	for i := range 2100 {
		_, err := w.service.CreateRole(asAdmin(), latchward.NewRole{Name: fmt.Sprintf("r%d", i)})
		must(t, err)
	}
	export, err := w.adminClient().ExportAudit(t.Context(), rest.AuditExportQuery{})
	must(t, err)
	defer export.Close()
	last, lines := int64(0), bufio.NewScanner(export)
	for lines.Scan() {
		var e rest.AuditEntry
		must(t, json.Unmarshal(lines.Bytes(), &e))
		if e.ID != last+1 {
			t.Fatalf("entry %d follows %d", e.ID, last)
		}
		last = e.ID
	}
	if last != export.Newest || last < 2100 {
		t.Errorf("the last entry is %d, want %d", last, export.Newest)
	}
}
