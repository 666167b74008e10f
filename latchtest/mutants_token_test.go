package latchtest

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/latchward/latchward"
)

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
		{"TokenFacts/FindsCurrentSecrets", "gives no digest",
			factsWrong(func(_ *altered, f *latchward.TokenFacts, _ *error) {
				f.Digest = latchward.Digest{}
			})},
		{"TokenFacts/FindsCurrentSecrets", "ends the current secret",
			factsWrong(func(_ *altered, f *latchward.TokenFacts, _ *error) {
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
		{"TokenFacts/UnknownIsNotFound", "finds nothing and calls it success",
			func(a *altered) { a.tokenFacts = found(a.Store.TokenFacts) }},
		{"OwnerFacts/FindsUsers", "knows no administrators",
			ownerWrong(func(_ *altered, _ latchward.Owner, f *latchward.OwnerFacts) {
				f.Roles = nil
			})},
		{"OwnerFacts/FindsUsers", "knows no external ids",
			ownerWrong(func(_ *altered, _ latchward.Owner, f *latchward.OwnerFacts) {
				f.ExternalID = ""
			})},
		{"OwnerFacts/DisabledAndRemovedMayNotAct", "lets removed users act", ownerWrong(
			func(a *altered, owner latchward.Owner, f *latchward.OwnerFacts) {
				if u, err := a.Store.User(background(), latchward.UserID(owner.ID)); err == nil {
					f.Active = u.Active
				}
			})},
		{"OwnerFacts/UnknownIsNotFound", "finds nobody and calls it success",
			func(a *altered) { a.ownerFacts = found(a.Store.OwnerFacts) }},
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
		{"Token/KeepsTextsAsTheyAre", "trims names",
			savesWrong(func(t *latchward.Token) { t.Name = strings.TrimSpace(t.Name) })},
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
		{"Token/TellsNoRightsFromTheOwnersRights", "takes the owner's rights for none",
			savesWrong(func(t *latchward.Token) {
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
		{"Token/KeepsTimesToTheMillisecond Token/KeepsEveryField", "returns local times",
			readsWrong(func(t *latchward.Token) {
				t.ExpiresAt = t.ExpiresAt.In(time.FixedZone("local", 0))
			})},
		{"Token/FillsInTheOwnersName", "gives no owner's name", readsWrong(func(t *latchward.Token) { t.Owner.Name = "" })},
		{"Token/FillsInTheOwnersName", "remembers the owner's name",
			readsWrong(func(t *latchward.Token) { t.Owner.Name = "Ada" })},
		{"Token/ReturnsACopy", "hands out what it keeps", func(a *altered) { a.token = remember(a.Store.Token) }},
		{"Token/UnknownIsNotFound", "finds nothing and calls it success",
			func(a *altered) { a.token = found(a.Store.Token) }},
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
		list = append(list, mutant{
			breaks, "loses a user's " + field, savesWrongUser(func(u *latchward.User) { lose(u, field) }),
		})
	}
	for _, field := range fieldsBut[latchward.AuditEntry]("ID") {
		list = append(list, mutant{
			"AuditEntries/KeepsEveryField", "loses an audit entry's " + field,
			appendsWrong(func(e *latchward.AuditEntry) { lose(e, field) }),
		})
	}
	for _, field := range fieldsBut[latchward.Principal]("Administrator", "Rights", "Groups", "Token") {
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
