package server_test

import (
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pageTexts are what people type who hope that somebody reads it as more than text.
var pageTexts = []string{
	"'", "' OR '1'='1' --", "'; DROP TABLE users; --", "%", "a\x00b", "\xff", "-1", "99999999999999999999", strings.Repeat("ä'", 20_000),
}

var (
	forms  = regexp.MustCompile(`(?s)<form[^>]*action="([^"]*)".*?</form>`)
	fields = regexp.MustCompile(`<(?:input|select|textarea)[^>]*name="([^"]*)"`)
)

// bar 111: every field of every form on the pages takes text for text: nothing fails, nobody is signed in, and nothing
// comes or goes in the database.
func TestPagesTakeTextForText(t *testing.T) {
	tried := visit(t, start(t, settings(t, folder(t))).PagesURL()).tryForms("/setup")
	r := start(t, settings(t, folder(t)))
	stranger, ada := visit(t, r.PagesURL()), setUp(t, r)
	before := counts(t, r)
	tried += stranger.tryForms("/signin", "/signin/code", "/signin/password")
	tried += ada.tryForms("/account", "/account/confirm")
	if tried < 20 {
		t.Errorf("only %d fields were found", tried)
	}
	for _, page := range []string{"/signin", "/signin/code", "/signin/oidc/callback", "/account", "/"} {
		for _, name := range []string{"next", "done", "code", "state", "error", "iss"} {
			for _, text := range pageTexts[:8] {
				a := stranger.get(page + "?" + url.Values{name: {text}}.Encode())
				if a.err != nil || a.status >= 500 {
					t.Errorf("GET %s?%s=%q: %d %v", page, name, text, a.status, a.err)
				}
			}
		}
	}
	stranger.get("/account").want(t, "the stranger's account", 200, "Sign in")
	if after := counts(t, r); after != before {
		t.Errorf("the database before and after:\n%s\n%s", before, after)
	}
}

// tryForms sends every form on some pages with every text in every field, and returns how many fields there were.
func (v *visitor) tryForms(pages ...string) (tried int) {
	v.t.Helper()
	for _, page := range pages {
		a := v.get(page)
		for _, form := range forms.FindAllStringSubmatch(a.body, -1) {
			if form[1] == "/signout" {
				continue
			}
			for _, field := range fields.FindAllStringSubmatch(form[0], -1) {
				tried++
				for _, text := range pageTexts {
					a := v.post(form[1], field[1], text)
					if a.err != nil || a.status >= 500 {
						v.t.Errorf("POST %s %s=%.20q: %d %v", form[1], field[1], text, a.status, a.err)
					}
				}
			}
		}
	}
	return tried
}

// counts returns how many rows each table has that forms have no business with, and the schema.
func counts(t *testing.T, r *running) string {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(r.config.Data, "latchward.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var text string
	if err := db.QueryRow("SELECT group_concat(sql) FROM sqlite_master").Scan(&text); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"users", "roles", "groups", "licenses", "holdings", "accounts", "api_tokens", "sessions"} {
		var n int
		if err := db.QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("; %s %d", table, n)
	}
	return text
}
