package latchtest

import (
	"context"
	"time"

	"github.com/latchward/latchward"
)

// zeroStore keeps no promises: it does nothing, finds nothing, and calls that success.
type zeroStore struct{}

var _ latchward.Store = zeroStore{}

func (zeroStore) Tx(context.Context, func(latchward.Tx) error) (latchward.Commit, error) {
	return latchward.Commit{}, nil
}

func (zeroStore) TokenFacts(context.Context, latchward.KeyID) (latchward.TokenFacts, error) {
	return latchward.TokenFacts{}, nil
}

func (zeroStore) OwnerFacts(context.Context, latchward.Owner) (latchward.OwnerFacts, error) {
	return latchward.OwnerFacts{}, nil
}

func (zeroStore) Token(context.Context, latchward.TokenID) (*latchward.Token, error) { return nil, nil }

func (zeroStore) Tokens(context.Context, latchward.TokenFilter) ([]*latchward.Token, error) {
	return nil, nil
}

func (zeroStore) CountTokens(context.Context, latchward.TokenFilter) (int64, error) { return 0, nil }

func (zeroStore) IdleTokens(context.Context, time.Time, int) ([]latchward.TokenID, error) {
	return nil, nil
}

func (zeroStore) User(context.Context, latchward.UserID) (*latchward.User, error)   { return nil, nil }
func (zeroStore) UserByExternalID(context.Context, string) (*latchward.User, error) { return nil, nil }
func (zeroStore) UserByEmail(context.Context, string) (*latchward.User, error)      { return nil, nil }
func (zeroStore) Users(context.Context, latchward.UserFilter) ([]*latchward.User, error) {
	return nil, nil
}

func (zeroStore) CountUsers(context.Context, latchward.UserFilter) (int64, error) { return 0, nil }
func (zeroStore) Members(context.Context, latchward.GroupID) ([]latchward.UserID, error) {
	return nil, nil
}

func (zeroStore) Role(context.Context, latchward.RoleID) (*latchward.Role, error)    { return nil, nil }
func (zeroStore) Roles(context.Context) ([]*latchward.Role, error)                   { return nil, nil }
func (zeroStore) Group(context.Context, latchward.GroupID) (*latchward.Group, error) { return nil, nil }
func (zeroStore) Groups(context.Context, latchward.GroupFilter) ([]*latchward.Group, error) {
	return nil, nil
}
func (zeroStore) License(context.Context, latchward.LicenseID) (*latchward.License, error) {
	return nil, nil
}
func (zeroStore) Licenses(context.Context) ([]*latchward.License, error)       { return nil, nil }
func (zeroStore) Seats(context.Context) (map[latchward.LicenseID]int64, error) { return nil, nil }
func (zeroStore) Permissions(context.Context) ([]*latchward.Permission, error) { return nil, nil }

func (zeroStore) AuditEntries(context.Context, latchward.AuditFilter) ([]*latchward.AuditEntry, error) {
	return nil, nil
}

func (zeroStore) KeyFingerprints(context.Context) (map[int]string, error) { return nil, nil }
func (zeroStore) Adoption(context.Context) (latchward.Adoption, error) {
	return latchward.Adoption{}, nil
}
func (zeroStore) KeyCounts(context.Context) (map[int]int64, error) { return nil, nil }
func (zeroStore) Ping(context.Context) error                       { return nil }

func (zeroStore) UsageOffset(context.Context, string) (latchward.JournalOffset, error) {
	return latchward.JournalOffset{}, nil
}

func (zeroStore) AddUsage(context.Context, latchward.UsageBatch) error { return nil }

func (zeroStore) UsageCells(
	context.Context, latchward.UsageQuery, func(latchward.UsageKey, latchward.UsageCell) error,
) error {
	return nil
}

func (zeroStore) UsageEvents(context.Context, latchward.UsageEventQuery, func(*latchward.UsageEvent) error) error {
	return nil
}

func (zeroStore) TokenCounts(
	context.Context, []latchward.TokenID, time.Time,
) (map[latchward.TokenID]latchward.TokenCounts, error) {
	return nil, nil
}

func (zeroStore) EndpointNames(context.Context) ([]string, error) { return nil, nil }
func (zeroStore) ForgetUsage(context.Context, int) (int, error)   { return 0, nil }

func (zeroStore) PruneUsage(context.Context, latchward.UsageRetention, int) (int, error) {
	return 0, nil
}

func (zeroStore) Policy(context.Context, latchward.PolicyID) (*latchward.LifecyclePolicy, error) {
	return nil, nil
}
func (zeroStore) Policies(context.Context) ([]*latchward.LifecyclePolicy, error) { return nil, nil }

func (zeroStore) Account(context.Context, latchward.UserID) (*latchward.Account, error) {
	return nil, nil
}

func (zeroStore) Accounts(context.Context, latchward.UserID, int) ([]*latchward.Account, error) {
	return nil, nil
}

func (zeroStore) AccountByIdentity(context.Context, latchward.LinkedIdentity) (*latchward.Account, error) {
	return nil, nil
}

func (zeroStore) Session(context.Context, latchward.SessionID) (*latchward.Session, error) {
	return nil, nil
}

func (zeroStore) Sessions(context.Context, latchward.UserID) ([]*latchward.Session, error) {
	return nil, nil
}

func (zeroStore) SigningKeys(context.Context) ([]*latchward.SigningKey, error) { return nil, nil }

func (zeroStore) DerivedTokens(context.Context, int64) ([]*latchward.DerivedRecord, error) {
	return nil, nil
}

func (zeroStore) RevokedDerivedTokens(context.Context, time.Time) ([]*latchward.DerivedRecord, error) {
	return nil, nil
}

func (zeroStore) PruneDerivedTokens(context.Context, time.Time, int) (int, error) { return 0, nil }

func (zeroStore) PruneSessions(context.Context, time.Time, int) (int, error) { return 0, nil }

func (zeroStore) ForeignForms(context.Context) ([]string, error) { return nil, nil }

func (zeroStore) ForeignSecrets(context.Context, []string, int) ([]latchward.ForeignSecret, error) {
	return nil, nil
}
