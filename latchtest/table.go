package latchtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/internal/jwt"
)

// A Surface is one way to ask for a verdict: the service itself, or something that translates for it.
type Surface struct {
	// Verify asks. It returns the reason of the verdict and what remains of the limit (-1 when the surface does not say).
	Verify func(ctx context.Context, r latchward.VerifyRequest) (reason latchward.Reason, remaining int64, err error)
	// Public surfaces do not tell malformed, not_found and revoked apart: any of them answers for the others.
	Public bool
}

// World is what a table of verdicts starts with; the file's world.json.
type World struct {
	Now      time.Time
	Roles    map[string][]string // their permissions
	Groups   map[string]WorldGroup
	Licenses map[string]WorldLicense
	Users    map[string]WorldUser
	Tokens   map[string]WorldToken
}

// WorldUser is a user of a [World].
type WorldUser struct {
	Administrator           bool
	Roles, Groups, Licenses []string
}

// WorldToken is a token of a [World]; members mean what they mean in latchward.NewToken.
type WorldToken struct {
	Owner            string // a user, or "group:NAME"
	Kind             latchward.Kind
	RateLimit        int64
	AllowedEndpoints []string
	AllowedNetworks  []string
	Permissions      []string
	Roles            []string
	Groups           []string
	Licenses         []string
	ExpiresAt        time.Time
	NotBefore        time.Time
	IdleTimeoutDays  int
}

// RunVerifyTable runs every testdata/verify file of dir, each against a fresh store: a world, then steps in order.
// surface is called once for each file with the service and its clock. It fails when dir holds no files.
//
// A step is one line:
//
//	TOKEN METHOD PATH ADDRESS [MORE…] -> REASON [remaining=N]    "-" for what is not told
//	advance 60s                                                              moves the clock
//	disable|enable|revoke|rotate|delete|sweep TOKEN                          changes a token
//	disable-user|enable-user|remove-user USER
//	derive TOKEN NAME [permission=P…] [endpoint=E…] [audience=A] [address=IP] [lifetime=D]
//	                                                                         exchanges it, which costs a unit; + is a space
//	revoke-derived NAME                                                      ends that one alone
//	rotate-signing|revoke-signing NOW                                        the signing key, with an overlap or at once
//	endpoints|limit TOKEN VALUE                                              changes what it may
//	user-roles|user-groups|user-licenses USER LIST                           changes what a user has
//	token-permissions|token-roles|token-groups|token-licenses TOKEN LIST     changes what a token has
//	role-permissions ROLE LIST, delete-role ROLE
//	group-roles GROUP LIST, disable-group|enable-group|remove-group GROUP
//	license-until LICENSE TIME, delete-license LICENSE
//
// MORE is permission=P, query=Q with "+" for spaces, license=L or cost=N. A LIST is parted by commas, and - is none.
//
// TOKEN is a name of the world; NAME.old is its secret before the last rotation, NAME~N the secret with character N
// replaced by another of the alphabet, and - no credential at all.
func RunVerifyTable(
	t *testing.T, dir string, newStore func(t *testing.T) latchward.Store,
	surface func(t *testing.T, s *latchward.Service, now func() time.Time) Surface,
) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no tables of verdicts in %s (%v)", dir, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			w := newTable(t, file, newStore(t))
			w.surface = surface(t, w.service, w.clock)
			for number, line := range strings.Split(w.steps, "\n") {
				if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
					w.step(t, fmt.Sprintf("step line %d: %s", number+1, line), line)
				}
			}
		})
	}
}

type table struct {
	service *latchward.Service
	surface Surface
	now     time.Time
	users   map[string]latchward.UserID
	tokens  map[string]latchward.TokenID
	secrets map[string]latchward.Secret
	rights  rights
	steps   string
}

func (w *table) clock() time.Time { return w.now }

func newTable(t *testing.T, file string, store latchward.Store) *table {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	w := &table{
		users: map[string]latchward.UserID{}, tokens: map[string]latchward.TokenID{}, secrets: map[string]latchward.Secret{},
	}
	var world World
	for _, f := range archive.Files {
		switch f.Name {
		case "world.json":
			decoder := json.NewDecoder(bytes.NewReader(f.Data))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(&world); err != nil {
				t.Fatalf("%s: world.json: %v", file, err)
			}
		case "steps":
			w.steps = string(f.Data)
		}
	}
	if !strings.Contains(w.steps, "->") {
		t.Fatalf("%s expects nothing", file)
	}
	w.create(t, world, store)
	return w
}

// Local returns a context in which the local administrator acts.
func Local(ctx context.Context) context.Context {
	return latchward.WithPrincipal(ctx, latchward.Principal{
		Type: latchward.PrincipalLocal, Name: "local", Administrator: true,
	})
}

func (w *table) create(t *testing.T, world World, store latchward.Store) {
	t.Helper()
	w.now = world.Now
	ring, err := latchward.GenerateKeyRing(Seeded(1), w.now)
	if err != nil {
		t.Fatal(err)
	}
	ctx := Local(t.Context())
	w.service, err = latchward.New(ctx, latchward.Options{Store: store, Keys: ring, Now: w.clock, JWT: jwt.Format{}})
	if err != nil {
		t.Fatal(err)
	}
	w.createRights(ctx, t, world)
	for name, u := range world.Users {
		user, err := w.service.CreateUser(ctx, latchward.NewUser{
			Name: name, Administrator: u.Administrator, Roles: u.Roles, Groups: u.Groups, Licenses: u.Licenses,
		})
		if err != nil {
			t.Fatalf("user %s: %v", name, err)
		}
		w.users[name] = user.ID
	}
	for name, wt := range world.Tokens {
		issued, err := w.service.CreateToken(ctx, w.newToken(t, name, wt))
		if err != nil {
			t.Fatalf("token %s: %v", name, err)
		}
		w.tokens[name], w.secrets[name] = issued.Token.ID, issued.Secret
	}
}

func (w *table) newToken(t *testing.T, name string, wt WorldToken) latchward.NewToken {
	t.Helper()
	owner, ok := w.owner(wt.Owner)
	if !ok {
		t.Fatalf("token %s: no owner %q", name, wt.Owner)
	}
	n := latchward.NewToken{
		Name: name, Kind: wt.Kind, Owner: &owner,
		RateLimit: wt.RateLimit, AllowedEndpoints: wt.AllowedEndpoints, Permissions: wt.Permissions,
		Roles: wt.Roles, Groups: wt.Groups, Licenses: wt.Licenses,
		ExpiresAt: wt.ExpiresAt, NotBefore: wt.NotBefore, IdleTimeoutDays: &wt.IdleTimeoutDays,
	}
	for _, text := range wt.AllowedNetworks {
		network, err := latchward.ParseNetwork("allowed_networks", text)
		if err != nil {
			t.Fatalf("token %s: %v", name, err)
		}
		n.AllowedNetworks = append(n.AllowedNetworks, network)
	}
	return n
}

func (w *table) step(t *testing.T, where, line string) {
	t.Helper()
	if request, answer, ok := strings.Cut(line, "->"); ok {
		w.ask(t, where, strings.Fields(request), strings.Fields(answer))
		return
	}
	if err := w.do(Local(t.Context()), strings.Fields(line)); err != nil {
		t.Fatalf("%s: %v", where, err)
	}
}

func (w *table) ask(t *testing.T, where string, request, answer []string) {
	t.Helper()
	r, err := w.request(request)
	if err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	reason, remaining, err := w.surface.Verify(t.Context(), r)
	if err != nil {
		t.Errorf("%s: error %v", where, err)
		return
	}
	want := latchward.Reason(answer[0])
	if reason != want && !(w.surface.Public && invalid(reason) && invalid(want)) {
		t.Errorf("%s: reason %q", where, reason)
	}
	for _, more := range answer[1:] {
		text, ok := strings.CutPrefix(more, "remaining=")
		number, err := strconv.ParseInt(text, 10, 64)
		if !ok || err != nil {
			t.Fatalf("%s: cannot read %q", where, more)
		}
		if remaining >= 0 && remaining != number {
			t.Errorf("%s: remaining %d", where, remaining)
		}
	}
}

func invalid(r latchward.Reason) bool {
	return r == latchward.ReasonMalformed || r == latchward.ReasonNotFound || r == latchward.ReasonRevoked
}

func (w *table) request(words []string) (latchward.VerifyRequest, error) {
	var r latchward.VerifyRequest
	if len(words) < 4 {
		return r, fmt.Errorf("a request is TOKEN METHOD PATH ADDRESS")
	}
	for i, word := range words {
		if word == "-" {
			words[i] = ""
		}
	}
	secret, err := w.secret(words[0])
	if err != nil {
		return r, err
	}
	r.Secret, r.Method, r.Path = secret, words[1], words[2]
	if words[3] != "" {
		if r.Address, err = netip.ParseAddr(words[3]); err != nil {
			return r, err
		}
	}
	for _, word := range words[4:] {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "permission":
			r.Permissions = append(r.Permissions, value)
		case "license":
			r.Licenses = append(r.Licenses, value)
		case "query":
			if r.Query, err = latchward.ParsePermissionQuery("query", strings.ReplaceAll(value, "+", " ")); err != nil {
				return r, err
			}
		case "cost":
			if r.Cost, err = strconv.ParseInt(value, 10, 64); err != nil {
				return r, err
			}
		default:
			return r, fmt.Errorf("unknown word %q", word)
		}
	}
	return r, nil
}

func (w *table) secret(name string) (latchward.Secret, error) {
	if name == "" {
		return latchward.Secret{}, nil
	}
	name, place, flip := strings.Cut(name, "~")
	secret, ok := w.secrets[name]
	if !ok {
		return secret, fmt.Errorf("no token %q", name)
	}
	if !flip {
		return secret, nil
	}
	at, err := strconv.Atoi(place)
	text := []byte(secret.Expose())
	if err != nil || at >= len(text) {
		return secret, fmt.Errorf("no character %s in the secret", place)
	}
	if text[at]++; text[at] == 'z'+1 || text[at] == '9'+1 || text[at] == 'Z'+1 {
		text[at] -= 5
	}
	return latchward.SecretFromText(string(text)), nil
}

func (w *table) do(ctx context.Context, words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("a change is VERB NAME")
	}
	id, s := w.tokens[words[1]], w.service
	var err error
	if known, err := w.doRights(ctx, words); known {
		return err
	}
	switch words[0] {
	case "advance":
		var d time.Duration
		d, err = time.ParseDuration(words[1])
		w.now = w.now.Add(d)
	case "disable", "enable":
		active := words[0] == "enable"
		_, err = s.UpdateToken(ctx, id, latchward.TokenUpdate{Active: &active})
	case "derive":
		err = w.derive(ctx, words[1:])
	case "revoke-derived":
		err = s.RevokeHeld(ctx, latchward.Presented{Secret: w.secrets[words[1]]})
	case "rotate-signing", "revoke-signing":
		err = s.RotateSigningKey(ctx, latchward.SigningRotation{Emergency: words[0] == "revoke-signing"})
	case "endpoints":
		endpoints := words[2:]
		_, err = s.UpdateToken(ctx, id, latchward.TokenUpdate{AllowedEndpoints: &endpoints})
	case "limit":
		var limit int64
		if limit, err = strconv.ParseInt(words[2], 10, 64); err == nil {
			_, err = s.UpdateToken(ctx, id, latchward.TokenUpdate{RateLimit: &limit})
		}
	case "revoke":
		_, err = s.RevokeToken(ctx, id, latchward.Revocation{Note: "table"})
	case "rotate":
		var issued latchward.IssuedToken
		issued, err = s.RotateToken(ctx, id, latchward.Rotation{})
		w.secrets[words[1]+".old"], w.secrets[words[1]] = w.secrets[words[1]], issued.Secret
	case "delete":
		err = s.DeleteToken(ctx, id)
	case "sweep":
		err = s.SweepIdle(ctx)
	case "disable-user", "enable-user":
		active := words[0] == "enable-user"
		_, err = s.UpdateUser(ctx, w.users[words[1]], latchward.UserUpdate{Active: &active})
	case "remove-user":
		err = s.RemoveUser(ctx, w.users[words[1]])
	default:
		err = fmt.Errorf("unknown verb %q", words[0])
	}
	return err
}
