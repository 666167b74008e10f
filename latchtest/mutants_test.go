package latchtest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/latchward/latchward"
)

// mutant is a store that is right but for one thing.
type mutant struct {
	breaks string // names of promises that must notice, with blanks between them
	what   string // is wrong with it
	alter  func(a *altered)
}

func mutants() []mutant {
	return slices.Concat(
		txMutants(), concurrencyMutants(), factsMutants(), tokenMutants(), fieldMutants(), listMutants(), idleMutants(),
		saveMutants(), endMutants(), userMutants(), saveUserMutants(), auditMutants(), keyMutants(),
		addUsageMutants(), cellMutants(), eventMutants(), countMutants(), removalMutants(),
	)
}

var errWrong = errors.New("something else")

func background() context.Context { return context.Background() }

// is reports whether err is an Error of that code.
func is(err error, code latchward.Code) bool { return latchward.ErrorCode(err) == code }

// remember returns f with the answers it gave first.
func remember[A comparable, R any](f func(context.Context, A) (R, error)) func(A) (R, error) {
	var mu sync.Mutex
	known := map[A]R{}
	return func(a A) (R, error) {
		mu.Lock()
		defer mu.Unlock()
		if r, ok := known[a]; ok {
			return r, nil
		}
		r, err := f(background(), a)
		if err == nil {
			known[a] = r
		}
		return r, err
	}
}

// found returns f with nothing and no error in place of not_found.
func found[A, R any](f func(context.Context, A) (R, error)) func(A) (R, error) {
	return func(a A) (R, error) {
		r, err := f(background(), a)
		if is(err, latchward.CodeNotFound) {
			err = nil
		}
		return r, err
	}
}

func txMutants() []mutant {
	return []mutant{
		{"Tx/CommitsAllThatFSaved", "commits nothing", func(a *altered) {
			a.tx = func(f func(latchward.Tx) error) (latchward.Commit, error) {
				commit, _ := a.right(func(tx latchward.Tx) error { return errors.Join(f(tx), errWrong) })
				return commit, nil
			}
		}},
		{"Tx/CommitsAllThatFSaved", "loses fingerprints", func(a *altered) {
			a.inTx = func(tx *alteredTx) { tx.saveFingerprint = func(int, string) error { return nil } }
		}},
		{"Tx/SavesNothingNewWhenFFails Tx/ChangesNothingWhenFFails Tx/DeletesNothingWhenFFails",
			"commits in spite of an error", func(a *altered) {
				a.tx = func(f func(latchward.Tx) error) (latchward.Commit, error) {
					var failed error
					commit, err := a.right(func(tx latchward.Tx) error { failed = f(tx); return nil })
					return commit, errors.Join(failed, err)
				}
			}},
		{"Tx/SavesNothingNewWhenFFails", "keeps audit entries in spite of an error", keepAudit},
		{"Tx/ChangesNothingWhenFFails Tx/DeletesNothingWhenFFails", "keeps fingerprints in spite of an error", keepFingerprints},
		{"Tx/KeepsNothingWhenFPanics", "commits in spite of a panic", func(a *altered) {
			a.tx = func(f func(latchward.Tx) error) (commit latchward.Commit, err error) {
				var panicked any
				commit, err = a.right(func(tx latchward.Tx) error {
					defer func() { panicked = recover() }()
					return f(tx)
				})
				if panicked != nil {
					panic(panicked)
				}
				return commit, err
			}
		}},
		{"Tx/ReturnsTheErrorOfF", "returns an error of its own", func(a *altered) {
			a.tx = func(f func(latchward.Tx) error) (latchward.Commit, error) {
				commit, err := a.right(f)
				if err != nil {
					err = errWrong
				}
				return commit, err
			}
		}},
		{"Tx/NamesTokensWhenFFails", "names no tokens when f fails", namesOnFailure(latchward.ChangeToken)},
		{"Tx/NamesOwnersWhenFFails", "names no owners when f fails", namesOnFailure(latchward.ChangeOwner)},
		{"Tx/PositionsGrowInOneHistory Tx/PositionsOfManyDiffer", "stays at one position", positions(func(p *latchward.Position) { p.N = 1 })},
		{"Tx/PositionsGrowInOneHistory", "goes backwards", positions(func(p *latchward.Position) { p.N = -p.N })},
		{"Tx/PositionsGrowInOneHistory", "has no history", positions(func(p *latchward.Position) { p.History = "" })},
		{"Tx/PositionsGrowInOneHistory", "changes its history", positions(func(p *latchward.Position) { p.History = fmt.Sprint(p.N) })},
		{"Tx/SeesItsOwnTokens", "reads old tokens in a transaction", func(a *altered) {
			a.inTx = func(tx *alteredTx) { tx.token = remember(asContext(tx.Tx.Token)); tx.saveToken = readFirst(tx) }
		}},
		{"Tx/SeesItsOwnTokens", "lists old tokens in a transaction", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.tokensOf = func(latchward.Owner) ([]*latchward.Token, error) { return nil, nil }
			}
		}},
		{"Tx/SeesItsOwnUsers", "does not find its own users by external id", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.userByExternalID = func(string) (*latchward.User, error) {
					return nil, latchward.Errorf(latchward.CodeNotFound, "wrong")
				}
			}
		}},
	}
}

func asContext[A, R any](f func(A) (R, error)) func(context.Context, A) (R, error) {
	return func(_ context.Context, a A) (R, error) { return f(a) }
}

// readFirst makes a transaction remember what each token was before it was saved.
func readFirst(tx *alteredTx) func(*latchward.Token) error {
	return func(t *latchward.Token) error {
		_, _ = tx.token(t.ID)
		return tx.Tx.SaveToken(t)
	}
}

// keepAudit adds the audit entries of a failed transaction all the same.
func keepAudit(a *altered) {
	var entries []latchward.AuditEntry
	a.inTx = func(tx *alteredTx) {
		entries = nil
		tx.appendAudit = func(e *latchward.AuditEntry) error {
			entries = append(entries, *e)
			return tx.Tx.AppendAudit(e)
		}
	}
	a.tx = func(f func(latchward.Tx) error) (latchward.Commit, error) {
		commit, err := a.right(f)
		for _, e := range entries {
			if err != nil {
				_, _ = a.Store.Tx(background(), func(tx latchward.Tx) error { return tx.AppendAudit(&e) })
			}
		}
		return commit, err
	}
}

// keepFingerprints saves the fingerprints of a failed transaction all the same.
func keepFingerprints(a *altered) {
	saved := map[int]string{}
	a.inTx = func(tx *alteredTx) {
		tx.saveFingerprint = func(version int, fingerprint string) error {
			saved[version] = fingerprint
			return tx.Tx.SaveKeyFingerprint(version, fingerprint)
		}
	}
	a.keyFingerprints = func() (map[int]string, error) {
		got := map[int]string{}
		for version, fingerprint := range saved {
			if fingerprint != "" {
				got[version] = fingerprint
			}
		}
		return got, nil
	}
}

func namesOnFailure(forgotten latchward.ChangeKind) func(a *altered) {
	return func(a *altered) {
		a.tx = func(f func(latchward.Tx) error) (latchward.Commit, error) {
			commit, err := a.right(f)
			if err != nil {
				commit.Changes = without(commit.Changes, forgotten, func(string) bool { return true })
			}
			return commit, err
		}
	}
}

// without returns changes that do not name the keys of a kind that go.
func without(changes []latchward.Change, kind latchward.ChangeKind, goes func(key string) bool) []latchward.Change {
	var left []latchward.Change
	for _, c := range changes {
		if c.Kind == kind {
			c.Keys = slices.DeleteFunc(slices.Clone(c.Keys), goes)
		}
		if len(c.Keys) > 0 {
			left = append(left, c)
		}
	}
	return left
}

func positions(edit func(p *latchward.Position)) func(a *altered) {
	return func(a *altered) {
		a.tx = func(f func(latchward.Tx) error) (latchward.Commit, error) {
			commit, err := a.right(f)
			edit(&commit.Position)
			return commit, err
		}
	}
}

func concurrencyMutants() []mutant {
	return []mutant{
		{"Tx/LosesNoUpdate Tx/ReadsWhatOthersWrote", "reads first and writes later", readThenWrite},
		{"Tx/GivesAnExternalIDOnce Tx.SaveUser/RefusesAnExternalIDInUse", "invents another external id", func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.saveUser = func(u *latchward.User) error {
					err := tx.Tx.SaveUser(u)
					for ; latchward.ErrorField(err) == "external_id"; err = tx.Tx.SaveUser(u) {
						u.ExternalID += "x"
					}
					return err
				}
			}
		}},
		{"TokenFacts/ShowNoHalfChange", "shows each write at once", func(a *altered) {
			a.tx = func(f func(latchward.Tx) error) (latchward.Commit, error) {
				return latchward.Commit{}, f(&pieces{a})
			}
		}},
		{"AddUsage/AddsABatchOnceAmongMany AddUsage/RefusesAnotherOffset AddUsage/AddsNothingOnAnotherOffset",
			"adds a batch at any offset", func(a *altered) {
				a.addUsage = func(b latchward.UsageBatch) error {
					for {
						if err := a.Store.AddUsage(background(), b); !is(err, latchward.CodeConflict) {
							return err
						}
						b.From, _ = a.Store.UsageOffset(background(), b.Node)
					}
				}
			}},
		{"Store/SafeForConcurrentUse", "is busy when it is used", func(a *altered) {
			var mu sync.Mutex
			a.tx = func(f func(latchward.Tx) error) (latchward.Commit, error) {
				if !mu.TryLock() {
					return latchward.Commit{}, latchward.Errorf(latchward.CodeUnavailable, "busy")
				}
				defer mu.Unlock()
				return a.right(f)
			}
			a.ownerFacts = func(owner latchward.Owner) (latchward.OwnerFacts, error) {
				mu.Lock()
				defer mu.Unlock()
				for range 100 {
					runtime.Gosched()
				}
				return a.Store.OwnerFacts(background(), owner)
			}
		}},
	}
}

// readThenWrite runs f on what is there, collects what it writes, lets others do the same, and then writes.
func readThenWrite(a *altered) {
	a.tx = func(f func(latchward.Tx) error) (latchward.Commit, error) {
		var writes []func(tx latchward.Tx) error
		late := &alteredTx{Tx: &pieces{a}}
		late.saveToken = func(t *latchward.Token) error {
			if t.ID == 0 {
				_, err := a.right(func(tx latchward.Tx) error { return tx.SaveToken(t) })
				return err
			}
			saved := *t
			writes = append(writes, func(tx latchward.Tx) error { return tx.SaveToken(&saved) })
			return nil
		}
		late.saveUser = func(u *latchward.User) error {
			if u.ID == 0 {
				_, err := a.right(func(tx latchward.Tx) error { return tx.SaveUser(u) })
				return err
			}
			saved := *u
			writes = append(writes, func(tx latchward.Tx) error { return tx.SaveUser(&saved) })
			return nil
		}
		if err := f(late); err != nil {
			return latchward.Commit{}, err
		}
		for range 100 {
			runtime.Gosched()
		}
		return a.right(func(tx latchward.Tx) error {
			for _, write := range writes {
				if err := write(tx); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// pieces is a Tx whose every call is a transaction of its own.
type pieces struct{ a *altered }

func (p *pieces) do(f func(tx latchward.Tx) error) error {
	_, err := p.a.right(f)
	return err
}

func (p *pieces) Token(id latchward.TokenID) (*latchward.Token, error) {
	return p.a.Store.Token(background(), id)
}

func (p *pieces) SaveToken(t *latchward.Token) error {
	return p.do(func(tx latchward.Tx) error { return tx.SaveToken(t) })
}

func (p *pieces) RetireSecret(id latchward.TokenID, s latchward.RetiringSecret) error {
	return p.do(func(tx latchward.Tx) error { return tx.RetireSecret(id, s) })
}

func (p *pieces) DeleteToken(id latchward.TokenID) error {
	return p.do(func(tx latchward.Tx) error { return tx.DeleteToken(id) })
}

func (p *pieces) TokensOf(owner latchward.Owner) (tokens []*latchward.Token, err error) {
	err = p.do(func(tx latchward.Tx) error { tokens, err = tx.TokensOf(owner); return err })
	return tokens, err
}

func (p *pieces) User(id latchward.UserID) (*latchward.User, error) {
	return p.a.Store.User(background(), id)
}

func (p *pieces) UserByExternalID(externalID string) (*latchward.User, error) {
	return p.a.Store.UserByExternalID(background(), externalID)
}

func (p *pieces) SaveUser(u *latchward.User) error {
	return p.do(func(tx latchward.Tx) error { return tx.SaveUser(u) })
}

func (p *pieces) AppendAudit(e *latchward.AuditEntry) error {
	return p.do(func(tx latchward.Tx) error { return tx.AppendAudit(e) })
}

func (p *pieces) SaveKeyFingerprint(version int, fingerprint string) error {
	return p.do(func(tx latchward.Tx) error { return tx.SaveKeyFingerprint(version, fingerprint) })
}

// savesWrong alters every token on its way into the store.
func savesWrong(edit func(t *latchward.Token)) func(a *altered) {
	return func(a *altered) {
		a.inTx = func(tx *alteredTx) {
			tx.saveToken = func(t *latchward.Token) error {
				wrong := *t.Clone()
				edit(&wrong)
				err := tx.Tx.SaveToken(&wrong)
				t.ID = wrong.ID
				return err
			}
		}
	}
}

// readsWrong alters every token on its way out of Token, TokenFacts and Tokens.
func readsWrong(edit func(t *latchward.Token)) func(a *altered) {
	return func(a *altered) {
		wrong := func(t *latchward.Token) *latchward.Token {
			if t != nil {
				edit(t)
			}
			return t
		}
		a.token = func(id latchward.TokenID) (*latchward.Token, error) {
			t, err := a.Store.Token(background(), id)
			return wrong(t), err
		}
		a.tokenFacts = func(id latchward.KeyID) (latchward.TokenFacts, error) {
			f, err := a.Store.TokenFacts(background(), id)
			f.Token = wrong(f.Token)
			return f, err
		}
		a.tokens = func(f latchward.TokenFilter) ([]*latchward.Token, error) {
			tokens, err := a.Store.Tokens(background(), f)
			for _, t := range tokens {
				wrong(t)
			}
			return tokens, err
		}
	}
}

// factsWrong alters what TokenFacts returns.
func factsWrong(edit func(a *altered, f *latchward.TokenFacts, err *error)) func(a *altered) {
	return func(a *altered) {
		a.tokenFacts = func(id latchward.KeyID) (latchward.TokenFacts, error) {
			f, err := a.Store.TokenFacts(background(), id)
			edit(a, &f, &err)
			return f, err
		}
	}
}

func factsMutants() []mutant {
	return []mutant{
		{"TokenFacts/FindsCurrentSecrets", "gives no digest", factsWrong(func(_ *altered, f *latchward.TokenFacts, _ *error) {
			f.Digest = latchward.Digest{}
		})},
		{"TokenFacts/FindsCurrentSecrets", "ends the current secret", factsWrong(func(_ *altered, f *latchward.TokenFacts, _ *error) {
			f.EndsAt = epoch()
		})},
		{"TokenFacts/FindsRotatedOutSecrets Tx.RetireSecret/BeforeTheNewOneIsSaved Tx.RetireSecret/AfterTheNewOneIsSaved",
			"forgets rotated-out secrets", factsWrong(func(_ *altered, f *latchward.TokenFacts, err *error) {
				if !f.EndsAt.IsZero() {
					*f, *err = latchward.TokenFacts{}, latchward.Errorf(latchward.CodeNotFound, "wrong")
				}
			})},
		{"TokenFacts/FindsRotatedOutSecrets", "gives the current digest for every secret", factsWrong(
			func(_ *altered, f *latchward.TokenFacts, err *error) {
				if *err == nil {
					f.Digest = f.Token.Secret.Digest
				}
			})},
		{"TokenFacts/FindsRotatedOutSecrets", "takes rotated-out secrets for current", factsWrong(
			func(_ *altered, f *latchward.TokenFacts, _ *error) { f.EndsAt = time.Time{} })},
		{"TokenFacts/FindsWhatTheTokenIsNow TokenFacts/ReturnsACopy", "remembers facts for ever", func(a *altered) {
			a.tokenFacts = remember(a.Store.TokenFacts)
		}},
		{"TokenFacts/UnknownIsNotFound", "finds nothing and calls it success", func(a *altered) { a.tokenFacts = found(a.Store.TokenFacts) }},
		{"OwnerFacts/FindsUsers", "knows no administrators", ownerWrong(func(_ *altered, _ latchward.Owner, f *latchward.OwnerFacts) {
			f.Administrator = false
		})},
		{"OwnerFacts/FindsUsers", "knows no external ids", ownerWrong(func(_ *altered, _ latchward.Owner, f *latchward.OwnerFacts) {
			f.ExternalID = ""
		})},
		{"OwnerFacts/DisabledAndRemovedMayNotAct", "lets removed users act", ownerWrong(
			func(a *altered, owner latchward.Owner, f *latchward.OwnerFacts) {
				if u, err := a.Store.User(background(), latchward.UserID(owner.ID)); err == nil {
					f.Active = u.Active
				}
			})},
		{"OwnerFacts/UnknownIsNotFound", "finds nobody and calls it success", func(a *altered) { a.ownerFacts = found(a.Store.OwnerFacts) }},
		{"OwnerFacts/UnknownIsNotFound", "takes every owner for a user", func(a *altered) {
			a.ownerFacts = func(owner latchward.Owner) (latchward.OwnerFacts, error) {
				owner.Type = latchward.OwnerUser
				return a.Store.OwnerFacts(background(), owner)
			}
		}},
	}
}

func ownerWrong(edit func(a *altered, owner latchward.Owner, f *latchward.OwnerFacts)) func(a *altered) {
	return func(a *altered) {
		a.ownerFacts = func(owner latchward.Owner) (latchward.OwnerFacts, error) {
			f, err := a.Store.OwnerFacts(background(), owner)
			edit(a, owner, &f)
			return f, err
		}
	}
}

func tokenMutants() []mutant {
	return []mutant{
		{"Token/KeepsTextsAsTheyAre", "trims names", savesWrong(func(t *latchward.Token) { t.Name = strings.TrimSpace(t.Name) })},
		{"Token/KeepsTextsAsTheyAre", "cuts names at 255 bytes", savesWrong(func(t *latchward.Token) {
			t.Name = t.Name[:min(255, len(t.Name))]
		})},
		{"Token/KeepsTextsAsTheyAre", "keeps lists as texts with commas", savesWrong(func(t *latchward.Token) {
			if len(t.Tags) > 0 {
				t.Tags = strings.Split(strings.Join(t.Tags, ","), ",")
			}
		})},
		{"Token/TellsNoRightsFromTheOwnersRights", "takes no rights for the owner's", savesWrong(func(t *latchward.Token) {
			if len(t.Permissions) == 0 {
				t.Permissions = nil
			}
		})},
		{"Token/TellsNoRightsFromTheOwnersRights", "takes the owner's rights for none", savesWrong(func(t *latchward.Token) {
			if t.Permissions == nil {
				t.Permissions = []string{}
			}
		})},
		{"Token/KeepsTimesToTheMillisecond", "keeps times in nanoseconds", savesWrong(func(t *latchward.Token) {
			t.ExpiresAt = time.Unix(0, t.ExpiresAt.UnixNano()).UTC()
		})},
		{"Token/KeepsTimesToTheMillisecond", "keeps whole seconds", savesWrong(func(t *latchward.Token) {
			t.ExpiresAt = t.ExpiresAt.Truncate(time.Second)
		})},
		{"Token/KeepsTimesToTheMillisecond Token/KeepsEveryField", "returns local times", readsWrong(func(t *latchward.Token) {
			t.ExpiresAt = t.ExpiresAt.In(time.FixedZone("local", 0))
		})},
		{"Token/FillsInTheOwnersName", "gives no owner's name", readsWrong(func(t *latchward.Token) { t.Owner.Name = "" })},
		{"Token/FillsInTheOwnersName", "remembers the owner's name", readsWrong(func(t *latchward.Token) { t.Owner.Name = "Ada" })},
		{"Token/ReturnsACopy", "hands out what it keeps", func(a *altered) { a.token = remember(a.Store.Token) }},
		{"Token/UnknownIsNotFound", "finds nothing and calls it success", func(a *altered) { a.token = found(a.Store.Token) }},
	}
}

// fieldMutants loses one field of a record each, whichever there are.
func fieldMutants() []mutant {
	var list []mutant
	for _, field := range fieldsBut[latchward.Token]("ID", "LastUsedAt") {
		list = append(list, mutant{
			"Token/KeepsEveryField Tx.SaveToken/ReplacesEveryField", "loses a token's " + field,
			savesWrong(func(t *latchward.Token) { lose(t, field) }),
		})
	}
	for _, field := range fieldsBut[latchward.User]("ID") {
		breaks := "User/KeepsEveryField Tx.SaveUser/ReplacesEveryField"
		if field == "RemovedAt" {
			breaks = "User/ReturnsRemovedUsers Tx.SaveUser/ReplacesEveryField"
		}
		list = append(list, mutant{breaks, "loses a user's " + field, savesWrongUser(func(u *latchward.User) { lose(u, field) })})
	}
	for _, field := range fieldsBut[latchward.AuditEntry]("ID") {
		list = append(list, mutant{
			"AuditEntries/KeepsEveryField", "loses an audit entry's " + field,
			appendsWrong(func(e *latchward.AuditEntry) { lose(e, field) }),
		})
	}
	for _, field := range fieldsBut[latchward.Principal]("Administrator", "Permissions") {
		list = append(list, mutant{
			"AuditEntries/KeepsEveryField", "loses an actor's " + field,
			appendsWrong(func(e *latchward.AuditEntry) { lose(&e.Actor, field) }),
		})
	}
	for _, field := range fieldsBut[latchward.UsageEvent]() {
		list = append(list, mutant{
			"UsageEvents/KeepsEveryField", "loses an event's " + field,
			eventsWrong(func(e *latchward.UsageEvent) { lose(e, field) }),
		})
	}
	return list
}

// fieldsBut returns the names of a struct's fields, but for some.
func fieldsBut[T any](but ...string) []string {
	var names []string
	for _, field := range reflect.VisibleFields(reflect.TypeFor[T]()) {
		if !slices.Contains(but, field.Name) {
			names = append(names, field.Name)
		}
	}
	return names
}

func lose(record any, field string) { reflect.ValueOf(record).Elem().FieldByName(field).SetZero() }
