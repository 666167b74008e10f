package latchtest

import (
	"errors"
	"net/netip"
	"time"

	"github.com/latchward/latchward"
)

const (
	sessionCopy   = "Session returns a copy of the session, whether it has ended or not."
	sessionsOf    = "Sessions returns copies of all sessions of a user, the newest first."
	prunes        = "PruneSessions deletes up to limit sessions that were last seen before an instant, and returns how many it deleted."
	txSessionCopy = "Session returns a copy of the session."
	savesSession  = "SaveSession keeps the session in place of the one before; there must be such a user, " +
		"else it is an Error of code not_found."
	deletesSession  = "DeleteSession makes the session disappear."
	deletesSessions = "DeleteSessions makes all sessions of a user disappear except one, and returns how many did."
)

func sessionPromises() []storePromise {
	return []storePromise{
		{"Session/KeepsEveryField", sessionCopy, sessionKeepsFields},
		{"Session/ReturnsEndedOnes", sessionCopy, sessionEnded},
		{"Session/ReturnsACopy", sessionCopy, sessionIsACopy},
		{"Session/UnknownIsNotFound", notFound, sessionOfNothing},
		{"Sessions/ReturnsTheUsersNewestFirst", sessionsOf, sessionsOfUser},
		{"PruneSessions/DeletesWhatWasLastSeenBefore", prunes, pruneDeletes},
		{"PruneSessions/DeletesAtMostLimit", prunes, pruneLimited},
	}
}

func saveSessionPromises() []storePromise {
	return []storePromise{
		{"Tx.Session/ReturnsACopy", txSessionCopy, txSessionIsACopy},
		{"Tx.Session/UnknownIsNotFound", notFound, txSessionOfNothing},
		{"Tx.SaveSession/ReplacesEveryField", savesSession, saveSessionReplaces},
		{"Tx.SaveSession/WithoutAUserIsNotFound", savesSession, saveSessionOfNobody},
		{"Tx.DeleteSession/MakesItDisappear", deletesSession, deleteSessionGone},
		{"Tx.DeleteSession/UnknownIsNotFound", notFound, deleteSessionOfNothing},
		{"Tx.DeleteSessions/LeavesOneAndOthersAlone", deletesSessions, deleteSessionsBut},
	}
}

// wholeSession has every field of a session, which is the nth.
func wholeSession(u *latchward.User, n byte) *latchward.Session {
	at := func(ms int) time.Time { return epoch().Add(time.Duration(ms) * time.Millisecond) }
	return &latchward.Session{
		ID: digestNumbered(n), UserID: u.ID, Method: latchward.MethodTOTP, Pending: true, CreatedAt: at(1), SeenAt: at(2),
		EndsAt: at(3), AuthenticatedAt: at(4), Address: netip.MustParseAddr("2001:db8::7"), UserAgent: "Browser 'ö' 1.0",
	}
}

func (t *trial) session(u *latchward.User, n byte, edits ...func(*latchward.Session)) *latchward.Session {
	t.Helper()
	s := wholeSession(u, n)
	for _, edit := range edits {
		edit(s)
	}
	t.tx(func(tx latchward.Tx) error {
		saved := *s
		return tx.SaveSession(&saved)
	})
	return s
}

func (t *trial) storedSession(id latchward.SessionID) *latchward.Session {
	t.Helper()
	s, err := t.store.Session(t.ctx, id)
	t.must(err)
	if s == nil {
		t.Fatalf("Session returned neither a session nor an error")
	}
	return s
}

func (t *trial) sessionsOf(u *latchward.User) []*latchward.Session {
	t.Helper()
	list, err := t.store.Sessions(t.ctx, u.ID)
	t.must(err)
	return list
}

func bareSession(s *latchward.Session) {
	s.Method, s.Pending, s.Address, s.UserAgent = latchward.MethodPassword, false, netip.Addr{}, ""
}

func sessionKeepsFields(t *trial) {
	u := t.user()
	whole, bare := t.session(u, 1), t.session(u, 2, bareSession)
	t.same("a session with every field", t.storedSession(whole.ID), whole)
	t.same("a session with few fields", t.storedSession(bare.ID), bare)
}

func sessionEnded(t *trial) {
	s := t.session(t.user(), 1, func(s *latchward.Session) { s.EndsAt = time.UnixMilli(1).UTC() })
	t.same("a session that ended long ago", t.storedSession(s.ID), s)
}

func sessionIsACopy(t *trial) {
	s := t.session(t.user(), 1)
	t.storedSession(s.ID).UserAgent = "scribble"
	t.same("Session after its answer was scribbled on", t.storedSession(s.ID), s)
}

func sessionOfNothing(t *trial) {
	t.session(t.user(), 1)
	for _, id := range []latchward.SessionID{{}, digestNumbered(2)} {
		_, err := t.store.Session(t.ctx, id)
		t.code("Session of an unknown id", err, latchward.CodeNotFound)
	}
}

func sessionsOfUser(t *trial) {
	u, other := t.user(), t.user()
	later := func(s *latchward.Session) { s.CreatedAt = s.CreatedAt.Add(time.Millisecond) }
	first, last, middle := t.session(u, 1), t.session(u, 2, later, later), t.session(u, 3, later)
	t.session(other, 4)
	want := []*latchward.Session{last, middle, first}
	t.same("Sessions", t.sessionsOf(u), want)
	for _, s := range t.sessionsOf(u) {
		s.UserAgent = "scribble"
	}
	t.same("Sessions after its answer was scribbled on", t.sessionsOf(u), want)
	t.same("Sessions of somebody without", len(t.sessionsOf(t.user())), 0)
}

func pruneDeletes(t *trial) {
	u := t.user()
	limit := epoch().Add(time.Hour)
	seen := func(at time.Time) func(s *latchward.Session) { return func(s *latchward.Session) { s.SeenAt = at } }
	t.session(u, 1, seen(limit.Add(-time.Millisecond)))
	kept := t.session(u, 2, seen(limit))
	n, err := t.store.PruneSessions(t.ctx, limit, 10)
	t.must(err)
	t.same("number of deleted sessions", n, 1)
	t.same("Sessions", t.sessionsOf(u), []*latchward.Session{kept})
}

func pruneLimited(t *trial) {
	u := t.user()
	for n := range byte(3) {
		t.session(u, n)
	}
	for _, want := range []int{2, 1, 0} {
		n, err := t.store.PruneSessions(t.ctx, epoch().Add(time.Hour), 2)
		t.must(err)
		t.same("number of deleted sessions", n, want)
	}
	t.same("sessions left", len(t.sessionsOf(u)), 0)
}

func txSessionIsACopy(t *trial) {
	s := t.session(t.user(), 1)
	t.tx(func(tx latchward.Tx) error {
		for range 2 {
			got, err := tx.Session(s.ID)
			if err != nil {
				return err
			}
			if got == nil {
				return errors.New("Tx.Session returned neither a session nor an error")
			}
			t.same("Tx.Session", got, s)
			got.UserAgent = "scribble"
		}
		return nil
	})
	t.same("Session after a copy was scribbled on", t.storedSession(s.ID), s)
}

func txSessionOfNothing(t *trial) {
	t.session(t.user(), 1)
	t.tx(func(tx latchward.Tx) error {
		_, err := tx.Session(digestNumbered(2))
		t.code("Tx.Session of an unknown id", err, latchward.CodeNotFound)
		return nil
	})
}

func saveSessionReplaces(t *trial) {
	u := t.user()
	t.session(u, 1)
	other := t.session(u, 2)
	bare := t.session(t.user(), 1, bareSession, func(s *latchward.Session) {
		s.CreatedAt, s.SeenAt = s.SeenAt.Add(time.Hour), s.CreatedAt.Add(time.Hour)
		s.EndsAt, s.AuthenticatedAt = s.AuthenticatedAt.Add(time.Hour), s.EndsAt.Add(time.Hour)
	})
	t.same("a session after it was replaced", t.storedSession(bare.ID), bare)
	t.same("another session", t.storedSession(other.ID), other)
}

func saveSessionOfNobody(t *trial) {
	nobody := &latchward.User{ID: t.user().ID + 1000}
	_, err := t.store.Tx(t.ctx, func(tx latchward.Tx) error { return tx.SaveSession(wholeSession(nobody, 1)) })
	t.code("SaveSession of nobody", err, latchward.CodeNotFound)
}

func deleteSessionGone(t *trial) {
	u := t.user()
	gone, kept := t.session(u, 1), t.session(u, 2)
	t.tx(func(tx latchward.Tx) error {
		if err := tx.DeleteSession(gone.ID); err != nil {
			return err
		}
		_, err := tx.Session(gone.ID)
		t.code("Tx.Session of a deleted session", err, latchward.CodeNotFound)
		return nil
	})
	_, err := t.store.Session(t.ctx, gone.ID)
	t.code("Session of a deleted session", err, latchward.CodeNotFound)
	t.same("Sessions", t.sessionsOf(u), []*latchward.Session{kept})
}

func deleteSessionOfNothing(t *trial) {
	t.session(t.user(), 1)
	_, err := t.store.Tx(t.ctx, func(tx latchward.Tx) error { return tx.DeleteSession(digestNumbered(2)) })
	t.code("DeleteSession of an unknown id", err, latchward.CodeNotFound)
}

func deleteSessionsBut(t *trial) {
	u, other := t.user(), t.user()
	t.session(u, 1)
	kept := t.session(u, 2)
	t.session(u, 3)
	others := t.session(other, 4)
	deleted := func(except latchward.SessionID) (n int) {
		t.tx(func(tx latchward.Tx) (err error) {
			n, err = tx.DeleteSessions(u.ID, except)
			return err
		})
		return n
	}
	t.same("how many were deleted", deleted(kept.ID), 2)
	t.same("Sessions", t.sessionsOf(u), []*latchward.Session{kept})
	t.same("how many of all were deleted", deleted(latchward.SessionID{}), 1)
	t.same("Sessions of another user", t.sessionsOf(other), []*latchward.Session{others})
}
