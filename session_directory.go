package latchward

import (
	"context"
	"slices"
	"time"
)

// knownAs reports whether a directory says that the sub by which u signs in is this one.
func (u *User) knownAs(subject string) bool {
	return subject != "" && u.ExternalID == subject && !u.Removed() &&
		(u.Directory.ID == subject || u.Directory.UserName == subject)
}

// signInProvisioned begins the first session, by an identity, of somebody whom a directory has announced with the
// subject of that identity: the account that they sign in to must be the one that the directory ends. It returns nil
// when there is nobody like that.
func (s *Service) signInProvisioned(ctx context.Context, in IdentitySignIn) (*SignedIn, error) {
	user, err := s.store.UserByExternalID(ctx, in.Identity.Subject)
	if ErrorCode(err) == CodeNotFound || err == nil && !user.knownAs(in.Identity.Subject) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	now := s.timestamp()
	var begun *SignedIn
	err = s.onAccount(ctx, user.ID, func(tx Tx, user *User, a *Account) (err error) {
		if !user.Active || !user.knownAs(in.Identity.Subject) {
			return refuseSignIn("the user is deactivated")
		}
		if err := s.linkAnnounced(tx, user, a, in, now); err != nil {
			return err
		}
		begun, err = s.begin(tx, a, user, in.signIn(), now)
		return err
	})
	return begun, err
}

// linkAnnounced lets somebody sign in by an identity from now on.
func (s *Service) linkAnnounced(tx Tx, user *User, a *Account, in IdentitySignIn, now time.Time) error {
	if a.has(in.Identity) {
		return nil
	}
	if len(a.Identities) >= MaxIdentities {
		return refuseSignIn("the account has too many identities")
	}
	a.Identities = append(slices.Clone(a.Identities), in.Identity)
	system := Principal{Type: PrincipalSystem, Name: "first sign-in", Administrator: true, Origin: in.Origin}
	return s.auditAccount(tx, system, ActionIdentityLink, user, map[string]any{"issuer": in.Identity.Issuer}, now)
}
