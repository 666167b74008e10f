package latchtest

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"pgregory.net/rapid"

	"github.com/latchward/latchward"
)

// step is one call of a transaction, planned before it is made, so that both sides get the same. What it answers is
// compared.
type step struct {
	name string
	do   func(s *side, tx latchward.Tx) (any, error)
}

// begin makes two of everything and some tokens, so that there is something to choose from.
func (m *model) begin(rt *rapid.T) {
	made := newPlan(m)
	for range 2 {
		u := latchward.User{Name: "Ada", Active: true, CreatedAt: epoch(), UpdatedAt: epoch()}
		m.run(rt, []step{made.addUser(u, drawnHeld{})}, false)
	}
	for range 2 {
		m.run(rt, []step{made.newRole(rt)}, false)
		m.run(rt, []step{made.newGroup(rt)}, false)
		m.run(rt, []step{made.newLicense(rt)}, false)
	}
	for range rapid.IntRange(0, 6).Draw(rt, "tokens") {
		m.run(rt, []step{made.newToken(rt)}, false)
	}
}

// transact runs a few steps in one transaction that commits or, seldom, fails in the end.
func (m *model) transact(rt *rapid.T) {
	made := newPlan(m)
	made.favourite = pick(rt, "favourite token", made.tokens)
	var steps []step
	for range rapid.IntRange(1, 5).Draw(rt, "steps") {
		steps = append(steps, made.step(rt))
	}
	m.run(rt, steps, rapid.IntRange(0, 4).Draw(rt, "fails") == 4)
}

// run runs steps in one transaction and compares what became of it.
func (m *model) run(rt *rapid.T, steps []step, fails bool) {
	want, wantErr := m.reference.transact(m, steps, fails)
	got, gotErr := m.tested.transact(m, steps, fails)
	what := "Tx " + describe(steps)
	if errorText(gotErr) != errorText(wantErr) || errors.Is(gotErr, errStop) != errors.Is(wantErr, errStop) {
		rt.Fatalf("%s: error %v, want %v", what, gotErr, wantErr)
	}
	if diff := difference(got.answers, want.answers); diff != "" {
		rt.Fatalf("%s: (-want +got)\n%s", what, diff)
	}
	m.checkCommit(rt, what, got.commit, want.commit, gotErr)
}

func describe(steps []step) string {
	var names []string
	for _, s := range steps {
		names = append(names, s.name)
	}
	return strings.Join(names, ", ")
}

// outcome is what became of a transaction.
type outcome struct {
	answers []any
	commit  latchward.Commit
}

func (s *side) transact(m *model, steps []step, fails bool) (outcome, error) {
	var o outcome
	before := s.numbers
	commit, err := s.store.Tx(m.ctx, func(tx latchward.Tx) error {
		s.numbers, o.answers = before, nil // f may run again
		for _, step := range steps {
			answer, err := step.do(s, tx)
			if err != nil {
				return err
			}
			o.answers = append(o.answers, answer)
		}
		if fails {
			return errStop
		}
		return nil
	})
	o.commit = commit
	s.restore(err, before)
	return o, err
}

// restore forgets the numbers of records that were not committed. Changes name owners by number on both sides.
func (s *side) restore(err error, before numbers) {
	if err != nil {
		s.numbers = before
	}
}

// checkCommit checks that the store under test names what the reference names, and that positions grow.
func (m *model) checkCommit(rt *rapid.T, what string, got, want latchward.Commit, err error) {
	for _, change := range want.Changes {
		for _, key := range change.Keys {
			key = m.sameKey(change.Kind, key)
			if key != "" && !anyCovers(got.Changes, change.Kind, key) {
				rt.Fatalf("%s: the changes %v do not name %s %s", what, got.Changes, change.Kind, key)
			}
		}
	}
	if err != nil || len(want.Changes) == 0 {
		return
	}
	if m.position.History != "" && (got.Position.History != m.position.History || got.Position.N <= m.position.N) {
		rt.Fatalf("%s: position %v follows %v", what, got.Position, m.position)
	}
	m.position = got.Position
}

func anyCovers(changes []latchward.Change, kind latchward.ChangeKind, key string) bool {
	for _, change := range changes {
		if covers(change, kind, key) {
			return true
		}
	}
	return false
}

// plan knows what the steps planned so far will have made.
type plan struct {
	m                       *model
	tokens, users           int
	roles, groups, licenses int
	favourite               int // the token that steps are mostly about
}

func newPlan(m *model) plan {
	made := m.reference.numbers
	return plan{
		m: m, tokens: len(made.tokens), users: len(made.users),
		roles: len(made.roles), groups: len(made.groups), licenses: len(made.licenses),
	}
}

func (p *plan) pickToken(rt *rapid.T) int {
	if rapid.Bool().Draw(rt, "the favourite") {
		return p.favourite
	}
	return pick(rt, "token", p.tokens)
}

func (p *plan) step(rt *rapid.T) step {
	kinds := map[string]func(*rapid.T) step{
		"new user": p.newUser, "save user": p.saveUser, "read users": p.readUsers,
		"new token": p.newToken, "save token": p.saveToken, "change token": p.changeToken, "rotate": p.rotate,
		"retire": p.retire, "delete": p.deleteToken, "read tokens": p.readTokens,
		"audit": p.appendAudit, "erase": p.eraseAudit, "fingerprint": p.fingerprint,
		"new role": p.newRole, "save role": p.saveRole, "delete role": p.deleteRole,
		"new group": p.newGroup, "save group": p.saveGroup,
		"new license": p.newLicense, "save license": p.saveLicense, "delete license": p.deleteLicense,
		"save permission": p.savePermission, "delete permission": p.deletePermission,
		"read rights": p.readRights,
	}
	names := []string{
		"new user", "save user", "read users", "new token", "new token", "save token", "change token", "rotate",
		"rotate", "retire", "delete", "read tokens", "audit", "audit", "erase",
		"fingerprint",
		"new role", "save role", "delete role", "new group", "save group", "save group", "new license", "save license",
		"delete license", "save permission", "delete permission", "read rights",
	}
	return kinds[rapid.SampledFrom(names).Draw(rt, "step")](rt)
}

// someUser draws a user but for the id.
func someUser(rt *rapid.T) latchward.User {
	u := latchward.User{
		Name:      someText(rt, "name"),
		Active:    rapid.Bool().Draw(rt, "active"),
		CreatedAt: epoch(),
		UpdatedAt: epoch(),
	}
	if rapid.IntRange(0, 4).Draw(rt, "removed") == 4 {
		u.RemovedAt = epoch()
	}
	// One or the other: which of two conflicts is told of is the store's business.
	if rapid.Bool().Draw(rt, "with e-mail") {
		u.Email = rapid.SampledFrom([]string{"", "a@b.c", "A@B.C", "d@e.f"}).Draw(rt, "email")
	} else {
		u.ExternalID = rapid.SampledFrom([]string{"", "x", "y", "X", "%"}).Draw(rt, "external id")
		if u.ExternalID == "" {
			u.Directory.UserName = rapid.SampledFrom([]string{"", "n", "N", "m"}).Draw(rt, "user name")
		}
	}
	u.Directory.ID = rapid.SampledFrom([]string{"", "1", "2"}).Draw(rt, "directory id")
	u.Directory.GivenName = someText(rt, "given name")
	return u
}

func (p *plan) newUser(rt *rapid.T) step { return p.addUser(someUser(rt), p.someHeld(rt)) }

func (p *plan) addUser(u latchward.User, h drawnHeld) step {
	p.users++
	return step{"new user", func(s *side, tx latchward.Tx) (any, error) {
		saved := u
		saved.Roles, saved.Groups, saved.Licenses = h.of(s, tx)
		err := tx.SaveUser(&saved)
		s.users = added(s.users, saved.ID)
		return nil, err
	}}
}

func (p *plan) saveUser(rt *rapid.T) step {
	n, u, h := pick(rt, "user", p.users), someUser(rt), p.someHeld(rt)
	return step{fmt.Sprintf("save user %d", n), func(s *side, tx latchward.Tx) (any, error) {
		before, err := tx.User(s.userID(n))
		if err != nil {
			return nil, err
		}
		saved := u
		saved.ID = before.ID
		saved.Roles, saved.Groups, saved.Licenses = h.of(s, tx)
		return s.plainUser(before), tx.SaveUser(&saved)
	}}
}

func (p *plan) readUsers(rt *rapid.T) step {
	n := pick(rt, "user", p.users)
	externalID := rapid.SampledFrom([]string{"", "x", "y", "X", "%"}).Draw(rt, "external id")
	return step{fmt.Sprintf("read user %d and %q", n, externalID), func(s *side, tx latchward.Tx) (any, error) {
		one, err := tx.User(s.userID(n))
		other, otherErr := tx.UserByExternalID(externalID)
		return []any{s.plainUser(one), errorText(err), s.plainUser(other), errorText(otherErr)}, nil
	}}
}

// someToken draws a token but for its id and owner.
func (p *plan) someToken(rt *rapid.T) latchward.Token {
	t := latchward.Token{
		Name:        someText(rt, "name"),
		Description: someText(rt, "description"),
		Prefix:      "lw-" + someText(rt, "prefix"),
		Kind:        rapid.SampledFrom([]latchward.Kind{latchward.KindPersonal, latchward.KindService}).Draw(rt, "kind"),
		Active:      rapid.IntRange(0, 3).Draw(rt, "active") > 0,
		RateLimit:   rapid.Int64Range(1, latchward.MaxRateLimit).Draw(rt, "rate limit"),
		ExpiresAt:   someTime(rt, "expires at"),
		NotBefore:   someTime(rt, "not before"),
		CreatedAt:   momentAround(rt, "created at"),
		UpdatedAt:   momentAround(rt, "updated at"),
		EnabledAt:   someTime(rt, "enabled at"),
		Secret:      p.m.newKeyID(rt),
	}
	t.IdleTimeoutDays = rapid.IntRange(0, 2).Draw(rt, "idle timeout")
	t.Tags = rapid.SliceOfN(rapid.SampledFrom([]string{"a", "A", "b%", `"`}), 0, 2).Draw(rt, "tags")
	t.Permissions = rapid.SampledFrom([][]string{nil, {}, {"x.y"}, {"x.*", "x.y", "*", "x.y"}}).Draw(rt, "permissions")
	t.AllowedEndpoints = rapid.SampledFrom([][]string{nil, {"/a"}, {"GET /b*", "/é"}}).Draw(rt, "endpoints")
	t.AllowedNetworks = rapid.SampledFrom([][]netip.Prefix{
		nil, {netip.MustParsePrefix("192.0.2.0/24")}, {netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("::/0")},
	}).Draw(rt, "networks")
	t.Metadata = rapid.SampledFrom([]map[string]any{
		nil, {"k": "v"}, {"n": 1.5, "list": []any{nil, true, map[string]any{"é": "🐝"}}},
	}).Draw(rt, "metadata")
	if !t.Active {
		t.InactiveReason = latchward.InactiveManual
	}
	if rapid.IntRange(0, 5).Draw(rt, "revoked") == 5 {
		t.RevokedAt, t.RevokeReason, t.RevokeNote, t.Unbound = epoch(), latchward.RevokeCessation, "gone", true
	}
	if rapid.IntRange(0, 2).Draw(rt, "rotated") == 2 {
		t.Retiring = latchward.RetiringSecret{Credential: p.m.newKeyID(rt), EndsAt: epoch(), AtFirstUse: true}
		t.IssueKey, t.Reuse, t.Imported = "k", latchward.ReuseDisable, "import-1"
		t.RotatedAt, t.RotationDueAt, t.RotationRequired, t.CreatedBy = epoch(), epoch(), true, "local:0"
	}
	return t
}

func (p *plan) newToken(rt *rapid.T) step {
	t, owner, h := p.someToken(rt), p.someOwner(rt), p.someHeld(rt)
	p.tokens++
	return step{fmt.Sprintf("new token of %d", owner), func(s *side, tx latchward.Tx) (any, error) {
		saved := *t.Clone()
		saved.Owner = s.owner(owner)
		saved.Roles, saved.Groups, saved.Licenses = h.of(s, tx)
		err := tx.SaveToken(&saved)
		s.tokens = added(s.tokens, saved.ID)
		return nil, err
	}}
}

// saveToken replaces all of a token, its secret too, which is not retired.
func (p *plan) saveToken(rt *rapid.T) step {
	n, t, owner, h := p.pickToken(rt), p.someToken(rt), p.someOwner(rt), p.someHeld(rt)
	return step{fmt.Sprintf("save token %d", n), func(s *side, tx latchward.Tx) (any, error) {
		before, err := tx.Token(s.tokenID(n))
		if err != nil {
			return nil, err
		}
		saved := *t.Clone()
		saved.ID, saved.Owner = before.ID, s.owner(owner)
		saved.Roles, saved.Groups, saved.Licenses = h.of(s, tx)
		return s.plainToken(before), tx.SaveToken(&saved)
	}}
}

// changeToken reads a token and saves it with another name.
func (p *plan) changeToken(rt *rapid.T) step {
	n, name := p.pickToken(rt), someText(rt, "name")
	return step{fmt.Sprintf("change token %d", n), func(s *side, tx latchward.Tx) (any, error) {
		t, err := tx.Token(s.tokenID(n))
		if err != nil {
			return nil, err
		}
		t.Name = name
		return s.plainToken(t), tx.SaveToken(t)
	}}
}

// rotate does what the service does.
func (p *plan) rotate(rt *rapid.T) step {
	n, fresh, endsAt := p.pickToken(rt), p.m.newKeyID(rt), momentAround(rt, "ends at")
	return step{fmt.Sprintf("rotate %d", n), func(s *side, tx latchward.Tx) (any, error) {
		t, err := tx.Token(s.tokenID(n))
		if err != nil {
			return nil, err
		}
		if fresh.KeyID == t.Secret.KeyID {
			return nil, errStop // nobody rotates a secret into itself
		}
		retiring := latchward.RetiringSecret{Credential: t.Secret, EndsAt: endsAt}
		t.Secret = fresh
		if err := tx.RetireSecret(t.ID, retiring); err != nil {
			return nil, err
		}
		return nil, tx.SaveToken(t)
	}}
}

// retire gives a token a rotated-out secret that nobody knew.
func (p *plan) retire(rt *rapid.T) step {
	n, endsAt := p.pickToken(rt), momentAround(rt, "ends at")
	p.m.secrets++
	c := latchward.Credential{}
	copy(c.KeyID[:], fmt.Sprintf("z%010d", p.m.secrets))
	p.m.keys = append(p.m.keys, c.KeyID)
	return step{fmt.Sprintf("retire for %d", n), func(s *side, tx latchward.Tx) (any, error) {
		return nil, tx.RetireSecret(s.tokenID(n), latchward.RetiringSecret{Credential: c, EndsAt: endsAt})
	}}
}

func (p *plan) deleteToken(rt *rapid.T) step {
	n := p.pickToken(rt)
	p.m.requestIDs = nil // what is known of the token's requests may go with it
	return step{fmt.Sprintf("delete %d", n), func(s *side, tx latchward.Tx) (any, error) {
		return nil, tx.DeleteToken(s.tokenID(n))
	}}
}

func (p *plan) readTokens(rt *rapid.T) step {
	n, owner := p.pickToken(rt), p.someOwner(rt)
	return step{fmt.Sprintf("read token %d and those of %d", n, owner), func(s *side, tx latchward.Tx) (any, error) {
		t, err := tx.Token(s.tokenID(n))
		owned, ownedErr := tx.TokensOf(s.owner(owner))
		_, issueErr := tx.TokenByIssueKey("nobody's")
		return []any{s.plainToken(t), errorText(err), s.plainTokens(owned), errorText(ownedErr), errorText(issueErr)}, nil
	}}
}

func (p *plan) fingerprint(rt *rapid.T) step {
	version := rapid.IntRange(1, 3).Draw(rt, "version")
	text := rapid.SampledFrom([]string{"", "one", "two"}).Draw(rt, "fingerprint")
	return step{fmt.Sprintf("fingerprint %d=%q", version, text), func(_ *side, tx latchward.Tx) (any, error) {
		return nil, tx.SaveKeyFingerprint(version, text)
	}}
}
