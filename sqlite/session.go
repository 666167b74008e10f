package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"net/netip"
	"time"

	"github.com/latchward/latchward"
)

const (
	selectSessions = `SELECT id, user_id, method, pending, created_at, seen_at, ends_at, authenticated_at, address,
		user_agent FROM sessions WHERE `
	sessionByID = selectSessions + `id = ?`
	sessionsOf  = selectSessions + `user_id = ? ORDER BY created_at DESC, id`
	saveSession = `INSERT OR REPLACE INTO sessions (id, user_id, method, pending, created_at, seen_at, ends_at,
		authenticated_at, address, user_agent) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	deleteSession  = `DELETE FROM sessions WHERE id = ?`
	deleteSessions = `DELETE FROM sessions WHERE user_id = ? AND id <> ?`
	pruneSessions  = `DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE seen_at < ? LIMIT ?)`
)

func scanSession(rows *sql.Rows) (*latchward.Session, error) {
	var s latchward.Session
	err := rows.Scan(parsedColumn(&s.ID, parseDigest[latchward.SessionID]), &s.UserID, &s.Method, &s.Pending,
		timeColumn{&s.CreatedAt}, timeColumn{&s.SeenAt}, timeColumn{&s.EndsAt}, timeColumn{&s.AuthenticatedAt},
		parsedColumn(&s.Address, netip.ParseAddr), textColumn{&s.UserAgent})
	if err != nil {
		return nil, unreadable("session", err)
	}
	return &s, nil
}

func oneSession(ctx context.Context, r runner, id latchward.SessionID) (*latchward.Session, error) {
	s, err := one(ctx, r, scanSession, sessionByID, id.String())
	if errors.Is(err, sql.ErrNoRows) {
		return nil, notFound("session")
	}
	return s, err
}

// Session implements [latchward.Store].
func (s *Store) Session(ctx context.Context, id latchward.SessionID) (*latchward.Session, error) {
	session, err := oneSession(ctx, s.reads, id)
	return session, s.translate(err)
}

// Sessions implements [latchward.Store].
func (s *Store) Sessions(ctx context.Context, user latchward.UserID) ([]*latchward.Session, error) {
	sessions, err := collect(ctx, s.reads, scanSession, sessionsOf, user)
	return sessions, s.translate(err)
}

// PruneSessions implements [latchward.Store].
func (s *Store) PruneSessions(ctx context.Context, seenBefore time.Time, limit int) (n int, err error) {
	err = s.write(ctx, func(w *work) error {
		n, err = w.count(pruneSessions, seenBefore.UnixMilli(), limit)
		return err
	})
	return n, err
}

// Session implements [latchward.Tx].
func (tx *transaction) Session(id latchward.SessionID) (*latchward.Session, error) {
	return oneSession(tx.ctx, tx, id)
}

// SaveSession implements [latchward.Tx].
func (tx *transaction) SaveSession(s *latchward.Session) error {
	if _, err := tx.User(s.UserID); err != nil {
		return err
	}
	var address any
	if s.Address.IsValid() {
		address = s.Address.String()
	}
	return tx.exec(saveSession, s.ID.String(), s.UserID, string(s.Method), s.Pending, s.CreatedAt.UnixMilli(),
		s.SeenAt.UnixMilli(), s.EndsAt.UnixMilli(), s.AuthenticatedAt.UnixMilli(), address, textOrNull(s.UserAgent))
}

// DeleteSession implements [latchward.Tx].
func (tx *transaction) DeleteSession(id latchward.SessionID) error {
	n, err := tx.count(deleteSession, id.String())
	if err == nil && n == 0 {
		return notFound("session")
	}
	return err
}

// DeleteSessions implements [latchward.Tx].
func (tx *transaction) DeleteSessions(user latchward.UserID, except latchward.SessionID) (int, error) {
	return tx.count(deleteSessions, user, except.String())
}
