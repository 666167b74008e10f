package latchward_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/memory"
)

// plainHasher is no hasher: its digests are the passwords. It counts.
type plainHasher struct {
	mu     sync.Mutex
	checks int
}

func (h *plainHasher) Digest(_ context.Context, p latchward.Secret) (string, error) {
	return "plain:" + p.Expose(), nil
}

func (h *plainHasher) Matches(_ context.Context, p latchward.Secret, digest string) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks++
	return digest == "plain:"+p.Expose(), nil
}

func (h *plainHasher) Outdated(string) bool { return false }

// people is a service with a first administrator, and a clock that stands still.
type people struct {
	*latchward.Service
	t      *testing.T
	store  *memory.Store
	hasher plainHasher
	mu     sync.Mutex
	at     time.Time
}

const goodPassword = "correct horse battery staple"

func newPeople(t *testing.T) *people {
	t.Helper()
	p := &people{t: t, store: memory.New(), at: time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)}
	ring, err := latchward.GenerateKeyRing(rand.Reader, p.at)
	if err != nil {
		t.Fatal(err)
	}
	p.Service, err = latchward.New(t.Context(), latchward.Options{
		Store: p.store, Keys: ring, Passwords: &p.hasher,
		Now: func() time.Time { p.mu.Lock(); defer p.mu.Unlock(); return p.at },
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *people) wait(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = p.at.Add(d)
}

func (p *people) setUp() *latchward.SignedIn {
	p.t.Helper()
	secret, err := p.BeginSetup(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	begun, err := p.SetUp(p.t.Context(), latchward.FirstAdministrator{
		Secret: secret, Name: "Ada", Email: "ada@example.com", Password: latchward.SecretFromText(goodPassword),
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return begun
}

func (p *people) signIn(email, password string, device latchward.Secret, from string) (*latchward.SignedIn, error) {
	return p.SignInPassword(p.t.Context(), latchward.PasswordSignIn{
		Email: email, Password: latchward.SecretFromText(password), Device: device,
		Origin: latchward.Origin{Address: netip.MustParseAddr(from)},
	})
}

// as returns a context in which the person of a session acts.
func (p *people) as(begun *latchward.SignedIn) context.Context {
	p.t.Helper()
	who, session, err := p.UseSession(p.t.Context(), begun.Secret)
	if err != nil {
		p.t.Fatal(err)
	}
	return latchward.WithSession(latchward.WithPrincipal(p.t.Context(), who), session)
}

func wantCode(t *testing.T, what string, err error, want latchward.Code) {
	t.Helper()
	if got := latchward.ErrorCode(err); got != want {
		t.Errorf("%s: %v is of code %q, want %q", what, err, got, want)
	}
}

// bar 117: many guess at one account, and its owner signs in all the same
func TestGuessesAtOneAccount(t *testing.T) {
	p := newPeople(t)
	owner := p.setUp()
	for _, email := range []string{"ada@example.com", "nobody@example.com"} {
		p.hasher.checks = 0
		for i := range 10_000 {
			spelled := []string{email, strings.ToUpper(email), " " + email}[i%3]
			_, err := p.signIn(spelled, fmt.Sprint("guess ", i), latchward.Secret{}, fmt.Sprintf("10.0.%d.%d", i%1000/250,
				i%250))
			if code := latchward.ErrorCode(err); code != latchward.CodeUnauthenticated && code != latchward.CodeExhausted {
				t.Fatalf("guess %d: %v", i, err)
			}
		}
		if p.hasher.checks != 10 {
			t.Errorf("%s: %d real checks, want 10", email, p.hasher.checks)
		}
	}
	_, err := p.signIn("ada@example.com", goodPassword, latchward.Secret{}, "10.9.9.9")
	wantCode(t, "the right password on an unknown device", err, latchward.CodeExhausted)
	if _, err := p.signIn("ada@example.com", goodPassword, owner.Device, "10.0.0.1"); err != nil {
		t.Errorf("the owner on a known device: %v", err)
	}
	p.hasher.checks = 0
	for range 100 {
		_, err = p.signIn("ada@example.com", "wrong", owner.Device, "10.0.0.1")
	}
	if wantCode(t, "a device that was stolen", err, latchward.CodeExhausted); p.hasher.checks != 10 {
		t.Errorf("%d real checks on a known device, want 10", p.hasher.checks)
	}
	p.wait(15*time.Minute + time.Second)
	if _, err := p.signIn("ada@example.com", goodPassword, latchward.Secret{}, "10.9.9.9"); err != nil {
		t.Errorf("a quarter of an hour later: %v", err)
	}
}

// bar 117: one address guesses at many accounts
func TestGuessesFromOneAddress(t *testing.T) {
	p := newPeople(t)
	p.setUp()
	for i := range 10_000 {
		from := []string{"192.0.2.1", "::ffff:192.0.2.1"}[i%2]
		_, _ = p.signIn(fmt.Sprintf("user%d@example.com", i), "guess", latchward.Secret{}, from)
	}
	if p.hasher.checks != 50 {
		t.Errorf("%d real checks, want 50", p.hasher.checks)
	}
	p.hasher.checks = 0
	for i := range 1000 {
		_, _ = p.signIn(fmt.Sprintf("other%d@example.com", i), "guess", latchward.Secret{}, fmt.Sprintf("2001:db8::%x", i+1))
	}
	if p.hasher.checks != 50 {
		t.Errorf("%d real checks for one network of IPv6, want 50", p.hasher.checks)
	}
}

// bar 117: unknown, disabled, without a password, wrong: one answer, and one check each
func TestSignInTellsNothing(t *testing.T) {
	p := newPeople(t)
	admin := p.as(p.setUp())
	bob, err := p.CreateUser(admin, latchward.NewUser{Email: "bob@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	off := false
	if _, err := p.UpdateUser(admin, bob.ID, latchward.UserUpdate{Active: &off}); err != nil {
		t.Fatal(err)
	}
	texts := map[string]bool{}
	for _, email := range []string{"ada@example.com", "bob@example.com", "nobody@example.com", "", strings.Repeat("x",
		5000)} {
		before := p.hasher.checks
		_, err := p.signIn(email, "wrong", latchward.Secret{}, "192.0.2.1")
		wantCode(t, email, err, latchward.CodeUnauthenticated)
		if texts[err.Error()] = true; p.hasher.checks != before+1 {
			t.Errorf("%.20q: %d checks, want 1", email, p.hasher.checks-before)
		}
	}
	if len(texts) != 1 {
		t.Errorf("different answers: %v", texts)
	}
}

// bar 115: sessions end by themselves
func TestSessionsEnd(t *testing.T) {
	p := newPeople(t)
	use := func(s latchward.Secret) error { _, _, err := p.UseSession(t.Context(), s); return err }
	idle := p.setUp()
	p.wait(latchward.SessionIdle - time.Millisecond)
	if err := use(idle.Secret); err != nil {
		t.Errorf("just before it is idle for too long: %v", err)
	}
	p.wait(latchward.SessionIdle)
	wantCode(t, "idle for too long", use(idle.Secret), latchward.CodeUnauthenticated)

	busy, err := p.signIn("ada@example.com", goodPassword, latchward.Secret{}, "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	for end := p.at.Add(latchward.SessionLife); p.at.Before(end); p.wait(10 * time.Minute) {
		if err := use(busy.Secret); err != nil {
			t.Fatalf("%v before its end: %v", end.Sub(p.at), err)
		}
	}
	wantCode(t, "at its end", use(busy.Secret), latchward.CodeUnauthenticated)
	wantCode(t, "no secret", use(latchward.Secret{}), latchward.CodeUnauthenticated)
	wantCode(t, "its id", use(latchward.SecretFromText(busy.Session.ID.String())), latchward.CodeUnauthenticated)
}

// bar 115: noting that a session is in use costs a write a minute
func TestSessionsAreSeenOnceAMinute(t *testing.T) {
	p := newPeople(t)
	begun := p.setUp()
	seen := map[time.Time]bool{}
	for range 120 {
		p.wait(time.Second)
		p.as(begun)
		stored, err := p.store.Session(t.Context(), begun.Session.ID)
		if err != nil {
			t.Fatal(err)
		}
		seen[stored.SeenAt] = true
	}
	if len(seen) != 3 {
		t.Errorf("seen at %d instants in two minutes, want 3: the beginning and two more", len(seen))
	}
}

// bar 116: what lets people in needs a proof that is not old
func TestStepUp(t *testing.T) {
	p := newPeople(t)
	begun := p.setUp()
	ctx := p.as(begun)
	if _, err := p.EnrolTOTP(ctx); err != nil {
		t.Errorf("just signed in: %v", err)
	}
	p.wait(latchward.RecentSignIn)
	ctx = p.as(begun)
	key := latchward.Passkey{ID: "x", Name: "Key", Credential: []byte("{}")}
	identity := latchward.LinkedIdentity{Issuer: "https://id.example", Subject: "1"}
	_, enrolled := p.EnrolTOTP(ctx)
	_, codes := p.NewRecoveryCodes(ctx)
	_, confirmed := p.ConfirmTOTP(ctx, "123456")
	for what, err := range map[string]error{
		"enrol": enrolled, "confirm": confirmed, "codes": codes, "remove": p.RemoveTOTP(ctx), "passkey": p.AddPasskey(ctx,
			key),
		"remove passkey": p.RemovePasskey(ctx, "x"), "link": p.LinkIdentity(ctx, identity), "unlink": p.UnlinkIdentity(ctx,
			identity),
	} {
		if !latchward.NeedsConfirmation(err) {
			t.Errorf("%s five minutes later: %v", what, err)
		}
	}
	_, err := p.Reauthenticate(ctx, latchward.SecretFromText("wrong"))
	wantCode(t, "a wrong password", err, latchward.CodeUnauthenticated)
	renewed, err := p.Reauthenticate(ctx, latchward.SecretFromText(goodPassword))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.UseSession(t.Context(), begun.Secret); latchward.ErrorCode(err) != latchward.CodeUnauthenticated {
		t.Errorf("the secret from before: %v", err)
	}
	if err := p.AddPasskey(p.as(renewed), key); err != nil {
		t.Errorf("having confirmed: %v", err)
	}
}

// bar 142
func TestSetupExpires(t *testing.T) {
	p := newPeople(t)
	secret, err := p.BeginSetup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.wait(latchward.SetupLife)
	_, err = p.SetUp(t.Context(), latchward.FirstAdministrator{
		Secret: secret, Email: "ada@example.com", Password: latchward.SecretFromText(goodPassword),
	})
	wantCode(t, "a quarter of an hour later", err, latchward.CodeUnauthenticated)
	p.setUp()
	_, err = p.BeginSetup(t.Context())
	wantCode(t, "when there is an administrator", err, latchward.CodeConflict)
}

// C-09, B-18: who may issue a code, and what becomes of it
func TestPasswordCode(t *testing.T) {
	p := newPeople(t)
	admin := p.as(p.setUp())
	manager, err := p.CreateUser(admin, latchward.NewUser{Email: "max@example.com", Roles: []string{"manager"}})
	if err != nil {
		t.Fatal(err)
	}
	use := func(email string, code latchward.Secret, password string) error {
		return p.UsePasswordCode(t.Context(), latchward.PasswordCodeUse{
			Email: email, Code: code, Password: latchward.SecretFromText(password),
		})
	}
	code, ends, err := p.IssuePasswordCode(admin, manager.ID)
	if err != nil || ends.Sub(p.at) != 24*time.Hour || len(code.Expose()) < 26 {
		t.Fatalf("%v, %v", ends, err)
	}
	wantCode(t, "a short password", use("max@example.com", code, "short"), latchward.CodeInvalid)
	wantCode(t, "somebody else's code", use("ada@example.com", code, goodPassword), latchward.CodeUnauthenticated)
	if err := use("max@example.com", latchward.SecretFromText(strings.ToUpper(code.Expose())),
		"max has a long one"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "the code again", use("max@example.com", code, "another long one"), latchward.CodeUnauthenticated)
	begun, err := p.signIn("max@example.com", "max has a long one", latchward.Secret{}, "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = p.IssuePasswordCode(p.as(begun), 1)
	wantCode(t, "a manager becoming the administrator", err, latchward.CodeForbidden)
	wantCode(t, "a manager taking the administrator's second factor", p.ResetSecondFactor(p.as(begun), 1),
		latchward.CodeForbidden)
	_, err = p.EndSessions(p.as(begun), 1)
	wantCode(t, "a manager signing out the administrator", err, latchward.CodeForbidden)
	late, _, err := p.IssuePasswordCode(admin, manager.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.UseSession(t.Context(), begun.Secret); err != nil {
		t.Errorf("issuing a code ended a session: %v", err)
	}
	p.wait(24 * time.Hour)
	wantCode(t, "a day later", use("max@example.com", late, goodPassword), latchward.CodeUnauthenticated)
}

// bar 4, B-16: every change is on record, and no secret anywhere
func TestAccountsOnRecord(t *testing.T) {
	p := newPeople(t)
	begun := p.setUp()
	ctx := p.as(begun)
	shown, err := p.EnrolTOTP(ctx)
	if err != nil {
		t.Fatal(err)
	}
	code, err := totp.GenerateCode(shown.Secret.Expose(), p.at)
	if err != nil {
		t.Fatal(err)
	}
	codes, err := p.ConfirmTOTP(ctx, code)
	if err != nil || len(codes) != 10 {
		t.Fatalf("%d codes, %v", len(codes), err)
	}
	account, err := p.store.Account(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(account)
	if err != nil {
		t.Fatal(err)
	}
	for what, secret := range map[string]string{
		"TOTP": shown.Secret.Expose(), "recovery code": codes[0].Expose(), "device": begun.Device.Expose(),
	} {
		if strings.Contains(string(text), secret) {
			t.Errorf("the account holds the %s in the clear", what)
		}
	}
	if err := p.RemoveTOTP(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := p.SetPassword(ctx, latchward.SecretFromText(goodPassword),
		latchward.SecretFromText("another sentence")); err != nil {
		t.Fatal(err)
	}
	entries, err := p.AuditEntries(ctx, latchward.AuditFilter{})
	if err != nil {
		t.Fatal(err)
	}
	var actions []string
	for _, e := range entries {
		actions = append(actions, e.Action)
	}
	want := "account.password account.totp_off account.totp_on setup user.create"
	if got := strings.Join(actions, " "); got != want {
		t.Errorf("on record: %s, want %s", got, want)
	}
}

// bar 8: what is sealed survives a server key that is dropped
func TestSecondFactorOutlivesServerKey(t *testing.T) {
	p := newPeople(t)
	begun := p.setUp()
	ctx := p.as(begun)
	shown, err := p.EnrolTOTP(ctx)
	if err != nil {
		t.Fatal(err)
	}
	code, _ := totp.GenerateCode(shown.Secret.Expose(), p.at)
	if _, err := p.ConfirmTOTP(ctx, code); err != nil {
		t.Fatal(err)
	}
	rotated, err := p.Keys().Rotate(rand.Reader, p.at)
	if err != nil {
		t.Fatal(err)
	}
	dropped, err := rotated.Drop(1)
	if err != nil {
		t.Fatal(err)
	}
	for _, ring := range []*latchward.KeyRing{rotated, dropped} {
		if err := p.UseKeys(ctx, ring); err != nil {
			t.Fatal(err)
		}
	}
	p.wait(time.Minute)
	pending, err := p.signIn("ada@example.com", goodPassword, begun.Device, "192.0.2.1")
	if err != nil || !pending.Session.Pending {
		t.Fatalf("%+v, %v", pending, err)
	}
	code, _ = totp.GenerateCode(shown.Secret.Expose(), p.at)
	if _, err := p.ConfirmSignIn(t.Context(), latchward.SecondFactor{Session: pending.Secret, Code: code}); err != nil {
		t.Errorf("a code after the key was dropped: %v", err)
	}
}

func TestSeal(t *testing.T) {
	ring, err := latchward.GenerateKeyRing(rand.Reader, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	other, _ := latchward.GenerateKeyRing(rand.Reader, time.Now())
	sealed, err := ring.Seal(rand.Reader, "totp", "user:7", "secret")
	if err != nil || strings.Contains(sealed, "secret") {
		t.Fatalf("%s, %v", sealed, err)
	}
	if text, version, err := ring.Unseal("totp", "user:7", sealed); text != "secret" || version != 1 || err != nil {
		t.Errorf("%q, %d, %v", text, version, err)
	}
	again, _ := ring.Seal(rand.Reader, "totp", "user:7", "secret")
	if again == sealed {
		t.Error("sealed alike twice")
	}
	for what, unseal := range map[string]func() error{
		"another user":    func() error { _, _, err := ring.Unseal("totp", "user:8", sealed); return err },
		"another purpose": func() error { _, _, err := ring.Unseal("other", "user:7", sealed); return err },
		"another ring":    func() error { _, _, err := other.Unseal("totp", "user:7", sealed); return err },
		"changed": func() error {
			_, _, err := ring.Unseal("totp", "user:7",
				sealed[:len(sealed)-2]+"AA")
			return err
		},
		"cut":       func() error { _, _, err := ring.Unseal("totp", "user:7", sealed[:8]); return err },
		"nothing":   func() error { _, _, err := ring.Unseal("totp", "user:7", ""); return err },
		"no base64": func() error { _, _, err := ring.Unseal("totp", "user:7", "%"); return err },
	} {
		wantCode(t, what, unseal(), latchward.CodeUnavailable)
	}
}

func TestValidatePassword(t *testing.T) {
	for password, good := range map[string]bool{
		"": false, "short": false, "aaaaaaaaaaaaaaaa": false, "passwordpassword": false, "Password1234!": false, "ada@example.com": false,
		"abababababab": false, "ada@example.com1": false, "1234567890123": false, strings.Repeat("abcd ", 60): false,
		"\xff\xfe345678901234": false, "latchwardlatchward": false,
		"correct horse battery staple": true, "пароль-который-длинный": true, "eleven and 1": true,
	} {
		err := latchward.ValidatePassword(latchward.SecretFromText(password), "ada@example.com", "Ada")
		if (err == nil) != good {
			t.Errorf("%q: %v", password, err)
		}
		if err != nil && len(password) > 8 && strings.Contains(err.Error(), password) {
			t.Errorf("the error quotes the password: %v", err)
		}
	}
}
