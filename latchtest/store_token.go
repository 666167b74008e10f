package latchtest

import (
	"net/netip"
	"strings"
	"time"

	"github.com/latchward/latchward"
)

const (
	factsOfKey = "TokenFacts returns what is known about a key id: " +
		"of a current secret or of one that was rotated out and is still remembered."
	factsOfOwner = "OwnerFacts returns what is known about an owner."
	tokenCopy    = "Token returns a copy of the token."
	nilRights    = "nil = all that its owner holds. " +
		"A service token holds what they and its roles and groups grant. Empty = none (X-12)."
	ownerName  = "for people to read; filled in by the store, ignored when saved"
	tokenTimes = "Times are UTC with millisecond precision; the zero time means none."
)

func factsPromises() []storePromise {
	return []storePromise{
		{"TokenFacts/FindsCurrentSecrets", factsOfKey, factsFindCurrent},
		{"TokenFacts/FindsRotatedOutSecrets", factsOfKey, factsFindRetired},
		{"TokenFacts/FindsWhatTheTokenIsNow", factsOfKey, factsAreFresh},
		{"TokenFacts/ReturnsACopy", factsOfKey, factsAreACopy},
		{"TokenFacts/UnknownIsNotFound", notFound, factsOfNothing},
		{"OwnerFacts/FindsUsers", factsOfOwner, ownerFactsOfUsers},
		{"OwnerFacts/DisabledAndRemovedMayNotAct", "may act: neither disabled nor removed", ownerFactsOfInactive},
		{"OwnerFacts/UnknownIsNotFound", notFound, ownerFactsOfNothing},
	}
}

func factsFindCurrent(t *trial) {
	token, other := t.token(nil), t.token(nil)
	for _, token := range []*latchward.Token{token, other} {
		t.same("TokenFacts", t.facts(token.Secret.KeyID),
			latchward.TokenFacts{Token: token, Digest: token.Secret.Digest})
	}
}

func factsFindRetired(t *trial) {
	first := t.token(nil)
	second, _ := t.rotate(first, epoch().Add(time.Hour))
	third, _ := t.rotate(second, epoch().Add(2*time.Hour))
	for _, want := range []latchward.TokenFacts{
		{Token: third, Digest: first.Secret.Digest, EndsAt: epoch().Add(time.Hour)},
		{Token: third, Digest: second.Secret.Digest, EndsAt: epoch().Add(2 * time.Hour)},
	} {
		secret := map[latchward.Digest]latchward.KeyID{
			first.Secret.Digest: first.Secret.KeyID, second.Secret.Digest: second.Secret.KeyID,
		}[want.Digest]
		t.same("TokenFacts of a rotated-out secret", t.facts(secret), want)
	}
	t.same("TokenFacts of the current secret", t.facts(third.Secret.KeyID),
		latchward.TokenFacts{Token: third, Digest: third.Secret.Digest})
}

func factsAreFresh(t *trial) {
	old := t.token(nil)
	t.facts(old.Secret.KeyID)
	token, _ := t.rotate(old, epoch())
	t.same("the token by a secret that was rotated out", t.facts(old.Secret.KeyID).Token, token)
	t.same("the token by its new secret", t.facts(token.Secret.KeyID).Token, token)
	token.RevokedAt, token.RevokeReason = epoch(), latchward.RevokeKeyCompromise
	t.saveToken(*token)
	t.same("the token by its current secret", t.facts(token.Secret.KeyID).Token, token)
	t.same("the token by its rotated-out secret", t.facts(old.Secret.KeyID).Token, token)
}

func factsAreACopy(t *trial) {
	token := t.token(nil, full)
	got := t.facts(token.Secret.KeyID).Token
	scribble(got)
	t.same("TokenFacts after its answer was scribbled on", t.facts(token.Secret.KeyID).Token, token)
}

func factsOfNothing(t *trial) {
	t.token(nil)
	for _, id := range []latchward.KeyID{t.credential().KeyID, {}} {
		_, err := t.store.TokenFacts(t.ctx, id)
		t.code("TokenFacts of an unknown key id", err, latchward.CodeNotFound)
	}
}

func ownerFactsOfUsers(t *trial) {
	admin := t.user(func(u *latchward.User) {
		u.ExternalID, u.Roles = "ada", []latchward.RoleID{latchward.RoleAdministrator}
	})
	plain := t.user(func(u *latchward.User) { u.Name, u.Email = "", "bob@example.com" })
	for _, c := range []struct {
		user *latchward.User
		want latchward.OwnerFacts
	}{
		{admin, latchward.OwnerFacts{Active: true, Roles: admin.Roles, ExternalID: "ada", Name: "Ada"}},
		{plain, latchward.OwnerFacts{Active: true, Name: "bob@example.com"}},
	} {
		got, err := t.store.OwnerFacts(t.ctx, ownerOf(c.user))
		t.must(err)
		t.same("OwnerFacts", got, c.want)
	}
}

func ownerFactsOfInactive(t *trial) {
	u := t.user()
	for _, c := range []struct {
		active    bool
		removedAt time.Time
	}{{true, time.Time{}}, {false, time.Time{}}, {true, epoch()}, {false, epoch()}} {
		u.Active, u.RemovedAt = c.active, c.removedAt
		t.saveUser(*u)
		got, err := t.store.OwnerFacts(t.ctx, ownerOf(u))
		t.must(err)
		if want := c.active && c.removedAt.IsZero(); got.Active != want {
			t.Errorf("Active %v, removed %v: OwnerFacts says active %v", c.active, c.removedAt, got.Active)
		}
	}
}

func ownerFactsOfNothing(t *trial) {
	u := t.user()
	for _, owner := range []latchward.Owner{
		{Type: latchward.OwnerUser, ID: int64(u.ID) + 1000}, {Type: "nobody", ID: int64(u.ID)},
	} {
		_, err := t.store.OwnerFacts(t.ctx, owner)
		t.code("OwnerFacts of "+owner.String(), err, latchward.CodeNotFound)
	}
}

func tokenPromises() []storePromise {
	return []storePromise{
		{"Token/KeepsEveryField", tokenCopy, tokenKeepsFields},
		{"Token/KeepsTextsAsTheyAre", tokenCopy, tokenKeepsTexts},
		{"Token/TellsNoRightsFromTheOwnersRights", nilRights, tokenKeepsNilRights},
		{"Token/KeepsTimesToTheMillisecond", tokenTimes, tokenKeepsTimes},
		{"Token/FillsInTheOwnersName", ownerName, tokenNamesOwner},
		{"Token/ReturnsACopy", tokenCopy, tokenIsACopy},
		{"Token/UnknownIsNotFound", notFound, tokenOfNothing},
	}
}

// full sets every field of a token that SaveToken keeps.
func full(token *latchward.Token) {
	token.Name = "Sensor"
	token.Description = "on the roof"
	token.Kind = latchward.KindService
	token.Active, token.InactiveReason = false, latchward.InactiveIdle
	token.RateLimit = latchward.MaxRateLimit
	token.AllowedEndpoints = []string{"/products*", "GET /stores/:id"}
	token.AllowedNetworks = []netip.Prefix{
		netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8::/32"),
		netip.MustParsePrefix("198.51.100.7/32"), netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"),
	}
	token.Permissions = []string{"products.read", "stores.*"}
	token.ExpiresAt = epoch().Add(time.Hour + time.Millisecond)
	token.NotBefore = epoch().Add(-time.Hour - time.Millisecond)
	token.IdleTimeoutDays = latchward.MaxIdleTimeoutDays
	token.Tags = []string{"roof", "b", "a"}
	token.Metadata = map[string]any{
		"site": "north", "floors": 3.5, "count": 9007199254740991.0, "open": true, "none": nil,
		"list":   []any{"x", 1.0, []any{}, map[string]any{}},
		"object": map[string]any{"deep": map[string]any{"er": "yes"}},
	}
	token.Prefix = "lw_1abcdefg"
	token.UpdatedAt = epoch().Add(2 * time.Millisecond)
	token.EnabledAt = epoch().Add(3 * time.Millisecond)
	token.RevokedAt = epoch().Add(4 * time.Millisecond)
	token.RevokeReason, token.RevokeNote = latchward.RevokeKeyCompromise, "lost"
	token.RotatedAt, token.RotationDueAt = epoch().Add(time.Millisecond), epoch().Add(6*time.Millisecond)
	token.RotationRequired, token.CreatedBy = true, "user:3"
	token.Unbound = true
	token.Retiring = latchward.RetiringSecret{
		Credential: latchward.Credential{KeyID: latchward.KeyID([]byte("1retired123")), Digest: latchward.Digest{1, 2, 3}},
		EndsAt:     epoch().Add(5 * time.Millisecond), AtFirstUse: true,
	}
	token.IssueKey, token.Reuse = "0123abcd", latchward.ReuseRevoke
	token.Imported = "tokens-2026"
}

// scribble changes whatever a caller can reach from a token.
func scribble(token *latchward.Token) {
	token.AllowedEndpoints[0], token.AllowedNetworks[0] = "/scribble", netip.MustParsePrefix("192.0.2.0/24")
	token.Permissions[0], token.Tags[0] = "scribble", "scribble"
	token.Metadata["site"] = "scribble"
	token.Metadata["object"].(map[string]any)["deep"] = "scribble"
	token.Name, token.Active, token.Secret.Digest[0] = "scribble", !token.Active, 's'
}

func tokenKeepsFields(t *trial) {
	h := t.holder()
	whole := t.token(nil, full, h.give)
	t.same("a token with every field", t.stored(whole.ID), whole)
	bare := t.token(nil)
	t.same("a token with few fields", t.stored(bare.ID), bare)
}

// awkward texts are those that storing and querying tend to garble.
func awkward() []string {
	return []string{
		`quo"tes' and \back\slashes\\`, "line\nbreak\tand tab", "  blanks around  ", "übermäßig ČŽŠ 日本語 العربية",
		"emoji 🐝👩‍🔬🏳️‍🌈", "e\u0301 is not \u00e9", "'; DROP TABLE api_tokens; --", "{}[]:,null %s %d $1 ?1 :a @b",
		"<b>&amp;</b>", "\u2028\ufeff\ufffd", strings.Repeat("ü", latchward.MaxNameLength),
	}
}

func tokenKeepsTexts(t *trial) {
	owner := t.user()
	for _, text := range awkward() {
		token := t.token(owner, func(token *latchward.Token) {
			token.Name, token.Description, token.RevokeNote = text, text, text
			token.Tags, token.Permissions, token.AllowedEndpoints = []string{text}, []string{text}, []string{text}
			token.Metadata = map[string]any{text: text, "list": []any{text}}
		})
		t.same("a token with awkward texts", t.stored(token.ID), token)
	}
}

func tokenKeepsNilRights(t *trial) {
	owner := t.user()
	for _, rights := range [][]string{nil, {}, {"a.b"}} {
		token := t.token(owner, func(token *latchward.Token) { token.Permissions = rights })
		t.same("permissions in Token", t.stored(token.ID), token)
		t.same("permissions in TokenFacts", t.facts(token.Secret.KeyID).Token, token)
		for _, changed := range [][]string{nil, {}, {"c.d"}, nil} {
			token.Permissions = changed
			t.saveToken(*token)
			t.same("permissions after a change", t.stored(token.ID), token)
		}
	}
}

func tokenKeepsTimes(t *trial) {
	for _, at := range []time.Time{
		time.Date(1970, 1, 1, 0, 0, 0, int(time.Millisecond), time.UTC),
		time.Date(2038, 1, 19, 3, 14, 8, 999*int(time.Millisecond), time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 999*int(time.Millisecond), time.UTC),
	} {
		token := t.token(nil, func(token *latchward.Token) {
			token.ExpiresAt, token.NotBefore, token.CreatedAt, token.UpdatedAt, token.RevokedAt = at, at, at, at, at
			token.EnabledAt = at
		})
		t.same("times", t.stored(token.ID), token)
	}
}

func tokenNamesOwner(t *trial) {
	owner := t.user()
	token := t.token(owner, func(token *latchward.Token) { token.Owner.Name = "somebody else" })
	token.Owner.Name = "Ada"
	t.same("a token saved with another name for its owner", t.stored(token.ID), token)
	for _, name := range []string{"Ada Lovelace", ""} {
		owner.Name, owner.Email = name, "ada@example.com"
		t.saveUser(*owner)
		token.Owner.Name = owner.DisplayName()
		t.same("Token after its owner got another name", t.stored(token.ID), token)
		t.same("TokenFacts after its owner got another name", t.facts(token.Secret.KeyID).Token, token)
		if list := t.list(latchward.TokenFilter{}); len(list) == 1 {
			t.same("Tokens after its owner got another name", list[0], token)
		} else {
			t.Errorf("Tokens returned %d tokens, want 1", len(list))
		}
	}
}

func tokenIsACopy(t *trial) {
	token := t.token(nil, full)
	scribble(t.stored(token.ID))
	t.same("Token after its answer was scribbled on", t.stored(token.ID), token)
	want := *token
	full(&want)
	scribble(token)
	t.same("Token after what was saved was scribbled on", t.stored(token.ID), &want)
}

func tokenOfNothing(t *trial) {
	token := t.token(nil)
	t.deleteToken(token.ID)
	for _, id := range []latchward.TokenID{token.ID, token.ID + 1000, 0, -1} {
		_, err := t.store.Token(t.ctx, id)
		t.code("Token of an unknown id", err, latchward.CodeNotFound)
	}
}
