package latchtest

import (
	"context"
	"time"

	"github.com/latchward/latchward"
)

// alteredSigning are wrong methods about signing keys and derived tokens. nil means as they are.
type alteredSigning struct {
	signingKeys    func() ([]*latchward.SigningKey, error)
	derivedTokens  func(int64) ([]*latchward.DerivedRecord, error)
	revokedDerived func(time.Time) ([]*latchward.DerivedRecord, error)
	pruneDerived   func(time.Time, int) (int, error)
}

type alteredSigningTx struct {
	signingKeys      func() ([]*latchward.SigningKey, error)
	saveSigningKey   func(*latchward.SigningKey) error
	deleteSigningKey func(string) error
	saveDerived      func(*latchward.DerivedRecord) error
}

func (a *altered) SigningKeys(ctx context.Context) ([]*latchward.SigningKey, error) {
	return or0(a.alteredSigning.signingKeys, func() ([]*latchward.SigningKey, error) { return a.Store.SigningKeys(ctx) })
}

func (a *altered) DerivedTokens(ctx context.Context, list int64) ([]*latchward.DerivedRecord, error) {
	return or1(ctx, a.derivedTokens, a.Store.DerivedTokens, list)
}

func (a *altered) RevokedDerivedTokens(ctx context.Context, after time.Time) ([]*latchward.DerivedRecord, error) {
	return or1(ctx, a.revokedDerived, a.Store.RevokedDerivedTokens, after)
}

func (a *altered) PruneDerivedTokens(ctx context.Context, endedBy time.Time, limit int) (int, error) {
	return or2(ctx, a.pruneDerived, a.Store.PruneDerivedTokens, endedBy, limit)
}

func (tx *alteredTx) SigningKeys() ([]*latchward.SigningKey, error) {
	return or0(tx.alteredSigningTx.signingKeys, tx.Tx.SigningKeys)
}

func (tx *alteredTx) SaveSigningKey(k *latchward.SigningKey) error {
	return orTx(tx.saveSigningKey, tx.Tx.SaveSigningKey, k)
}

func (tx *alteredTx) DeleteSigningKey(id string) error {
	return orTx(tx.deleteSigningKey, tx.Tx.DeleteSigningKey, id)
}

func (tx *alteredTx) SaveDerivedToken(d *latchward.DerivedRecord) error {
	return orTx(tx.saveDerived, tx.Tx.SaveDerivedToken, d)
}
