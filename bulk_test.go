package latchward_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
)

// fleet makes tokens of a user, named by their number.
func (f *fixture) fleet(t *testing.T, owner latchward.UserID, n int) (list []latchward.IssuedToken) {
	t.Helper()
	for i := range n {
		list = append(list, f.create(t, latchward.NewToken{
			Name: fmt.Sprintf("fleet %d", i), Owner: &latchward.Owner{Type: latchward.OwnerUser, ID: int64(owner)},
		}))
	}
	return list
}

func (f *fixture) bulk(t *testing.T, ctx context.Context, b latchward.Bulk) latchward.BulkResult {
	t.Helper()
	return must[latchward.BulkResult](t)(f.BulkTokens(ctx, b))
}

func ownedBy(id latchward.UserID) latchward.TokenFilter {
	return latchward.TokenFilter{Owners: []latchward.Owner{{Type: latchward.OwnerUser, ID: int64(id)}}}
}

// B-06, bar 51: a preview changes nothing and tells the count; with it, all tokens are revoked as one, at once, each with
// its audit entry, reason and note; revoked ones count as same.
func TestBulkRevoke(t *testing.T) {
	f := newFixture(t, nil)
	ben := f.user(t, latchward.NewUser{Name: "Ben"})
	fleet, spared := f.fleet(t, ben.ID, 1203), f.create(t, latchward.NewToken{})
	must[*latchward.Token](t)(f.RevokeToken(f.ctx, fleet[0].Token.ID, latchward.Revocation{}))
	b := latchward.Bulk{
		Action: latchward.BulkRevoke, Filter: ownedBy(ben.ID),
		Why: latchward.Revocation{Reason: latchward.RevokeAffiliationChanged, Note: "left in spring"},
	}
	for _, token := range fleet { // so that verdicts are remembered
		_ = must[latchward.Verdict](t)(f.Verify(f.ctx, latchward.VerifyRequest{Secret: token.Secret}))
	}
	before := len(f.logged(t))
	preview := f.bulk(t, f.ctx, b)
	if !preview.Preview || preview.Count != 1202 || preview.Same != 1 || len(preview.Sample) != latchward.BulkSample {
		t.Errorf("preview %+v", preview)
	}
	if got := len(f.logged(t)); got != before {
		t.Errorf("a preview left %d entries", got-before)
	}
	b.Count, b.Revision = &preview.Count, preview.Revision
	done := f.bulk(t, f.ctx, b)
	if done.Preview || done.Count != 1202 || done.Revision != preview.Revision {
		t.Errorf("done %+v", done)
	}
	for i, token := range fleet {
		v := must[latchward.Verdict](t)(f.Verify(f.ctx, latchward.VerifyRequest{Secret: token.Secret}))
		if v.Reason != latchward.ReasonRevoked {
			t.Fatalf("token %d: %s", i, v.Reason)
		}
	}
	if v := must[latchward.Verdict](t)(f.Verify(f.ctx, latchward.VerifyRequest{Secret: spared.Secret})); !v.Allowed() {
		t.Errorf("another's token: %s", v.Reason)
	}
	entries := f.logged(t)[before:]
	if len(entries) != 1202 {
		t.Fatalf("%d entries, want one for each token", len(entries))
	}
	for _, e := range entries {
		if e.Action != latchward.ActionTokenRevoke || e.After["revoke_reason"] != "affiliation_changed" ||
			e.After["revoke_note"] != "left in spring" {
			t.Fatalf("entry %+v", e)
		}
	}
	f.intact(t)
	if got := f.Stats().TokensRevoked; got != 1203 {
		t.Errorf("%d revocations are counted", got)
	}
}

func (f *fixture) logged(t *testing.T) []*latchward.AuditEntry {
	t.Helper()
	entries, err := f.store.AuditEntries(f.ctx, latchward.AuditFilter{Oldest: true})
	f.must(t, err, "")
	return entries
}

// B-06: what was shown is what happens. Other tokens, or more of them, than a preview told are a conflict, and nothing
// changes.
func TestBulkChangesWhatWasShown(t *testing.T) {
	f := newFixture(t, nil)
	fleet := f.fleet(t, f.owner, 3)
	b := latchward.Bulk{Action: latchward.BulkDisable, Filter: ownedBy(f.owner)}
	preview := f.bulk(t, f.ctx, b)
	b.Count, b.Revision = &preview.Count, preview.Revision
	f.fleet(t, f.owner, 1)
	_, err := f.BulkTokens(f.ctx, b)
	f.must(t, err, latchward.CodeConflict)
	must[latchward.IssuedToken](t)(f.UpdateToken(f.ctx, fleet[0].Token.ID, latchward.TokenUpdate{Active: ptr(false)}))
	_, err = f.BulkTokens(f.ctx, b) // as many as before, but others
	f.must(t, err, latchward.CodeConflict)
	if token := must[*latchward.Token](t)(f.Token(f.ctx, fleet[1].Token.ID)); !token.Active {
		t.Error("a refused change was made")
	}
	b.Revision = ""
	wrong := *b.Count - 1
	_, err = f.BulkTokens(f.ctx, latchward.Bulk{Action: b.Action, Filter: b.Filter, Count: &wrong})
	f.must(t, err, latchward.CodeConflict)
	if done := f.bulk(t, f.ctx, b); done.Count != 3 || done.Same != 1 {
		t.Errorf("%+v", done)
	}
}

// B-06: enabling and extending do what they do to one token; tokens without expiry, or with a later one, stay.
func TestBulkEnableAndExtend(t *testing.T) {
	f := newFixture(t, nil)
	start := f.clock()
	soon := f.create(t, latchward.NewToken{ExpiresAt: start.Add(day)}).Token.ID
	late := f.create(t, latchward.NewToken{ExpiresAt: start.Add(900 * day)}).Token.ID
	never := f.create(t, latchward.NewToken{}).Token.ID
	all := ownedBy(f.owner)
	f.run(t, latchward.Bulk{Action: latchward.BulkDisable, Filter: all}, 3)
	f.run(t, latchward.Bulk{Action: latchward.BulkEnable, Filter: all}, 3)
	f.run(t, latchward.Bulk{Action: latchward.BulkExtend, Filter: all, ExpiresAt: start.Add(30 * day)}, 1)
	for id, want := range map[latchward.TokenID]time.Time{
		soon: start.Add(30 * day), late: start.Add(900 * day), never: {},
	} {
		if token := must[*latchward.Token](t)(f.Token(f.ctx, id)); !token.ExpiresAt.Equal(want) || !token.Active {
			t.Errorf("token %d expires at %v, want %v; active %v", id, token.ExpiresAt, want, token.Active)
		}
	}
}

// run previews a change, and makes it.
func (f *fixture) run(t *testing.T, b latchward.Bulk, want int64) {
	t.Helper()
	preview := f.bulk(t, f.ctx, b)
	b.Count, b.Revision = &preview.Count, preview.Revision
	if done := f.bulk(t, f.ctx, b); done.Count != want {
		t.Errorf("%s changed %d tokens, want %d", b.Action, done.Count, want)
	}
}

// B-06, X-09: everybody changes what is theirs, and nobody anything else.
func TestBulkReachesNoFurther(t *testing.T) {
	f := newFixture(t, nil)
	ben := f.user(t, latchward.NewUser{Name: "Ben"})
	f.fleet(t, ben.ID, 2)
	f.fleet(t, f.owner, 3)
	asBen := f.person(t, ben.ID)
	if preview := f.bulk(t, asBen, latchward.Bulk{
		Action: latchward.BulkRevoke, Filter: latchward.TokenFilter{Query: "fleet"},
	}); preview.Count != 2 {
		t.Errorf("a member would revoke %d tokens, want their own 2", preview.Count)
	}
	_, err := f.BulkTokens(asBen, latchward.Bulk{Action: latchward.BulkRevoke, Filter: ownedBy(f.owner)})
	f.must(t, err, latchward.CodeForbidden)
	auditor := f.user(t, latchward.NewUser{Name: "Cy", Roles: []string{"auditor"}}) // sees all, changes nothing
	if preview := f.bulk(t, f.person(t, auditor.ID), latchward.Bulk{
		Action: latchward.BulkRevoke, Filter: latchward.TokenFilter{Query: "fleet"},
	}); preview.Count != 0 || preview.Refused != 5 || len(preview.Reasons) != 5 {
		t.Errorf("an auditor's preview: %+v", preview)
	}
	_, err = f.BulkTokens(f.person(t, auditor.ID), latchward.Bulk{
		Action: latchward.BulkRevoke, Filter: latchward.TokenFilter{Query: "fleet"}, Count: ptr(int64(0)),
	})
	f.must(t, err, latchward.CodeForbidden)
}

// B-06, B-13: tokens that a policy does not let through are counted, and refuse all unless they may be skipped.
func TestBulkCountsWhatAPolicyRefuses(t *testing.T) {
	f := newFixture(t, nil)
	old := f.create(t, latchward.NewToken{ExpiresAt: f.clock().Add(9 * day), IdleTimeoutDays: ptr(0)}).Token.ID
	f.advance(8 * day)
	young := f.create(t, latchward.NewToken{ExpiresAt: f.clock().Add(9 * day)}).Token.ID
	f.policy(t, latchward.NewPolicy{Name: "strict", Rules: latchward.LifecycleRules{MaxLifetimeDays: 30}})
	b := latchward.Bulk{Action: latchward.BulkExtend, Filter: ownedBy(f.owner), ExpiresAt: f.clock().Add(30 * day)}
	preview := f.bulk(t, f.ctx, b)
	if preview.Count != 1 || preview.Refused != 1 || preview.Reasons[0].ID != old ||
		!strings.Contains(preview.Reasons[0].Err.Error(), "strict") {
		t.Errorf("%+v", preview)
	}
	b.Count = &preview.Count
	_, err := f.BulkTokens(f.ctx, b)
	f.must(t, err, latchward.CodeConflict)
	b.SkipRefused = true
	if done := f.bulk(t, f.ctx, b); done.Count != 1 || done.Refused != 1 {
		t.Errorf("%+v", done)
	}
	if token := must[*latchward.Token](t)(f.Token(f.ctx, young)); !token.ExpiresAt.Equal(f.clock().Add(30 * day)) {
		t.Errorf("expires at %v", token.ExpiresAt)
	}
}

// B-06: tokens are found by the permission that they hold now, whoever gave it to them.
func TestBulkByPermission(t *testing.T) {
	f := newFixture(t, nil)
	must[*latchward.Role](t)(f.CreateRole(f.ctx, latchward.NewRole{Name: "clerk", Permissions: []string{"orders.*"}}))
	ben := f.user(t, latchward.NewUser{Name: "Ben", Roles: []string{"clerk"}})
	owner := &latchward.Owner{Type: latchward.OwnerUser, ID: int64(ben.ID)}
	inherits := f.create(t, latchward.NewToken{Owner: owner}).Token.ID
	f.create(t, latchward.NewToken{Owner: owner, Permissions: []string{}})
	narrowed := f.create(t, latchward.NewToken{Owner: owner, Permissions: []string{"orders.read"}}).Token.ID
	f.create(t, latchward.NewToken{})
	preview := f.bulk(t, f.ctx, latchward.Bulk{Action: latchward.BulkRevoke, Permission: "orders.read"})
	var ids []latchward.TokenID
	for _, token := range preview.Sample {
		ids = append(ids, token.ID)
	}
	if !slices.Equal(ids, []latchward.TokenID{inherits, narrowed}) {
		t.Errorf("found %v, want %v and %v", ids, inherits, narrowed)
	}
}

// B-06: what makes no sense is refused by its field, before anything is looked up.
func TestInvalidBulk(t *testing.T) {
	f := newFixture(t, nil)
	all := latchward.TokenFilter{Query: "x"}
	for field, b := range map[string]latchward.Bulk{
		"action": {Action: "burn", Filter: all}, "filter": {Action: latchward.BulkRevoke},
		"expires_at": {Action: latchward.BulkExtend, Filter: all, ExpiresAt: f.clock()},
		"permission": {Action: latchward.BulkRevoke, Permission: "orders"},
		"reason":     {Action: latchward.BulkRevoke, Filter: all, Why: latchward.Revocation{Reason: "whim"}},
	} {
		_, err := f.BulkTokens(f.ctx, b)
		if latchward.ErrorCode(err) != latchward.CodeInvalid || latchward.ErrorField(err) != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}
