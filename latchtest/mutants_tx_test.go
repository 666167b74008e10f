package latchtest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"

	"github.com/latchward/latchward"
)

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
		{"Tx/ChangesNothingWhenFFails Tx/DeletesNothingWhenFFails", "keeps fingerprints in spite of an error",
			keepFingerprints},
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
		{"Tx/PositionsGrowInOneHistory Tx/PositionsOfManyDiffer", "stays at one position",
			positions(func(p *latchward.Position) { p.N = 1 })},
		{"Tx/PositionsGrowInOneHistory", "goes backwards", positions(func(p *latchward.Position) { p.N = -p.N })},
		{"Tx/PositionsGrowInOneHistory", "has no history", positions(func(p *latchward.Position) { p.History = "" })},
		{"Tx/PositionsGrowInOneHistory", "changes its history",
			positions(func(p *latchward.Position) { p.History = fmt.Sprint(p.N) })},
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
				return latchward.Commit{}, f(&pieces{a: a})
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
		{"Store/SafeForConcurrentUse", "is busy when it is used", busy},
	}
}

// busy refuses a call while another one is made, and takes its time over each, so that another one comes.
func busy(a *altered) {
	var calls atomic.Int32
	refuses := func() error {
		calls.Add(1)
		defer calls.Add(-1)
		for range 10_000 {
			if calls.Load() > 1 {
				return latchward.Errorf(latchward.CodeUnavailable, "busy")
			}
			runtime.Gosched()
		}
		return nil
	}
	a.tx = func(f func(latchward.Tx) error) (latchward.Commit, error) {
		if err := refuses(); err != nil {
			return latchward.Commit{}, err
		}
		return a.right(f)
	}
	a.ownerFacts = func(owner latchward.Owner) (latchward.OwnerFacts, error) {
		if err := refuses(); err != nil {
			return latchward.OwnerFacts{}, err
		}
		return a.Store.OwnerFacts(background(), owner)
	}
}

// readThenWrite runs f on what is there, collects what it writes, lets others do the same, and then writes.
func readThenWrite(a *altered) {
	a.tx = func(f func(latchward.Tx) error) (latchward.Commit, error) {
		var writes []func(tx latchward.Tx) error
		late := &alteredTx{Tx: &pieces{a: a}}
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
		for range 1000 {
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
type pieces struct {
	latchward.Tx // nil: the rest is not asked for
	a            *altered
}

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
