package latchtest

import (
	"context"
	"time"

	"github.com/latchward/latchward"
)

func (a *altered) Account(ctx context.Context, id latchward.UserID) (*latchward.Account, error) {
	return or1(ctx, a.account, a.Store.Account, id)
}

func (a *altered) Accounts(ctx context.Context, after latchward.UserID, limit int) ([]*latchward.Account, error) {
	return or2(ctx, a.accounts, a.Store.Accounts, after, limit)
}

func (a *altered) AccountByIdentity(ctx context.Context, id latchward.LinkedIdentity) (*latchward.Account, error) {
	return or1(ctx, a.accountByIdentity, a.Store.AccountByIdentity, id)
}

func (a *altered) Session(ctx context.Context, id latchward.SessionID) (*latchward.Session, error) {
	return or1(ctx, a.session, a.Store.Session, id)
}

func (a *altered) Sessions(ctx context.Context, user latchward.UserID) ([]*latchward.Session, error) {
	return or1(ctx, a.sessions, a.Store.Sessions, user)
}

func (a *altered) PruneSessions(ctx context.Context, seenBefore time.Time, limit int) (int, error) {
	return or2(ctx, a.pruneSessions, a.Store.PruneSessions, seenBefore, limit)
}

func (tx *alteredTx) Account(id latchward.UserID) (*latchward.Account, error) {
	return or0(bind(tx.account, id), bind(tx.Tx.Account, id))
}

func (tx *alteredTx) SaveAccount(a *latchward.Account) error {
	return orTx(tx.saveAccount, tx.Tx.SaveAccount, a)
}

func (tx *alteredTx) Session(id latchward.SessionID) (*latchward.Session, error) {
	return or0(bind(tx.session, id), bind(tx.Tx.Session, id))
}

func (tx *alteredTx) SaveSession(s *latchward.Session) error {
	return orTx(tx.saveSession, tx.Tx.SaveSession, s)
}

func (tx *alteredTx) DeleteSession(id latchward.SessionID) error {
	return orTx(tx.deleteSession, tx.Tx.DeleteSession, id)
}

func (tx *alteredTx) DeleteSessions(user latchward.UserID, except latchward.SessionID) (int, error) {
	if tx.deleteSessions != nil {
		return tx.deleteSessions(user, except)
	}
	return tx.Tx.DeleteSessions(user, except)
}
