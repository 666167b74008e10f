package latchtest

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/latchward/latchward"
)

const (
	txAlone = "It must not run two transactions that write at the same time " +
		"in a way that either could not have run alone."
	concurrent = "All methods are safe for concurrent use."
)

func concurrencyPromises() []storePromise {
	return []storePromise{
		{"Tx/LosesNoUpdate", txAlone, txLosesNoUpdate},
		{"Tx/ReadsWhatOthersWrote", txAlone, txWriteSkew},
		{"Tx/GivesAnExternalIDOnce", txAlone, txExternalIDOnce},
		{"Tx/PositionsOfManyDiffer", position, txPositionsDiffer},
		{"TokenFacts/ShowNoHalfChange", txCommits, factsShowNoHalf},
		{"AddUsage/AddsABatchOnceAmongMany", addsOnce, addsOnceAmongMany},
		{"Store/SafeForConcurrentUse", concurrent, safeForAll},
	}
}

// together runs n functions at the same time, as nearly as that can be had, and returns what each returned.
func together(n int, f func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			errs[i] = f(i)
		})
	}
	close(start)
	all.Wait()
	return errs
}

const writers, rounds = 4, 10

// txLosesNoUpdate lets several writers read a token, add one, and save it.
func txLosesNoUpdate(t *trial) {
	token := t.token(nil)
	err := errors.Join(together(writers, func(int) error {
		for range rounds {
			_, err := t.store.Tx(t.ctx, func(tx latchward.Tx) error {
				read, err := tx.Token(token.ID)
				if err != nil {
					return err
				}
				runtime.Gosched()
				read.RateLimit++
				return tx.SaveToken(read)
			})
			if err != nil {
				return err
			}
		}
		return nil
	})...)
	t.must(err)
	if got, want := t.stored(token.ID).RateLimit, token.RateLimit+writers*rounds; got != want {
		t.Errorf("after %d increments by 1 the value is %d, want %d", writers*rounds, got, want)
	}
}

// txWriteSkew lets two writers each disable another user if somebody else is still active. Alone, neither would
// disable the last one.
func txWriteSkew(t *trial) {
	for range rounds {
		users := []*latchward.User{t.user(), t.user()}
		err := errors.Join(together(2, func(i int) error {
			_, err := t.store.Tx(t.ctx, func(tx latchward.Tx) error {
				other, err := tx.User(users[1-i].ID)
				if err != nil || !other.Active {
					return err
				}
				runtime.Gosched()
				disabled := *users[i]
				disabled.Active = false
				return tx.SaveUser(&disabled)
			})
			return err
		})...)
		t.must(err)
		if a, b := t.storedUser(users[0].ID).Active, t.storedUser(users[1].ID).Active; a == b {
			t.Errorf("two users of whom one was to stay active are active: %v, %v", a, b)
		}
	}
}

func txExternalIDOnce(t *trial) {
	for round := range rounds {
		externalID := fmt.Sprintf("ada-%d", round)
		created := 0
		for _, err := range together(writers, func(int) error {
			_, err := t.store.Tx(t.ctx, func(tx latchward.Tx) error {
				u := latchward.User{ExternalID: externalID, Active: true, CreatedAt: epoch(), UpdatedAt: epoch()}
				return tx.SaveUser(&u)
			})
			return err
		}) {
			if err == nil {
				created++
				continue
			}
			t.code("SaveUser of a new user among many", err, latchward.CodeConflict)
		}
		if created != 1 {
			t.Errorf("%d of %d users were created with one external id, want 1", created, writers)
		}
	}
}

func txPositionsDiffer(t *trial) {
	owner := t.user()
	var mu sync.Mutex
	seen := map[latchward.Position]int{}
	err := errors.Join(together(writers, func(int) error {
		for range rounds {
			commit, err := t.store.Tx(t.ctx, func(tx latchward.Tx) error { u := *owner; return tx.SaveUser(&u) })
			if err != nil {
				return err
			}
			mu.Lock()
			seen[commit.Position]++
			mu.Unlock()
		}
		return nil
	})...)
	t.must(err)
	if len(seen) != writers*rounds {
		t.Errorf("%d commits have %d different positions", writers*rounds, len(seen))
	}
}

// factsShowNoHalf rotates a token, in two writes, while others ask for its facts: they must see neither write or both.
func factsShowNoHalf(t *trial) {
	token := t.token(nil)
	for range rounds {
		old, rotated := token.Secret, *token
		rotated.Secret, rotated.RateLimit = t.credential(), token.RateLimit+1
		seen := make(chan error, 2)
		look := func() {
			seen <- t.wholeRotation(old, *token, rotated)
		}
		t.tx(func(tx latchward.Tx) error {
			saved := rotated
			if err := tx.SaveToken(&saved); err != nil {
				return err
			}
			go look()
			letRun(seen)
			return tx.RetireSecret(token.ID, latchward.RetiringSecret{Credential: old, EndsAt: epoch()})
		})
		if err := <-seen; err != nil {
			t.Errorf("during a rotation: %v", err)
		}
		look()
		if err := <-seen; err != nil {
			t.Errorf("after a rotation: %v", err)
		}
		token = &rotated
	}
}

// letRun gives another goroutine the chance to answer, without waiting for one that has to wait for us.
func letRun(answers chan error) {
	for range 1000 {
		if len(answers) > 0 {
			return
		}
		runtime.Gosched()
	}
}

// wholeRotation asks for the facts about a secret that is being rotated out, and says whether they are those from
// before or those from after.
func (t *trial) wholeRotation(old latchward.Credential, before, after latchward.Token) error {
	got, err := t.store.TokenFacts(t.ctx, old.KeyID)
	if err != nil {
		return err
	}
	was := latchward.TokenFacts{Token: &before, Digest: old.Digest}
	is := latchward.TokenFacts{Token: &after, Digest: old.Digest, EndsAt: epoch()}
	if difference(got, was) != "" && difference(got, is) != "" {
		return fmt.Errorf("TokenFacts are neither those before nor those after: %s", difference(got, is))
	}
	return nil
}

func addsOnceAmongMany(t *trial) {
	token := t.token(nil)
	for round := range rounds {
		b := t.batch(event(token.ID, epoch()), event(token.ID, epoch()))
		added := 0
		for _, err := range together(writers, func(int) error { return t.store.AddUsage(t.ctx, b) }) {
			if err == nil {
				added++
				continue
			}
			t.code("AddUsage among many", err, latchward.CodeConflict)
		}
		if added != 1 {
			t.Errorf("one batch was added %d times", added)
		}
		n := int64(round+1) * 2
		t.sameTotal("after each batch was offered many times", token.ID, n, n, n)
		t.offset = b.To
	}
}

// safeForAll uses every method at the same time; the race detector looks on.
func safeForAll(t *trial) {
	owner := t.user(wholeUser)
	tokens := []*latchward.Token{t.token(owner), t.token(owner), t.token(owner)}
	uses := append(t.writesOf(owner), append(t.readsOf(owner), t.usageReads()...)...)
	t.must(errors.Join(together(len(tokens)*len(uses), func(i int) error {
		return uses[i%len(uses)](tokens[i/len(uses)])
	})...))
	for _, token := range tokens {
		t.sameTotal("a token that was used once", token.ID, 1, 1, 1)
		if got := t.stored(token.ID).Description; got != "x" {
			t.Errorf("a token that was described once says %q", got)
		}
	}
}

// use calls one method with a token, or with nothing to do with it.
type use = func(token *latchward.Token) error

// calls returns a use of a method that returns something.
func calls[R any](f func(token *latchward.Token) (R, error)) use {
	return func(token *latchward.Token) error {
		_, err := f(token)
		return err
	}
}

func (t *trial) writesOf(owner *latchward.User) []use {
	describe := func(token *latchward.Token) (latchward.Commit, error) {
		return t.store.Tx(t.ctx, func(tx latchward.Tx) error {
			read, err := tx.Token(token.ID)
			if err != nil {
				return err
			}
			read.Description += "x"
			_, err = tx.TokensOf(ownerOf(owner))
			return errors.Join(err, saveRights(tx, owner), tx.SaveToken(read), tx.SaveKeyFingerprint(1, "one"),
				tx.AppendAudit(&latchward.AuditEntry{At: epoch(), Action: latchward.ActionTokenUpdate}))
		})
	}
	add := func(token *latchward.Token) error {
		b := t.batch(event(token.ID, epoch()))
		b.Node = token.Secret.KeyID.String()
		var err error
		if b.From, err = t.store.UsageOffset(t.ctx, b.Node); err != nil {
			return err
		}
		b.To = latchward.JournalOffset{At: b.From.At + 1}
		return t.store.AddUsage(t.ctx, b)
	}
	old := latchward.UsageRetention{Events: epoch().Add(-time.Hour)}
	return []use{
		calls(describe), add,
		calls(func(*latchward.Token) (int, error) { return t.store.ForgetUsage(t.ctx, 10) }),
		calls(func(*latchward.Token) (int, error) { return t.store.PruneUsage(t.ctx, old, 10) }),
	}
}

// saveRights gives an owner a role, a group and a license that all writers share.
func saveRights(tx latchward.Tx, owner *latchward.User) error {
	r, err := tx.RoleByName("shared")
	if err != nil {
		r = &latchward.Role{Name: "shared"}
	}
	g, err := tx.GroupByName("shared")
	if err != nil {
		g = &latchward.Group{Name: "shared"}
	}
	l, err := tx.LicenseByName("shared")
	if err != nil {
		l = &latchward.License{Name: "shared"}
	}
	if err := errors.Join(tx.SaveRole(r), tx.SaveGroup(g), tx.SaveLicense(l)); err != nil {
		return err
	}
	u := *owner
	u.Roles, u.Groups, u.Licenses = []latchward.RoleID{r.ID}, []latchward.GroupID{g.ID}, []latchward.LicenseID{l.ID}
	_, err = tx.Seats(l.ID)
	return errors.Join(err, tx.SaveUser(&u))
}

func (t *trial) readsOf(owner *latchward.User) []use {
	s, ctx := t.store, t.ctx
	return []use{
		calls(func(token *latchward.Token) (any, error) { return s.TokenFacts(ctx, token.Secret.KeyID) }),
		calls(func(token *latchward.Token) (any, error) { return s.Token(ctx, token.ID) }),
		calls(func(*latchward.Token) (any, error) { return s.OwnerFacts(ctx, ownerOf(owner)) }),
		calls(func(*latchward.Token) (any, error) { return s.Tokens(ctx, latchward.TokenFilter{Limit: 10}) }),
		calls(func(*latchward.Token) (any, error) { return s.CountTokens(ctx, latchward.TokenFilter{}) }),
		calls(func(*latchward.Token) (any, error) { return s.IdleTokens(ctx, epoch(), 10) }),
		calls(func(*latchward.Token) (any, error) { return s.User(ctx, owner.ID) }),
		calls(func(*latchward.Token) (any, error) { return s.UserByEmail(ctx, owner.Email) }),
		calls(func(*latchward.Token) (any, error) { return s.UserByExternalID(ctx, owner.ExternalID) }),
		calls(func(*latchward.Token) (any, error) { return s.Users(ctx, latchward.UserFilter{Limit: 10}) }),
		calls(func(*latchward.Token) (any, error) { return s.AuditEntries(ctx, latchward.AuditFilter{Limit: 10}) }),
		calls(func(*latchward.Token) (any, error) { return s.KeyCounts(ctx) }),
		calls(func(*latchward.Token) (any, error) { return s.KeyFingerprints(ctx) }),
		calls(func(*latchward.Token) (any, error) { return s.Adoption(ctx) }),
		calls(func(*latchward.Token) (any, error) { return s.Role(ctx, latchward.RoleAuditor) }),
		calls(func(*latchward.Token) (any, error) { return s.Roles(ctx) }),
		calls(func(*latchward.Token) (any, error) { return s.Groups(ctx, latchward.GroupFilter{Limit: 10}) }),
		calls(func(*latchward.Token) (any, error) { return s.Licenses(ctx) }),
		calls(func(*latchward.Token) (any, error) { return s.Seats(ctx) }),
		calls(func(*latchward.Token) (any, error) { return s.Permissions(ctx) }),
		func(*latchward.Token) error { return s.Ping(ctx) },
	}
}

func (t *trial) usageReads() []use {
	s, ctx := t.store, t.ctx
	return []use{
		calls(func(*latchward.Token) (any, error) { return s.EndpointNames(ctx) }),
		calls(func(token *latchward.Token) (any, error) {
			return s.TokenCounts(ctx, []latchward.TokenID{token.ID}, epoch())
		}),
		func(*latchward.Token) error {
			q := latchward.UsageQuery{By: latchward.ByToken | latchward.ByHour}
			return s.UsageCells(ctx, q, func(latchward.UsageKey, latchward.UsageCell) error { return nil })
		},
		func(token *latchward.Token) error {
			q := latchward.UsageEventQuery{Token: token.ID, Limit: 10}
			return s.UsageEvents(ctx, q, func(*latchward.UsageEvent) error { return nil })
		},
	}
}
