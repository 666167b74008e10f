package latchtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/latchward/latchward"
)

// trial is one store on its way through one promise.
type trial struct {
	TB
	ctx     context.Context
	store   latchward.Store
	secrets int                     // how many were made
	records int                     // roles, groups and licenses that were made
	offset  latchward.JournalOffset // behind the usage that was added
}

func newTrial(t TB, store latchward.Store) *trial {
	return &trial{TB: t, ctx: t.Context(), store: store}
}

// must ends the trial when something failed that has to work before the promise can be checked.
func (t *trial) must(err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

// code checks which kind of error err is; "" is none.
func (t *trial) code(what string, err error, want latchward.Code) {
	t.Helper()
	if got := latchward.ErrorCode(err); got != want {
		t.Errorf("%s: error %v is of code %q, want %q", what, err, got, want)
	}
}

// same checks that got is what was expected, down to the last field and the zone of every time.
func (t *trial) same(what string, got, want any) {
	t.Helper()
	if diff := difference(got, want); diff != "" {
		t.Errorf("%s: (-want +got)\n%s", what, diff)
	}
}

// difference returns "" when got is as good as want: nil and empty lists are one, but for permissions; JSON
// objects are compared as JSON; times must be UTC.
func difference(got, want any) string {
	if reflect.DeepEqual(got, want) {
		return "" // much cheaper, and mostly enough
	}
	return cmp.Diff(want, got,
		cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}),
		cmp.Comparer(func(a, b map[string]any) bool { return objectText(a) == objectText(b) }),
		cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) && a.Location() == b.Location() }),
		cmp.FilterPath(func(p cmp.Path) bool {
			return p.Last().Type().Kind() == reflect.Slice && p.Last().String() != ".Permissions"
		}, cmpopts.EquateEmpty()),
	)
}

// objectText returns the one text of a JSON object; no object and an empty one are the same.
func objectText(object map[string]any) string {
	if len(object) == 0 {
		return ""
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(object); err != nil {
		return fmt.Sprintf("not JSON: %v", err)
	}
	return text.String()
}

// tx runs f in a transaction that has to succeed. f may run more than once.
func (t *trial) tx(f func(tx latchward.Tx) error) latchward.Commit {
	t.Helper()
	commit, err := t.store.Tx(t.ctx, f)
	t.must(err)
	return commit
}

// errStop is what functions given to a store return to make it stop.
var errStop = errors.New("stop")

// failTx runs f in a transaction that fails after f has done its work.
func (t *trial) failTx(f func(tx latchward.Tx) error) latchward.Commit {
	t.Helper()
	commit, err := t.store.Tx(t.ctx, func(tx latchward.Tx) error {
		if err := f(tx); err != nil {
			return fmt.Errorf("before the transaction was to fail: %w", err)
		}
		return errStop
	})
	if !errors.Is(err, errStop) {
		t.Fatalf("Tx returned %v, want the error that f returned", err)
	}
	return commit
}

// credential returns a new secret's key id and digest, under version 1 of the server key.
func (t *trial) credential() latchward.Credential { return t.credentialUnder(1) }

func (t *trial) credentialUnder(version int) latchward.Credential {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	t.secrets++
	text := fmt.Sprintf("%c%010d", digits[version], t.secrets)
	c := latchward.Credential{}
	copy(c.KeyID[:], text)
	copy(c.Digest[:], "digest\xff\x00 of "+text)
	return c
}

// user saves a new user.
func (t *trial) user(edits ...func(*latchward.User)) *latchward.User {
	t.Helper()
	u := latchward.User{Name: "Ada", Active: true, CreatedAt: epoch(), UpdatedAt: epoch()}
	for _, edit := range edits {
		edit(&u)
	}
	return t.saveUser(u)
}

// saveUser saves u and returns it as saved.
func (t *trial) saveUser(u latchward.User) *latchward.User {
	t.Helper()
	var saved latchward.User
	t.tx(func(tx latchward.Tx) error {
		saved = u
		return tx.SaveUser(&saved)
	})
	if saved.ID == 0 {
		t.Fatalf("SaveUser set no ID")
	}
	return &saved
}

// token saves a new token of owner, or of a new user when owner is nil.
func (t *trial) token(owner *latchward.User, edits ...func(*latchward.Token)) *latchward.Token {
	t.Helper()
	if owner == nil {
		owner = t.user()
	}
	return t.saveToken(*t.draft(owner, edits...))
}

// draft returns a token that is not saved yet.
func (t *trial) draft(owner *latchward.User, edits ...func(*latchward.Token)) *latchward.Token {
	token := &latchward.Token{
		Name: "Sensor", Kind: latchward.KindPersonal, Owner: ownerOf(owner), Active: true, RateLimit: 100,
		Secret: t.credential(), Prefix: "lw_1abcdefg", CreatedAt: epoch(), UpdatedAt: epoch(),
	}
	for _, edit := range edits {
		edit(token)
	}
	return token
}

func ownerOf(u *latchward.User) latchward.Owner {
	return latchward.Owner{Type: latchward.OwnerUser, ID: int64(u.ID), Name: u.DisplayName()}
}

// saveToken saves a token and returns it as saved.
func (t *trial) saveToken(token latchward.Token) *latchward.Token {
	t.Helper()
	saved, _ := t.saveTokenCommit(token)
	return saved
}

func (t *trial) saveTokenCommit(token latchward.Token) (*latchward.Token, latchward.Commit) {
	t.Helper()
	var saved latchward.Token
	commit := t.tx(func(tx latchward.Tx) error {
		saved = token
		return tx.SaveToken(&saved)
	})
	if saved.ID == 0 {
		t.Fatalf("SaveToken set no ID")
	}
	return &saved, commit
}

// rotate gives a token a new secret as [latchward.Service] does and returns what became of it.
func (t *trial) rotate(token *latchward.Token, endsAt time.Time) (*latchward.Token, latchward.Commit) {
	t.Helper()
	rotated := *token
	rotated.Secret = t.credential()
	commit := t.tx(func(tx latchward.Tx) error {
		retiring := latchward.RetiringSecret{Credential: token.Secret, EndsAt: endsAt}
		if err := tx.RetireSecret(token.ID, retiring); err != nil {
			return err
		}
		saved := rotated
		return tx.SaveToken(&saved)
	})
	return &rotated, commit
}

func (t *trial) deleteToken(id latchward.TokenID) latchward.Commit {
	t.Helper()
	return t.tx(func(tx latchward.Tx) error { return tx.DeleteToken(id) })
}

// stored returns what the store has under a token's id.
func (t *trial) stored(id latchward.TokenID) *latchward.Token {
	t.Helper()
	token, err := t.store.Token(t.ctx, id)
	t.must(err)
	if token == nil {
		t.Fatalf("Token returned neither a token nor an error")
	}
	return token
}

func (t *trial) storedUser(id latchward.UserID) *latchward.User {
	t.Helper()
	u, err := t.store.User(t.ctx, id)
	t.must(err)
	if u == nil {
		t.Fatalf("User returned neither a user nor an error")
	}
	return u
}

// facts returns what the store knows about a key id.
func (t *trial) facts(id latchward.KeyID) latchward.TokenFacts {
	t.Helper()
	facts, err := t.store.TokenFacts(t.ctx, id)
	t.must(err)
	if facts.Token == nil {
		t.Fatalf("TokenFacts returned neither a token nor an error")
	}
	return facts
}

// list returns the tokens that match.
func (t *trial) list(f latchward.TokenFilter) []*latchward.Token {
	t.Helper()
	if f.Limit == 0 {
		f.Limit = latchward.MaxPage
	}
	tokens, err := t.store.Tokens(t.ctx, f)
	t.must(err)
	if len(tokens) > f.Limit {
		t.Errorf("Tokens returned %d tokens, want at most %d", len(tokens), f.Limit)
	}
	return tokens
}

// sameTokens checks that a list holds these tokens in this order.
func (t *trial) sameTokens(what string, got []*latchward.Token, want ...*latchward.Token) {
	t.Helper()
	t.same(what, tokenNames(got), tokenNames(want))
}

func tokenNames(tokens []*latchward.Token) []string {
	var names []string
	for _, token := range tokens {
		names = append(names, fmt.Sprintf("%d %s", token.ID, token.Name))
	}
	return names
}

// names checks that a commit says that these facts are no longer what they were.
func (t *trial) names(what string, c latchward.Commit, kind latchward.ChangeKind, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if !slices.ContainsFunc(c.Changes, func(change latchward.Change) bool { return covers(change, kind, key) }) {
			t.Errorf("%s: the commit's changes %v do not name %s %s", what, c.Changes, kind, key)
		}
	}
}

// covers reports whether whoever acts on a change forgets one fact; unknown kinds count as all.
func covers(c latchward.Change, kind latchward.ChangeKind, key string) bool {
	switch c.Kind {
	case kind:
		return len(c.Keys) == 0 || slices.Contains(c.Keys, key)
	case latchward.ChangeToken, latchward.ChangeOwner,
		latchward.ChangeRole, latchward.ChangeGroup, latchward.ChangeLicense, latchward.ChangeForeign:
		return false
	}
	return true
}
