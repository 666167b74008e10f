package latchtest

import (
	"slices"

	"github.com/latchward/latchward"
)

// inTx returns an alteration of every transaction.
func inTx(alter func(tx *alteredTx)) func(a *altered) { return func(a *altered) { a.inTx = alter } }

// rereads alters every list of audit entries.
func rereads(edit func(f latchward.AuditFilter, e []*latchward.AuditEntry) []*latchward.AuditEntry) func(a *altered) {
	return func(a *altered) {
		a.auditEntries = func(f latchward.AuditFilter) ([]*latchward.AuditEntry, error) {
			entries, err := a.Store.AuditEntries(background(), f)
			return edit(f, entries), err
		}
	}
}

func auditLogMutants() []mutant {
	const oldest, filters = "AuditEntries/OldestFirst", "AuditEntries/ByActorOutcomeAndTime"
	ignores := func(edit func(f *latchward.AuditFilter)) func(a *altered) { return asksWrongAudit(edit) }
	list := []mutant{
		{oldest, "knows one order", ignores(func(f *latchward.AuditFilter) { f.Oldest = false })},
		{oldest, "ignores where to go on", ignores(func(f *latchward.AuditFilter) { f.After = 0 })},
		{oldest, "ignores where to go on unless the oldest come first", ignores(func(f *latchward.AuditFilter) {
			if !f.Oldest {
				f.After = 0
			}
		})},
		{oldest, "repeats where to go on", ignores(func(f *latchward.AuditFilter) { f.After = max(0, f.After-1) })},
		{filters, "ignores the actor's type", ignores(func(f *latchward.AuditFilter) { f.ActorType = "" })},
		{filters, "ignores the actor", ignores(func(f *latchward.AuditFilter) { f.ActorID = 0 })},
		{filters, "ignores the outcome", ignores(func(f *latchward.AuditFilter) { f.Outcome = "" })},
		{filters, "ignores from", ignores(func(f *latchward.AuditFilter) { f.From = epoch().AddDate(-1, 0, 0) })},
		{filters, "ignores until", ignores(func(f *latchward.AuditFilter) { f.Until = epoch().AddDate(1, 0, 0) })},
		{filters, "includes until", ignores(func(f *latchward.AuditFilter) {
			if !f.Until.IsZero() {
				f.Until = f.Until.Add(1)
			}
		})},
		{"AuditEntries/ByText", "ignores the text", ignores(func(f *latchward.AuditFilter) { f.Text = "" })},
		{"AuditEntries/ByText", "minds the case", rereads(
			func(f latchward.AuditFilter, e []*latchward.AuditEntry) []*latchward.AuditEntry {
				if f.Text == "ada_l" {
					return nil
				}
				return e
			})},
		{"Tx.AuditHead/ReturnsTheNewest", "has no head", inTx(func(tx *alteredTx) {
			tx.auditHead = func() (latchward.AuditHead, error) { return latchward.AuditHead{}, nil }
		})},
		{"Tx.AuditHead/ReturnsTheNewest", "keeps the first head", firstHead},
		{"Tx.AppendAudit/SetsIDs", "leaves gaps", appendsTwice},
	}
	return append(list, eraseMutants()...)
}

func firstHead(a *altered) {
	var first *latchward.AuditHead
	a.inTx = func(tx *alteredTx) {
		tx.auditHead = func() (latchward.AuditHead, error) {
			head, err := tx.Tx.AuditHead()
			if first == nil && head.ID > 0 {
				first = &head
			}
			if first != nil {
				head = *first
			}
			return head, err
		}
	}
}

func appendsTwice(a *altered) {
	a.inTx = func(tx *alteredTx) {
		tx.appendAudit = func(e *latchward.AuditEntry) error {
			if err := tx.Tx.AppendAudit(&latchward.AuditEntry{At: epoch()}); err != nil {
				return err
			}
			return tx.Tx.AppendAudit(e)
		}
	}
}

func eraseMutants() []mutant {
	const actor, target = "Tx.EraseAudit/ClearsWhoActed", "Tx.EraseAudit/ClearsWhoWasChanged"
	list := []mutant{
		{actor + " " + target, "erases nothing", inTx(func(tx *alteredTx) {
			tx.eraseAudit = func(latchward.UserID) error { return nil }
		})},
		{"Tx.EraseAudit/LeavesTheRest", "erases another user, too", inTx(func(tx *alteredTx) {
			tx.eraseAudit = func(user latchward.UserID) error {
				for _, id := range []latchward.UserID{user, 1} {
					if err := tx.Tx.EraseAudit(id); err != nil {
						return err
					}
				}
				return nil
			}
		})},
		{"Tx.EraseAudit/IsPartOfTheTransaction", "erases in spite of an error", keepErasure},
	}
	for what, keep := range map[string]func(to, from *latchward.AuditEntry){
		"name":       func(to, from *latchward.AuditEntry) { to.Actor.Name = from.Actor.Name },
		"address":    func(to, from *latchward.AuditEntry) { to.Actor.Origin.Address = from.Actor.Origin.Address },
		"user agent": func(to, from *latchward.AuditEntry) { to.Actor.Origin.UserAgent = from.Actor.Origin.UserAgent },
		"key":        func(to, from *latchward.AuditEntry) { to.Proof.ActorKey = from.Proof.ActorKey },
	} {
		list = append(list, mutant{actor, "does not erase an actor's " + what, remembers(keep)})
	}
	for what, keep := range map[string]func(to, from *latchward.AuditEntry){
		"name":                 func(to, from *latchward.AuditEntry) { to.TargetName = from.TargetName },
		"key":                  func(to, from *latchward.AuditEntry) { to.Proof.TargetKey = from.Proof.TargetKey },
		"members as they were": func(to, from *latchward.AuditEntry) { to.Before = from.Before },
		"members as they are":  func(to, from *latchward.AuditEntry) { to.After = from.After },
	} {
		list = append(list, mutant{target, "does not erase a target's " + what, remembers(keep)})
	}
	return list
}

// keepErasure erases in failed transactions all the same.
func keepErasure(a *altered) {
	var users []latchward.UserID
	a.inTx = func(tx *alteredTx) {
		tx.eraseAudit = func(user latchward.UserID) error {
			users = append(users, user)
			return tx.Tx.EraseAudit(user)
		}
	}
	a.tx = func(f func(latchward.Tx) error) (latchward.Commit, error) {
		commit, err := a.right(f)
		for _, user := range users {
			_, _ = a.Store.Tx(background(), func(tx latchward.Tx) error { return tx.EraseAudit(user) })
		}
		return commit, err
	}
}

// remembers puts back what an erased entry held when it was added.
func remembers(keep func(to, from *latchward.AuditEntry)) func(a *altered) {
	return func(a *altered) {
		added := map[int64]latchward.AuditEntry{}
		a.inTx = func(tx *alteredTx) {
			tx.appendAudit = func(e *latchward.AuditEntry) error {
				err := tx.Tx.AppendAudit(e)
				added[e.ID] = *e
				return err
			}
		}
		rereads(func(_ latchward.AuditFilter, entries []*latchward.AuditEntry) []*latchward.AuditEntry {
			for _, e := range slices.Clone(entries) {
				from := added[e.ID]
				keep(e, &from)
			}
			return entries
		})(a)
	}
}
