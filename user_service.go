package latchward

import (
	"context"
	"strings"
	"sync"
	"time"
)

func noSuchUser() error { return &Error{Code: CodeNotFound, Message: "User not found"} }

// CreateUser adds a user. It needs users.create, and what the user is to hold. Errors: invalid, naming the field; conflict, for an e-mail or
// external id that somebody has. Creating a user with the external id of a removed person lets that person back in,
// as somebody new.
func (s *Service) CreateUser(ctx context.Context, n NewUser) (created *User, err error) {
	defer s.noteDenial(ctx, PermissionUsersCreate, 0, "", &err)
	p, err := provisioner(ctx, PermissionUsersCreate)
	if err != nil {
		return nil, err
	}
	return s.createUser(ctx, p, n)
}

func (s *Service) createUser(ctx context.Context, p Principal, n NewUser) (*User, error) {
	now := s.timestamp()
	user := User{
		ExternalID: strings.TrimSpace(n.ExternalID), Email: strings.TrimSpace(n.Email), Name: strings.TrimSpace(n.Name),
		Directory: n.Directory, Active: !n.Disabled, CreatedAt: now, UpdatedAt: now,
	}
	if user.ExternalID == "" && user.Email == "" && user.Name == "" && user.Directory.UserName == "" {
		return nil, Invalid("email", "give an e-mail, a name or an external id")
	}
	if err := user.Validate(); err != nil {
		return nil, err
	}
	created := &User{}
	err := s.tx(ctx, func(tx Tx) error {
		*created = user
		if err := readmit(tx, user.ExternalID); err != nil {
			return err
		}
		named := names{&n.Roles, &n.Groups, &n.Licenses}
		if err := entitle(tx, p, created, named, ifTrue(n.Administrator)); err != nil {
			return err
		}
		if err := tx.SaveUser(created); err != nil {
			return err
		}
		return s.auditUser(tx, p, ActionUserCreate, created, nil, now)
	})
	if err != nil {
		return nil, err
	}
	return created, nil
}

// entitle gives u the roles, groups and licenses that are named, if p may hand on whatever u has not had before.
func entitle(tx Tx, p Principal, u *User, named names, administrator *bool) error {
	before := heldByUser(u)
	h := before
	if err := named.resolveInto(tx, &h); err != nil {
		return err
	}
	if administrator != nil {
		h.roles = missing(h.roles, []RoleID{RoleAdministrator})
		if *administrator {
			h.roles = append(h.roles, RoleAdministrator)
		}
	}
	u.Roles, u.Groups, u.Licenses = h.roles, h.groups, h.licenses
	return giveUser(tx, p, u, before)
}

// giveUser checks what u has against what u had before.
func giveUser(tx Tx, p Principal, u *User, before held) error {
	if err := u.Validate(); err != nil {
		return err
	}
	added := heldByUser(u).without(before)
	if err := takeSeats(tx, added.licenses); err != nil {
		return err
	}
	return authorizeGiving(tx, p, added)
}

// readmit forgets that the person with this external id was removed.
func readmit(tx Tx, externalID string) error {
	if externalID == "" {
		return nil
	}
	tombstone, err := tx.UserByExternalID(removedExternalID(externalID))
	if ErrorCode(err) == CodeNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	tombstone.ExternalID = ""
	return tx.SaveUser(tombstone)
}

// ifTrue returns a flag that is set, and nil for one that says nothing: Roles may name the role of administrators, too.
func ifTrue(flag bool) *bool {
	if !flag {
		return nil
	}
	return &flag
}

// UpdateUser changes what u names. It needs users.update, all that the user may do to Latchward itself, and, to enable
// them or change how they are recognised, all that they hold: whoever could change the e-mail of somebody with more
// rights could become them. Disabling a user disables all their tokens from the next request on;
// enabling brings back those that were not revoked (S3-07).
func (s *Service) UpdateUser(ctx context.Context, id UserID, u UserUpdate) (*User, error) {
	return s.changeUser(ctx, PermissionUsersUpdate, id, func(tx Tx, p Principal, user *User, _ time.Time) (string, error) {
		if err := checkRevision(u.Revisions, user.Revision()); err != nil {
			return "", err
		}
		if u.ExternalID != nil || u.Email != nil || u.renamesIn(user.Directory) || u.Active != nil && *u.Active {
			if err := authorizeOver(tx, p, user, func(string) bool { return true }); err != nil {
				return "", err
			}
		}
		if u.ExternalID != nil {
			user.ExternalID = strings.TrimSpace(*u.ExternalID)
		}
		if u.Email != nil {
			user.Email = strings.TrimSpace(*u.Email)
		}
		if u.Name != nil {
			user.Name = strings.TrimSpace(*u.Name)
		}
		set(&user.Directory, u.Directory)
		action := ActionUserUpdate
		if u.Active != nil && *u.Active != user.Active {
			user.Active = *u.Active
			action = map[bool]string{true: ActionUserEnable, false: ActionUserDisable}[user.Active]
			if _, err := tx.DeleteSessions(id, SessionID{}); err != nil {
				return "", err
			}
		}
		return action, entitle(tx, p, user, names{u.Roles, u.Groups, u.Licenses}, u.Administrator)
	})
}

// renamesIn reports whether u changes what the directory recognises somebody by.
func (u *UserUpdate) renamesIn(before DirectoryEntry) bool {
	return u.Directory != nil && (u.Directory.UserName != before.UserName || u.Directory.ID != before.ID)
}

// RemoveUser revokes all of a user's tokens and leaves a tombstone without personal data, also in the audit log,
// where only their id stays (bar 132). It needs users.delete, and all that the user may do to Latchward itself. The
// person's sign-ins are refused until they are created again.
func (s *Service) RemoveUser(ctx context.Context, id UserID) error {
	_, err := s.changeUser(ctx, PermissionUsersDelete, id, func(tx Tx, p Principal, user *User, now time.Time) (string, error) {
		if err := s.revokeAllOf(tx, p, Owner{Type: OwnerUser, ID: int64(id)}, now); err != nil {
			return "", err
		}
		if err := closeAccount(tx, id, now); err != nil {
			return "", err
		}
		user.Name, user.Email, user.Active, user.RemovedAt = "", "", false, now
		user.Roles, user.Groups, user.Licenses, user.Directory = nil, nil, nil, DirectoryEntry{}
		if user.ExternalID != "" {
			user.ExternalID = removedExternalID(user.ExternalID)
		}
		return ActionUserRemove, nil
	})
	return err
}

func (s *Service) changeUser(
	ctx context.Context, permission string, id UserID,
	edit func(tx Tx, p Principal, user *User, now time.Time) (string, error),
) (changed *User, err error) {
	defer s.noteDenial(ctx, permission, int64(id), "", &err)
	p, err := provisioner(ctx, permission)
	if err != nil {
		return nil, err
	}
	now := s.timestamp()
	err = s.tx(ctx, func(tx Tx) error {
		user, err := tx.User(id)
		if ErrorCode(err) == CodeNotFound || err == nil && user.Removed() {
			return noSuchUser()
		}
		if err != nil {
			return err
		}
		if err := authorizeOver(tx, p, user, reservedPermission); err != nil {
			return err
		}
		before := userFacts(user)
		action, err := edit(tx, p, user, now)
		if err != nil {
			return err
		}
		user.UpdatedAt, changed = now, user
		if err := tx.SaveUser(user); err != nil {
			return err
		}
		if err := s.auditUser(tx, p, action, user, before, now); err != nil || action != ActionUserRemove {
			return err
		}
		return tx.EraseAudit(id)
	})
	return changed, err
}

func (s *Service) auditUser(tx Tx, p Principal, action string, u *User, before map[string]any, now time.Time) error {
	entry := &AuditEntry{
		At: now, Actor: p, Action: action, TargetType: "user", TargetID: int64(u.ID), TargetName: u.DisplayName(),
		After: userFacts(u),
	}
	if action == ActionUserRemove {
		// What the removal erased must not live on in the log.
		before, entry.After = nil, map[string]any{"removed": true}
	}
	if before != nil {
		entry.Before, entry.After = changes(before, entry.After)
	}
	return tx.AppendAudit(entry)
}

func userFacts(u *User) map[string]any {
	return map[string]any{
		"external_id": u.ExternalID, "email": u.Email, "name": u.Name, "roles": u.Roles, "groups": u.Groups, "licenses": u.Licenses, "active": u.Active,
		"user_name": u.Directory.UserName, "directory_id": u.Directory.ID,
		"given_name": u.Directory.GivenName, "family_name": u.Directory.FamilyName,
	}
}

// SignIn returns the principal for a person whom an identity provider vouches for. A person seen for the first time
// becomes an ordinary user if create says so. Everybody else who may not act is an Error of code unauthenticated:
// unknown, deactivated or removed.
func (s *Service) SignIn(ctx context.Context, id Identity, create bool) (Principal, error) {
	if id.ExternalID == "" || len(id.ExternalID) > MaxExternalIDLength || strings.HasPrefix(id.ExternalID, removedMark) {
		return Principal{}, refuseSignIn("the identity has no usable subject")
	}
	for range 2 { // once more when what was remembered about the external id is out of date
		owner, err := s.subject(ctx, id, create)
		if err != nil {
			return Principal{}, err
		}
		known, err := s.cache.owners.get(ctx, owner)
		if err != nil {
			return Principal{}, err
		}
		if known.ExternalID == id.ExternalID {
			return s.principalOf(ctx, known, id.Administrator)
		}
		s.subjects.forget(id.ExternalID)
	}
	return Principal{}, refuseSignIn("the user's external id has changed")
}

// principalOf returns the principal that a person is, who may be an administrator for this sign-in alone.
func (s *Service) principalOf(ctx context.Context, known *ownerRecord, administrator bool) (Principal, error) {
	if !known.Active {
		return Principal{}, refuseSignIn("the user is deactivated")
	}
	rights, err := s.cache.directory.rightsOfOwner(ctx, known)
	if err != nil {
		return Principal{}, err
	}
	p := Principal{
		Type: PrincipalUser, ID: known.owner.ID, Name: known.Name, Groups: known.Groups, Rights: rights.person,
		Administrator: rights.person.HasRole(administratorName),
	}
	if administrator && !p.Administrator {
		p.Administrator, p.Rights = true, rights.administrator
	}
	return p, nil
}

func refuseSignIn(why string) error {
	return &Error{Code: CodeUnauthenticated, Message: "Sign-in refused: " + why}
}

// subjects remembers which user an external id belongs to, so that a JWT on every request costs no read. What the
// user may do is asked of the owner's cell each time.
type subjects struct {
	mu    sync.RWMutex
	known map[string]Owner
}

const maxSubjects = 100_000

func (m *subjects) get(externalID string) (Owner, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	owner, ok := m.known[externalID]
	return owner, ok
}

func (m *subjects) put(externalID string, owner Owner) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil || len(m.known) >= maxSubjects {
		m.known = map[string]Owner{}
	}
	m.known[strings.Clone(externalID)] = owner
}

func (m *subjects) forget(externalID string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.known, externalID)
}

func (s *Service) subject(ctx context.Context, id Identity, create bool) (Owner, error) {
	if owner, ok := s.subjects.get(id.ExternalID); ok {
		return owner, nil
	}
	user, err := s.findOrCreate(ctx, id, create)
	if err != nil {
		return Owner{}, err
	}
	owner := Owner{Type: OwnerUser, ID: int64(user.ID)}
	s.subjects.put(id.ExternalID, owner)
	return owner, nil
}

func (s *Service) findOrCreate(ctx context.Context, id Identity, create bool) (*User, error) {
	user, err := s.store.UserByExternalID(ctx, id.ExternalID)
	if err == nil || ErrorCode(err) != CodeNotFound {
		return user, err
	}
	if _, err := s.store.UserByExternalID(ctx, removedExternalID(id.ExternalID)); ErrorCode(err) != CodeNotFound {
		if err != nil {
			return nil, err
		}
		return nil, refuseSignIn("the user was removed; an administrator must create them again")
	}
	if !create {
		return nil, refuseSignIn("there is no such user, and unknown people are not created")
	}
	system := Principal{Type: PrincipalSystem, Name: "first sign-in", Administrator: true}
	// An e-mail that the provider names is nobody's proof of owning an account here: on a conflict the new user goes
	// without, and accounts are never joined by it.
	for _, email := range []string{id.Email, ""} {
		n := NewUser{ExternalID: id.ExternalID, Email: email, Name: truncate(id.Name, MaxNameLength)}
		user, err = s.createUser(ctx, system, n)
		if code := ErrorCode(err); code != CodeConflict && code != CodeInvalid {
			return user, err
		}
	}
	// Lost a race against another first sign-in of the same person.
	return s.store.UserByExternalID(ctx, id.ExternalID)
}

// truncate cuts text to at most n characters, never inside one.
func truncate(text string, n int) string {
	for i := range text {
		if n == 0 {
			return text[:i]
		}
		n--
	}
	return text
}
