//go:build !race

// The database would take minutes under the race detector.

package rest_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
	"github.com/latchward/latchward/rest"
	"github.com/latchward/latchward/sqlite"
)

// injection is a world over a real database, and an eye on that database.
type injection struct {
	*populated
	t     *testing.T
	route rest.RouteInfo
	c     routeCase
	eye   *sql.Conn

	version, rows string           // of the database when it was last looked at
	counts        map[string]int64 // by table, likewise
	usual         map[string]int64 // what one harmless call adds to counts
	calls         int              // that were made, so that each can have names of its own
}

func newInjection(t *testing.T, r rest.RouteInfo, c routeCase) *injection {
	t.Helper()
	path := filepath.Join(t.TempDir(), "latchward.db")
	store, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	db, err := sql.Open("sqlite", path)
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	i := &injection{t: t, route: r, c: c}
	i.populated = newPopulatedIn(t, func(o *latchward.Options) { o.Store, o.CreationLimit = store, 1_000_000 })
	if c.needs != nil {
		c.needs(i.populated)
	}
	i.eye, err = db.Conn(t.Context())
	must(t, err)
	i.look()
	return i
}

// look reads the database anew if it has changed, and reports whether it had.
func (i *injection) look() bool {
	i.t.Helper()
	version := i.ask("PRAGMA data_version")
	if version == i.version {
		return false
	}
	i.version, i.counts = version, map[string]int64{}
	rows := []string{i.ask("SELECT group_concat(sql, char(10)) FROM sqlite_master")}
	for table := range strings.Lines(i.ask("SELECT group_concat(name, char(10)) FROM sqlite_master WHERE type = 'table'")) {
		table = strings.TrimSpace(table)
		if slices.Contains([]string{"audit_entries", "change", "sqlite_sequence"}, table) { // of what was tried
			continue
		}
		list, err := i.eye.QueryContext(context.Background(), "SELECT * FROM "+table)
		must(i.t, err)
		text, count := scanRows(i.t, list)
		rows, i.counts[table] = append(rows, text), count
	}
	i.rows = strings.Join(rows, "\n")
	return true
}

func (i *injection) ask(query string) (text string) {
	i.t.Helper()
	must(i.t, i.eye.QueryRowContext(context.Background(), query).Scan(&text))
	return text
}

func scanRows(t *testing.T, list *sql.Rows) (text string, count int64) {
	t.Helper()
	defer list.Close()
	columns, err := list.Columns()
	must(t, err)
	values, pointers := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		pointers[i] = &values[i]
	}
	var b strings.Builder
	for ; list.Next(); count++ {
		must(t, list.Scan(pointers...))
		fmt.Fprintf(&b, "%q\n", values)
	}
	must(t, list.Err())
	return b.String(), count
}

// bar 111: whatever a parameter holds, on every route, it is text: refused or kept as it is, never an order.
func TestInjection(t *testing.T) {
	eachRoute(t, func(t *testing.T, _ *populated, r rest.RouteInfo, c routeCase) {
		i := newInjection(t, r, c)
		places := i.places()
		i.learn()
		stride := 100 / latchtest.Scale(100, 20) // each payload but the first comes to one place in so many
		for at, p := range places {
			for n, payload := range p.payloads {
				if n > 0 && (n+at)%stride > 0 {
					continue
				}
				if i.try(p, payload) && ends(r) {
					i = newInjection(t, r, c)
					i.learn()
				}
			}
		}
	})
}

// ends reports whether a call that succeeds leaves nothing for the next.
func ends(r rest.RouteInfo) bool {
	return r.ID == "rotateMe" || r.Method == http.MethodDelete || r.Method == http.MethodPost && strings.Contains(r.Path, "{")
}

// learn makes a harmless call and remembers what it does to the number of rows.
func (i *injection) learn() {
	i.t.Helper()
	before := i.counts
	answer := i.serve(i.request(injectedPlace{}, ""))
	if answer.Code != i.c.status {
		i.t.Fatalf("status %d, want %d: %s", answer.Code, i.c.status, answer.Body)
	}
	i.look()
	i.usual = growth(before, i.counts)
	if ends(i.route) {
		again := newInjection(i.t, i.route, i.c)
		again.usual = i.usual
		*i = *again
	}
}

func growth(before, after map[string]int64) map[string]int64 {
	grown := map[string]int64{}
	for table, count := range after {
		if count != before[table] {
			grown[table] = count - before[table]
		}
	}
	return grown
}

// try makes a call with a payload, checks what came of it, and reports whether it succeeded.
func (i *injection) try(p injectedPlace, payload string) (succeeded bool) {
	i.t.Helper()
	before, rows := i.counts, i.rows
	answer := i.serve(i.request(p, payload))
	body := answer.Body.String()
	say := func(what string, args ...any) {
		i.t.Helper()
		i.t.Errorf("%s %s = %.60q: status %d, %s: %.300s", p.in, p.name, payload, answer.Code, fmt.Sprintf(what, args...), body)
	}
	succeeded = answer.Code < 300
	switch {
	case answer.Code >= 500:
		say("which is ours")
	case succeeded && (p.in == "path" || !p.takes(payload)):
		say("for what is no such thing")
	case !succeeded && tellsOfDatabase(body):
		say("which tells of what is behind")
	case !succeeded && !slices.Contains([]int{400, 404, 409, 412, 413}, answer.Code):
		say("which says something else")
	case !succeeded && len(body) > 1500:
		say("at length")
	case succeeded && !p.kept(payload, body):
		say("which is not what was sent")
	case succeeded && p.name == "q" && i.finds(payload, body):
		say("which found what does not hold it")
	}
	if !i.look() {
		return succeeded
	}
	switch changes := succeeded && i.route.Method != http.MethodGet; {
	case !changes && rows != i.rows:
		say("and the database has changed")
	case changes && !i.isUsual(growth(before, i.counts)):
		say("and rows have come and gone as they do not: %v, usually %v", growth(before, i.counts), i.usual)
	}
	return succeeded
}

// isUsual reports whether no table grew or shrank otherwise than with a harmless call, but for what may well be one
// role or group more or less.
func (i *injection) isUsual(grown map[string]int64) bool {
	for table, n := range grown {
		if n != i.usual[table] && (table != "holdings" || n < -1 || n > 1) {
			return false
		}
	}
	return true
}

func tellsOfDatabase(body string) bool {
	body = strings.ToLower(body)
	return strings.Contains(body, "sql") || strings.Contains(body, "constraint") || strings.Contains(body, "syntax error")
}

// finds reports whether a list holds something although no text in the whole list holds what was looked for.
func (i *injection) finds(payload, list string) bool {
	whole := i.serve(i.bare(strings.Split(i.c.target, "?")[0])).Body.String()
	return payload != "" && strings.Contains(list, `"id":`) &&
		!strings.Contains(strings.ToLower(whole), strings.ToLower(payload)) && strings.TrimSpace(payload) != ""
}

func (i *injection) bare(target string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Header.Set("Authorization", "Bearer "+i.bearer(i.route))
	return r
}

// request returns the harmless call with a payload in one place, if that place is named.
func (i *injection) request(p injectedPlace, payload string) *http.Request {
	i.calls++
	i.clock.advance(2 * time.Second) // some answer so many a minute
	target, query, _ := strings.Cut(i.c.target, "?")
	body := i.body(p, payload)
	switch p.in {
	case "path":
		segments := strings.Split(target, "/")
		segments[slices.Index(strings.Split(i.route.Path, "/"), "{"+p.name+"}")] = url.PathEscape(payload)
		target = strings.Join(segments, "/")
	case "query":
		values, err := url.ParseQuery(query)
		must(i.t, err)
		values.Set(p.name, payload)
		query = values.Encode()
	}
	r := newRequest(i.route.Method, "/", body)
	r.URL.RawQuery, r.RequestURI = query, target
	if query != "" {
		r.RequestURI += "?" + query
	}
	u, err := url.ParseRequestURI(r.RequestURI)
	must(i.t, err)
	r.URL = u
	if bearer := i.bearer(i.route); bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	if p.in == "header" {
		r.Header.Set(p.name, payload)
	}
	return r
}

// body returns the harmless body with a literal in one place. What has to be the only one of its name is, every time.
func (i *injection) body(p injectedPlace, literal string) string {
	if i.c.body == "" && p.in != "body" {
		return ""
	}
	var root any = map[string]any{}
	if i.c.body != "" {
		must(i.t, json.Unmarshal([]byte(i.c.body), &root))
	}
	members := root.(map[string]any)
	if i.c.status == http.StatusCreated {
		for _, name := range []string{"name", "email"} {
			if text, ok := members[name].(string); ok {
				members[name] = fmt.Sprintf("n%d-%s", i.calls, strings.ToLower(text))
			}
		}
	}
	if p.in == "body" {
		root = withMember(root, p.path, json.RawMessage(literal))
	}
	return encodeLoose(root)
}
