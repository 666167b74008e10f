package scim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
	"github.com/latchward/latchward/latchtest"
	"github.com/latchward/latchward/memory"
	"github.com/latchward/latchward/scim"
)

// world is a handler over a service in memory, with a clock that stands still and a directory that may do everything.
type world struct {
	*latchward.Service
	t       testing.TB
	handler http.Handler
	store   latchward.Store
	log     *logBuffer
	local   context.Context // in which the local administrator acts
	token   string          // the directory's
	now     *atomic.Int64
}

type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(data []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(data)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func newWorld(t testing.TB, change ...func(*scim.Options)) *world {
	t.Helper()
	return newWorldOn(t, memory.New(), change...)
}

func newWorldOn(t testing.TB, store latchward.Store, change ...func(*scim.Options)) *world {
	t.Helper()
	w := &world{t: t, store: store, now: &atomic.Int64{}, log: &logBuffer{}, local: latchtest.Local(context.Background())}
	w.now.Store(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC).UnixNano())
	ring, err := latchward.GenerateKeyRing(latchtest.Seeded(7), w.clock())
	must(t, err)
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.Service, err = latchward.New(t.Context(), latchward.Options{Store: store, Keys: ring, Now: w.clock, Logger: log})
	must(t, err)
	o := scim.Options{
		Service: w.Service, URL: "https://tokens.example.com", Logger: log, Now: w.clock, Guard: httpauth.NewGuard(1000,
			w.clock),
	}
	for _, c := range change {
		c(&o)
	}
	w.handler = scim.Handler(o)
	_, err = w.CreateGroup(w.local, latchward.NewGroup{Name: "directory"})
	must(t, err)
	w.token = w.issue(latchward.NewToken{Permissions: []string{"*", "users.*", "groups.*"},
		RateLimit: latchward.MaxRateLimit})
	return w
}

func must(t testing.TB, err error) {
	if t.Helper(); err != nil {
		t.Fatal(err)
	}
}

func (w *world) clock() time.Time        { return time.Unix(0, w.now.Load()).UTC() }
func (w *world) advance(d time.Duration) { w.now.Add(int64(d)) }

// issue creates a service token of the group directory, and returns its secret.
func (w *world) issue(n latchward.NewToken) string {
	w.t.Helper()
	n.Kind = latchward.KindService
	if n.Owner == nil {
		n.Owner = &latchward.Owner{Type: latchward.OwnerGroup, ID: 1}
	}
	issued, err := w.CreateToken(w.local, n)
	must(w.t, err)
	return issued.Secret.Expose()
}

// personal creates a personal token of a user.
func (w *world) personal(id latchward.UserID) latchward.Secret {
	w.t.Helper()
	issued, err := w.CreateToken(w.local, latchward.NewToken{
		Owner: &latchward.Owner{Type: latchward.OwnerUser, ID: int64(id)},
	})
	must(w.t, err)
	return issued.Secret
}

// reason verifies a secret.
func (w *world) reason(s latchward.Secret) latchward.Reason {
	w.t.Helper()
	v, err := w.Verify(context.Background(), latchward.VerifyRequest{Secret: s})
	must(w.t, err)
	return v.Reason
}

// reply is an answer, with its body as JSON.
type reply struct {
	t      testing.TB
	asked  string
	status int
	header http.Header
	text   string
	body   any
}

// as sends a request with a token; headers are pairs.
func (w *world) as(token, method, path, body string, headers ...string) *reply {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, scim.Root+path, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/scim+json; charset=utf-8")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, r)
	text, err := io.ReadAll(recorder.Result().Body)
	must(w.t, err)
	a := &reply{t: w.t, asked: method + " " + path + " " + body, status: recorder.Code, header: recorder.Result().Header,
		text: string(text)}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &a.body); err != nil {
			w.t.Fatalf("%s: %v: %s", a.asked, err, text)
		}
		if kind := a.header.Get("Content-Type"); kind != "application/scim+json; charset=utf-8" {
			w.t.Errorf("%s: Content-Type is %q", a.asked, kind)
		}
	}
	return a
}

// do sends a request as the directory.
func (w *world) do(method, path, body string, headers ...string) *reply {
	w.t.Helper()
	return w.as(w.token, method, path, body, headers...)
}

// want checks the status, and of a refusal the scimType, "" for none.
func (a *reply) want(status int, kind ...string) *reply {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s: status %d, want %d: %s", a.asked, a.status, status, a.text)
	}
	if status >= 400 {
		if a.get("schemas.0") != "urn:ietf:params:scim:api:messages:2.0:Error" || a.get("status") != fmt.Sprint(status) ||
			a.get("detail") == nil {
			a.t.Errorf("%s: a refusal that is none of SCIM: %s", a.asked, a.text)
		}
	}
	if len(kind) == 1 {
		if is, _ := a.get("scimType").(string); is != kind[0] {
			a.t.Errorf("%s: scimType %q, want %q: %s", a.asked, is, kind[0], a.text)
		}
	}
	return a
}

// get returns what is at a path such as "emails.0.value"; nil for nothing.
func (a *reply) get(path string) any {
	at := a.body
	for step := range strings.SplitSeq(path, ".") {
		switch value := at.(type) {
		case map[string]any:
			at = value[step]
		case []any:
			i := 0
			if _, err := fmt.Sscan(step, &i); err != nil || i >= len(value) {
				return nil
			}
			at = value[i]
		default:
			return nil
		}
	}
	return at
}

// is checks members; pairs of a path and its value.
func (a *reply) is(pairs ...any) *reply {
	a.t.Helper()
	for i := 0; i+1 < len(pairs); i += 2 {
		if got := a.get(pairs[i].(string)); got != pairs[i+1] {
			a.t.Errorf("%s: %s is %#v, want %#v: %s", a.asked, pairs[i], got, pairs[i+1], a.text)
		}
	}
	return a
}

// id returns the id of the resource in the answer.
func (a *reply) id() string {
	a.t.Helper()
	id, ok := a.get("id").(string)
	if !ok {
		a.t.Fatalf("%s: there is no id: %s", a.asked, a.text)
	}
	return id
}

// values returns one member of every resource of a list.
func (a *reply) values(member string) []string {
	a.t.Helper()
	list, ok := a.get("Resources").([]any)
	if !ok {
		a.t.Fatalf("%s: there are no Resources: %s", a.asked, a.text)
	}
	found := []string{}
	for i := range list {
		text, _ := a.get(fmt.Sprintf("Resources.%d.%s", i, member)).(string)
		found = append(found, text)
	}
	return found
}

const (
	userURN  = `"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"]`
	groupURN = `"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"]`
	patchURN = `"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"]`
)

// newUser creates a user with that name and returns the answer.
func (w *world) newUser(name string, more ...string) *reply {
	w.t.Helper()
	body := fmt.Sprintf(`{%s,"userName":%q`, userURN, name)
	for _, m := range more {
		body += "," + m
	}
	return w.do("POST", "/Users", body+"}").want(201)
}

func (w *world) newGroup(name string, members ...string) *reply {
	w.t.Helper()
	return w.do("POST", "/Groups", fmt.Sprintf(`{%s,"displayName":%q,"members":[%s]}`, groupURN, name,
		memberList(members))).want(201)
}

func memberList(ids []string) string {
	var list []string
	for _, id := range ids {
		list = append(list, fmt.Sprintf(`{"value":%q}`, id))
	}
	return strings.Join(list, ",")
}

// patch sends operations.
func (w *world) patch(path string, operations ...string) *reply {
	w.t.Helper()
	return w.do("PATCH", path, patchOf(operations...))
}

func patchOf(operations ...string) string {
	return fmt.Sprintf(`{%s,"Operations":[%s]}`, patchURN, strings.Join(operations, ","))
}

// members returns the ids of a group's members.
func (w *world) members(id string) string {
	w.t.Helper()
	a := w.do("GET", "/Groups/"+id, "").want(200)
	ids := []string{}
	for i := 0; a.get(fmt.Sprintf("members.%d", i)) != nil; i++ {
		ids = append(ids, a.get(fmt.Sprintf("members.%d.value", i)).(string))
	}
	return strings.Join(ids, " ")
}

// entries counts the entries of the audit log.
func (w *world) entries() int {
	w.t.Helper()
	entries, err := w.AuditEntries(w.local, latchward.AuditFilter{Limit: latchward.MaxPage})
	must(w.t, err)
	return len(entries)
}
