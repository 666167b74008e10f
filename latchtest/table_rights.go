package latchtest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
)

// WorldGroup is a group of a [World].
type WorldGroup struct{ Roles []string }

// WorldLicense is a license of a [World]; members mean what they mean in latchward.NewLicense.
type WorldLicense struct {
	MaxSeats              int64
	ValidFrom, ValidUntil time.Time
}

// rights are the ids of what a table names.
type rights struct {
	roles    map[string]latchward.RoleID
	groups   map[string]latchward.GroupID
	licenses map[string]latchward.LicenseID
}

// createRights makes the roles, groups and licenses of a world.
func (w *table) createRights(ctx context.Context, t *testing.T, world World) {
	t.Helper()
	w.rights = rights{
		map[string]latchward.RoleID{}, map[string]latchward.GroupID{}, map[string]latchward.LicenseID{},
	}
	for name, permissions := range world.Roles {
		role, err := w.service.CreateRole(ctx, latchward.NewRole{Name: name, Permissions: permissions})
		if err != nil {
			t.Fatalf("role %s: %v", name, err)
		}
		w.rights.roles[name] = role.ID
	}
	for name, g := range world.Groups {
		group, err := w.service.CreateGroup(ctx, latchward.NewGroup{Name: name, Roles: g.Roles})
		if err != nil {
			t.Fatalf("group %s: %v", name, err)
		}
		w.rights.groups[name] = group.ID
	}
	for name, l := range world.Licenses {
		license, err := w.service.CreateLicense(ctx, latchward.NewLicense{
			Name: name, MaxSeats: l.MaxSeats, ValidFrom: l.ValidFrom, ValidUntil: l.ValidUntil,
		})
		if err != nil {
			t.Fatalf("license %s: %v", name, err)
		}
		w.rights.licenses[name] = license.ID
	}
}

// owner returns the owner with that name: a user, or a group as "group:NAME".
func (w *table) owner(name string) (latchward.Owner, bool) {
	if group, ok := strings.CutPrefix(name, "group:"); ok {
		id, ok := w.rights.groups[group]
		return latchward.Owner{Type: latchward.OwnerGroup, ID: int64(id)}, ok
	}
	id, ok := w.users[name]
	return latchward.Owner{Type: latchward.OwnerUser, ID: int64(id)}, ok
}

// doRights does the steps that change rights; ok is false for other verbs. Lists are parted by commas, and - is none.
func (w *table) doRights(ctx context.Context, words []string) (ok bool, err error) {
	if len(words) < 2 {
		return false, nil
	}
	verb, name := words[0], words[1]
	list := []string{}
	if len(words) > 2 && words[2] != "-" {
		list = strings.Split(words[2], ",")
	}
	switch {
	case strings.HasPrefix(verb, "user-"):
		return true, w.changeUser(ctx, verb, w.users[name], &list)
	case strings.HasPrefix(verb, "token-"):
		return true, w.changeToken(ctx, verb, w.tokens[name], &list)
	case verb == "role-permissions":
		_, err = w.service.UpdateRole(ctx, w.rights.roles[name], latchward.RoleUpdate{Permissions: &list})
	case verb == "delete-role":
		err = w.service.DeleteRole(ctx, w.rights.roles[name])
	case verb == "group-roles":
		_, err = w.service.UpdateGroup(ctx, w.rights.groups[name], latchward.GroupUpdate{Roles: &list})
	case verb == "disable-group", verb == "enable-group":
		active := verb == "enable-group"
		_, err = w.service.UpdateGroup(ctx, w.rights.groups[name], latchward.GroupUpdate{Active: &active})
	case verb == "remove-group":
		err = w.service.RemoveGroup(ctx, w.rights.groups[name])
	case verb == "delete-license":
		err = w.service.DeleteLicense(ctx, w.rights.licenses[name])
	case verb == "license-until":
		var until time.Time
		if until, err = time.Parse(time.RFC3339, words[2]); err == nil {
			_, err = w.service.UpdateLicense(ctx, w.rights.licenses[name], latchward.LicenseUpdate{ValidUntil: &until})
		}
	default:
		return false, nil
	}
	return true, err
}

func (w *table) changeUser(ctx context.Context, verb string, id latchward.UserID, list *[]string) error {
	var u latchward.UserUpdate
	switch verb {
	case "user-roles":
		u.Roles = list
	case "user-groups":
		u.Groups = list
	case "user-licenses":
		u.Licenses = list
	default:
		return fmt.Errorf("unknown verb %q", verb)
	}
	_, err := w.service.UpdateUser(ctx, id, u)
	return err
}

func (w *table) changeToken(ctx context.Context, verb string, id latchward.TokenID, list *[]string) error {
	var u latchward.TokenUpdate
	switch verb {
	case "token-permissions":
		u.Permissions = list
	case "token-roles":
		u.Roles = list
	case "token-groups":
		u.Groups = list
	case "token-licenses":
		u.Licenses = list
	default:
		return fmt.Errorf("unknown verb %q", verb)
	}
	_, err := w.service.UpdateToken(ctx, id, u)
	return err
}
