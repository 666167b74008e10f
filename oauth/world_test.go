package oauth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
	"github.com/latchward/latchward/latchtest"
	"github.com/latchward/latchward/memory"
	"github.com/latchward/latchward/oauth"
	"github.com/latchward/latchward/signin"
)

const issuer = "https://tokens.example.com"

var hostSecret = []byte("0123456789abcdef0123456789abcdef")

// world is a handler over a service in memory, with a clock that stands still.
type world struct {
	*latchward.Service
	url   string
	log   *logBuffer
	local context.Context // in which the local administrator acts
	now   atomic.Int64

	persons httpauth.PersonAuthenticator
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

func newWorld(t testing.TB, change func(*oauth.Options)) *world {
	t.Helper()
	w := &world{log: &logBuffer{}, local: latchtest.Local(context.Background())}
	w.now.Store(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC).UnixNano())
	ring, err := latchward.GenerateKeyRing(latchtest.Seeded(7), w.clock())
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.Service, err = latchward.New(t.Context(), latchward.Options{Store: memory.New(), Keys: ring, Now: w.clock, Logger: log,
		JWT: oauth.Format()})
	if err != nil {
		t.Fatal(err)
	}
	w.persons, err = signin.NewJWT(w.Service, signin.JWTOptions{Secret: hostSecret, Now: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	o := oauth.Options{
		Service: w.Service, Persons: w.persons, Issuer: issuer, Base: "/api", Logger: log, Now: w.clock,
		Guard: httpauth.NewGuard(1000, w.clock),
	}
	if change != nil {
		change(&o)
	}
	server := httptest.NewServer(oauth.Handler(o))
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

func (w *world) clock() time.Time        { return time.Unix(0, w.now.Load()).UTC() }
func (w *world) advance(d time.Duration) { w.now.Add(int64(d)) }

// user adds a user who signs in by JWT, and returns that.
func (w *world) user(t testing.TB, name string, roles ...string) (latchward.UserID, string) {
	t.Helper()
	u, err := w.CreateUser(w.local, latchward.NewUser{
		Name: name, ExternalID: name, Roles: roles, Administrator: slices.Contains(roles, "administrator"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return u.ID, w.jwt(t, "JWT", map[string]any{"sub": name})
}

// jwt returns a JWT of that type that the host application signed, with claims beside those that are always needed.
func (w *world) jwt(t testing.TB, kind string, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: hostSecret},
		(&jose.SignerOptions{}).WithType(jose.ContentType(kind)))
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(map[string]any{
		"iss": "latchward", "aud": "latchward", "exp": w.clock().Add(365 * 24 * time.Hour).Unix(),
	}).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// create makes a token as the local administrator.
func (w *world) create(t testing.TB, owner latchward.UserID, n latchward.NewToken) latchward.IssuedToken {
	t.Helper()
	n.Owner = &latchward.Owner{Type: latchward.OwnerUser, ID: int64(owner)}
	issued, err := w.CreateToken(w.local, n)
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

// verifier makes a service token that may introspect.
func (w *world) verifier(t testing.TB, owner latchward.UserID) latchward.IssuedToken {
	t.Helper()
	return w.create(t, owner, latchward.NewToken{
		Name: "resource server", Kind: latchward.KindService, Permissions: []string{latchward.PermissionVerify},
	})
}

func (w *world) reason(t testing.TB, secret string) latchward.Reason {
	t.Helper()
	v, err := w.Verify(w.local, latchward.VerifyRequest{
		Secret: latchward.SecretFromText(secret), Method: "GET", Path: "/products", DryRun: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return v.Reason
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a *answer) decode(t testing.TB, into any) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(a.body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
}

// fault checks that a is a refusal as RFC 6749 §5.2 has it, and returns its description.
func (a *answer) fault(t testing.TB, status int, code string) string {
	t.Helper()
	var body struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	a.decode(t, &body)
	if a.status != status || body.Error != code {
		t.Errorf("answered %d %s, want %d %s", a.status, a.body, status, code)
	}
	if strings.Trim(body.Description, descriptive) != "" || body.Description == "" {
		t.Errorf("the description has characters that it must not have: %q", body.Description)
	}
	if got := a.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control is %q", got)
	}
	return body.Description
}

// descriptive are the characters of an error_description: %x20-21 / %x23-5B / %x5D-7E.
var descriptive = func() string {
	text := ""
	for c := byte(0x20); c <= 0x7e; c++ {
		if c != '"' && c != '\\' {
			text += string(rune(c))
		}
	}
	return text
}()

// post sends parameters to a path; pairs of header name and value follow.
func (w *world) post(t testing.TB, path string, values url.Values, header ...string) *answer {
	t.Helper()
	return w.send(t, http.MethodPost, path, values.Encode(),
		append([]string{"Content-Type", "application/x-www-form-urlencoded"}, header...)...)
}

func (w *world) send(t testing.TB, method, path, body string, header ...string) *answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	reply, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reply.Body.Close() }()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return &answer{reply.StatusCode, reply.Header, string(text)}
}

// exchange asks for a token in exchange for a JWT; pairs of name and value follow, "" leaves a parameter out.
func (w *world) exchange(t testing.TB, jwt string, pairs ...string) *answer {
	t.Helper()
	return w.post(t, oauth.TokenPath, exchanging(jwt, pairs...))
}

func exchanging(jwt string, pairs ...string) url.Values {
	values := url.Values{"grant_type": {oauth.GrantExchange}, "subject_token": {jwt}, "subject_token_type": {oauth.TypeJWT}}
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	return values
}

// issued checks that a holds a token and returns it.
func (a *answer) issued(t testing.TB) oauth.TokenReply {
	t.Helper()
	var reply oauth.TokenReply
	a.decode(t, &reply)
	if a.status != http.StatusOK || reply.AccessToken == "" || reply.TokenType != "Bearer" || reply.IssuedType != oauth.TypeAccessToken {
		t.Fatalf("answered %d %+v", a.status, reply)
	}
	return reply
}
