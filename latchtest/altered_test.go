package latchtest

import (
	"context"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/memory"
)

// altered is a right store with some methods replaced by wrong ones. nil means as they are.
type altered struct {
	latchward.Store
	alteredRights
	alteredSigning
	alteredForeign

	// inTx alters every transaction; tx replaces Tx as a whole.
	inTx func(tx *alteredTx)
	tx   func(f func(latchward.Tx) error) (latchward.Commit, error)

	tokenFacts       func(latchward.KeyID) (latchward.TokenFacts, error)
	ownerFacts       func(latchward.Owner) (latchward.OwnerFacts, error)
	token            func(latchward.TokenID) (*latchward.Token, error)
	tokens           func(latchward.TokenFilter) ([]*latchward.Token, error)
	countTokens      func(latchward.TokenFilter) (int64, error)
	idleTokens       func(time.Time, int) ([]latchward.TokenID, error)
	user             func(latchward.UserID) (*latchward.User, error)
	userByExternalID func(string) (*latchward.User, error)
	userByEmail      func(string) (*latchward.User, error)
	users            func(latchward.UserFilter) ([]*latchward.User, error)
	auditEntries     func(latchward.AuditFilter) ([]*latchward.AuditEntry, error)
	keyFingerprints  func() (map[int]string, error)
	keyCounts        func() (map[int]int64, error)
	adoption         func() (latchward.Adoption, error)
	ping             func() error

	account           func(latchward.UserID) (*latchward.Account, error)
	accounts          func(latchward.UserID, int) ([]*latchward.Account, error)
	accountByIdentity func(latchward.LinkedIdentity) (*latchward.Account, error)
	session           func(latchward.SessionID) (*latchward.Session, error)
	sessions          func(latchward.UserID) ([]*latchward.Session, error)
	pruneSessions     func(time.Time, int) (int, error)

	usageOffset   func(string) (latchward.JournalOffset, error)
	addUsage      func(latchward.UsageBatch) error
	usageCells    func(latchward.UsageQuery, func(latchward.UsageKey, latchward.UsageCell) error) error
	usageEvents   func(latchward.UsageEventQuery, func(*latchward.UsageEvent) error) error
	tokenCounts   func([]latchward.TokenID, time.Time) (map[latchward.TokenID]latchward.TokenCounts, error)
	endpointNames func() ([]string, error)
	forgetUsage   func(int) (int, error)
	pruneUsage    func(latchward.UsageRetention, int) (int, error)
}

func newAltered(alter func(a *altered)) *altered {
	a := &altered{Store: memory.New()}
	alter(a)
	return a
}

// right runs f in a transaction of the right store, altered as inTx says.
func (a *altered) right(f func(tx latchward.Tx) error) (latchward.Commit, error) {
	return a.Store.Tx(context.Background(), func(tx latchward.Tx) error {
		if a.inTx == nil {
			return f(tx)
		}
		wrong := &alteredTx{Tx: tx}
		a.inTx(wrong)
		return f(wrong)
	})
}

// or1 returns wrong, or right when there is no wrong; or0 and or2 are the same for other counts of arguments.
func or0[R any](wrong, right func() (R, error)) (R, error) {
	if wrong != nil {
		return wrong()
	}
	return right()
}

func or1[A, R any](
	ctx context.Context, wrong func(A) (R, error), right func(context.Context, A) (R, error), a A,
) (R, error) {
	if wrong != nil {
		return wrong(a)
	}
	return right(ctx, a)
}

func or2[A, B, R any](
	ctx context.Context, wrong func(A, B) (R, error), right func(context.Context, A, B) (R, error), a A, b B,
) (R, error) {
	if wrong != nil {
		return wrong(a, b)
	}
	return right(ctx, a, b)
}

func (a *altered) Tx(_ context.Context, f func(latchward.Tx) error) (latchward.Commit, error) {
	if a.tx != nil {
		return a.tx(f)
	}
	return a.right(f)
}

func (a *altered) TokenFacts(ctx context.Context, id latchward.KeyID) (latchward.TokenFacts, error) {
	return or1(ctx, a.tokenFacts, a.Store.TokenFacts, id)
}

func (a *altered) OwnerFacts(ctx context.Context, owner latchward.Owner) (latchward.OwnerFacts, error) {
	return or1(ctx, a.ownerFacts, a.Store.OwnerFacts, owner)
}

func (a *altered) Token(ctx context.Context, id latchward.TokenID) (*latchward.Token, error) {
	return or1(ctx, a.token, a.Store.Token, id)
}

func (a *altered) Tokens(ctx context.Context, f latchward.TokenFilter) ([]*latchward.Token, error) {
	return or1(ctx, a.tokens, a.Store.Tokens, f)
}

func (a *altered) CountTokens(ctx context.Context, f latchward.TokenFilter) (int64, error) {
	return or1(ctx, a.countTokens, a.Store.CountTokens, f)
}

func (a *altered) IdleTokens(ctx context.Context, now time.Time, limit int) ([]latchward.TokenID, error) {
	return or2(ctx, a.idleTokens, a.Store.IdleTokens, now, limit)
}

func (a *altered) User(ctx context.Context, id latchward.UserID) (*latchward.User, error) {
	return or1(ctx, a.user, a.Store.User, id)
}

func (a *altered) UserByExternalID(ctx context.Context, externalID string) (*latchward.User, error) {
	return or1(ctx, a.userByExternalID, a.Store.UserByExternalID, externalID)
}

func (a *altered) UserByEmail(ctx context.Context, email string) (*latchward.User, error) {
	return or1(ctx, a.userByEmail, a.Store.UserByEmail, email)
}

func (a *altered) Users(ctx context.Context, f latchward.UserFilter) ([]*latchward.User, error) {
	return or1(ctx, a.users, a.Store.Users, f)
}

func (a *altered) AuditEntries(ctx context.Context, f latchward.AuditFilter) ([]*latchward.AuditEntry, error) {
	return or1(ctx, a.auditEntries, a.Store.AuditEntries, f)
}

func (a *altered) KeyFingerprints(ctx context.Context) (map[int]string, error) {
	return or0(a.keyFingerprints, func() (map[int]string, error) { return a.Store.KeyFingerprints(ctx) })
}

func (a *altered) Adoption(ctx context.Context) (latchward.Adoption, error) {
	return or0(a.adoption, func() (latchward.Adoption, error) { return a.Store.Adoption(ctx) })
}

func (a *altered) KeyCounts(ctx context.Context) (map[int]int64, error) {
	return or0(a.keyCounts, func() (map[int]int64, error) { return a.Store.KeyCounts(ctx) })
}

func (a *altered) Ping(ctx context.Context) error {
	if a.ping != nil {
		return a.ping()
	}
	return a.Store.Ping(ctx)
}

func (a *altered) UsageOffset(ctx context.Context, node string) (latchward.JournalOffset, error) {
	return or1(ctx, a.usageOffset, a.Store.UsageOffset, node)
}

func (a *altered) AddUsage(ctx context.Context, b latchward.UsageBatch) error {
	if a.addUsage != nil {
		return a.addUsage(b)
	}
	return a.Store.AddUsage(ctx, b)
}

func (a *altered) UsageCells(
	ctx context.Context, q latchward.UsageQuery, f func(latchward.UsageKey, latchward.UsageCell) error,
) error {
	if a.usageCells != nil {
		return a.usageCells(q, f)
	}
	return a.Store.UsageCells(ctx, q, f)
}

func (a *altered) UsageEvents(
	ctx context.Context, q latchward.UsageEventQuery, f func(*latchward.UsageEvent) error,
) error {
	if a.usageEvents != nil {
		return a.usageEvents(q, f)
	}
	return a.Store.UsageEvents(ctx, q, f)
}

func (a *altered) TokenCounts(
	ctx context.Context, ids []latchward.TokenID, now time.Time,
) (map[latchward.TokenID]latchward.TokenCounts, error) {
	return or2(ctx, a.tokenCounts, a.Store.TokenCounts, ids, now)
}

func (a *altered) EndpointNames(ctx context.Context) ([]string, error) {
	return or0(a.endpointNames, func() ([]string, error) { return a.Store.EndpointNames(ctx) })
}

func (a *altered) ForgetUsage(ctx context.Context, limit int) (int, error) {
	return or1(ctx, a.forgetUsage, a.Store.ForgetUsage, limit)
}

func (a *altered) PruneUsage(ctx context.Context, r latchward.UsageRetention, limit int) (int, error) {
	return or2(ctx, a.pruneUsage, a.Store.PruneUsage, r, limit)
}

// alteredTx is a right transaction with some methods replaced by wrong ones.
type alteredTx struct {
	latchward.Tx
	alteredRightsTx
	alteredSigningTx
	alteredForeignTx
	token            func(latchward.TokenID) (*latchward.Token, error)
	saveToken        func(*latchward.Token) error
	retireSecret     func(latchward.TokenID, latchward.RetiringSecret) error
	deleteToken      func(latchward.TokenID) error
	tokens           func(latchward.TokenFilter) ([]*latchward.Token, error)
	tokensOf         func(latchward.Owner) ([]*latchward.Token, error)
	tokenByIssueKey  func(string) (*latchward.Token, error)
	user             func(latchward.UserID) (*latchward.User, error)
	userByExternalID func(string) (*latchward.User, error)
	saveUser         func(*latchward.User) error
	appendAudit      func(*latchward.AuditEntry) error
	auditHead        func() (latchward.AuditHead, error)
	eraseAudit       func(latchward.UserID) error
	saveFingerprint  func(int, string) error
	account          func(latchward.UserID) (*latchward.Account, error)
	saveAccount      func(*latchward.Account) error
	session          func(latchward.SessionID) (*latchward.Session, error)
	saveSession      func(*latchward.Session) error
	deleteSession    func(latchward.SessionID) error
	deleteSessions   func(latchward.UserID, latchward.SessionID) (int, error)
}

func orTx[A any](wrong, right func(A) error, a A) error {
	if wrong != nil {
		return wrong(a)
	}
	return right(a)
}

func (tx *alteredTx) Token(id latchward.TokenID) (*latchward.Token, error) {
	return or0(bind(tx.token, id), bind(tx.Tx.Token, id))
}

// bind returns f with its argument, or nil when there is no f.
func bind[A, R any](f func(A) (R, error), a A) func() (R, error) {
	if f == nil {
		return nil
	}
	return func() (R, error) { return f(a) }
}

func (tx *alteredTx) Tokens(f latchward.TokenFilter) ([]*latchward.Token, error) {
	return or0(bind(tx.tokens, f), bind(tx.Tx.Tokens, f))
}

func (tx *alteredTx) TokensOf(owner latchward.Owner) ([]*latchward.Token, error) {
	return or0(bind(tx.tokensOf, owner), bind(tx.Tx.TokensOf, owner))
}

func (tx *alteredTx) TokenByIssueKey(key string) (*latchward.Token, error) {
	return or0(bind(tx.tokenByIssueKey, key), bind(tx.Tx.TokenByIssueKey, key))
}

func (tx *alteredTx) User(id latchward.UserID) (*latchward.User, error) {
	return or0(bind(tx.user, id), bind(tx.Tx.User, id))
}

func (tx *alteredTx) UserByExternalID(externalID string) (*latchward.User, error) {
	return or0(bind(tx.userByExternalID, externalID), bind(tx.Tx.UserByExternalID, externalID))
}

func (tx *alteredTx) SaveToken(t *latchward.Token) error {
	return orTx(tx.saveToken, tx.Tx.SaveToken, t)
}
func (tx *alteredTx) DeleteToken(id latchward.TokenID) error {
	return orTx(tx.deleteToken, tx.Tx.DeleteToken, id)
}
func (tx *alteredTx) SaveUser(u *latchward.User) error { return orTx(tx.saveUser, tx.Tx.SaveUser, u) }

func (tx *alteredTx) AppendAudit(e *latchward.AuditEntry) error {
	return orTx(tx.appendAudit, tx.Tx.AppendAudit, e)
}

func (tx *alteredTx) AuditHead() (latchward.AuditHead, error) {
	return or0(tx.auditHead, tx.Tx.AuditHead)
}

func (tx *alteredTx) EraseAudit(user latchward.UserID) error {
	return orTx(tx.eraseAudit, tx.Tx.EraseAudit, user)
}

func (tx *alteredTx) RetireSecret(id latchward.TokenID, s latchward.RetiringSecret) error {
	if tx.retireSecret != nil {
		return tx.retireSecret(id, s)
	}
	return tx.Tx.RetireSecret(id, s)
}

func (tx *alteredTx) SaveKeyFingerprint(version int, fingerprint string) error {
	if tx.saveFingerprint != nil {
		return tx.saveFingerprint(version, fingerprint)
	}
	return tx.Tx.SaveKeyFingerprint(version, fingerprint)
}
