package rest_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

// S5-03: roles, groups, licenses and the registry through the client, and what users and tokens show of them.
func TestClientManagesRights(t *testing.T) {
	w := newWorld(t, nil)
	ctx, c := context.Background(), w.adminClient()
	role, err := c.CreateRole(ctx, rest.NewRole{
		Name: "writer", Title: rest.Some("Writers"), Permissions: rest.Some([]string{"orders.*", "docs.read", "orders.*"}),
	})
	must(t, err)
	if got := role.Role; got.ID != 4 || got.BuiltIn || !slices.Equal(got.Permissions, []string{"docs.read", "orders.*"}) {
		t.Errorf("%+v", got)
	}
	group, err := c.CreateGroup(ctx, rest.NewGroup{Name: "ops", Roles: rest.Some([]string{"writer"})})
	must(t, err)
	license, err := c.CreateLicense(ctx, rest.NewLicense{Name: "pro", MaxSeats: rest.Some[int64](2)})
	must(t, err)
	if got := license.License; !got.Valid || got.MaxSeats != 2 || got.SeatsTaken != 0 {
		t.Errorf("%+v", got)
	}
	member := int64(w.member.ID)
	_, err = c.AddMember(ctx, group.Group.ID, member)
	must(t, err)
	user, err := c.AddMember(ctx, group.Group.ID, member) // again changes nothing
	must(t, err)
	if !slices.Equal(user.User.Groups, []string{"ops"}) {
		t.Errorf("%+v", user.User)
	}
	user, err = c.TakeSeat(ctx, license.License.ID, member)
	must(t, err)
	if !slices.Equal(user.User.Licenses, []string{"pro"}) {
		t.Errorf("%+v", user.User)
	}
	user, err = c.UpdateUser(ctx, member, rest.UserChange{Roles: rest.Some([]string{"writer", "auditor"})})
	must(t, err)
	if !slices.Equal(user.User.Roles, []string{"auditor", "writer"}) || user.User.Administrator {
		t.Errorf("%+v", user.User)
	}
	token, err := c.CreateToken(ctx, rest.NewToken{
		Kind: rest.Some(latchward.KindService), Owner: rest.Some(rest.TokenOwner{Type: "group", ID: group.Group.ID}),
		Roles: rest.Some([]string{"writer"}), Groups: rest.Some([]string{"ops"}), Licenses: rest.Some([]string{"pro"}),
	})
	must(t, err)
	if got := token.Token; got.Owner.Type != "group" || got.Owner.Name != "ops" || got.UserID != nil || got.Unbound ||
		!slices.Equal(got.Roles, []string{"writer"}) || !slices.Equal(got.Groups, []string{"ops"}) ||
		!slices.Equal(got.Licenses, []string{"pro"}) || got.Permissions == nil {
		t.Errorf("%s", jsonOf(t, token))
	}
	_, err = c.TakeSeat(ctx, license.License.ID, int64(w.admin.ID))
	wantCode(t, err, latchward.CodeConflict, "licenses")
	for _, q := range []rest.TokenQuery{
		{Owner: "group:1"}, {Role: "writer"}, {Group: "ops"}, {License: "pro"}, {Owner: "group:1", Role: "writer", Limit: 1},
	} {
		list, err := c.Tokens(ctx, q)
		must(t, err)
		if len(list.Tokens) != 1 || jsonOf(t, list.Tokens[0].Roles) != `["writer"]` {
			t.Errorf("%+v: %s", q, jsonOf(t, list))
		}
	}
	for _, q := range []rest.UserQuery{{Role: "writer"}, {Group: "ops"}, {License: "pro"}} {
		list, err := c.Users(ctx, q)
		must(t, err)
		if len(list.Users) != 1 || list.Users[0].ID != member {
			t.Errorf("%+v: %s", q, jsonOf(t, list))
		}
	}
	list, err := c.Tokens(ctx, rest.TokenQuery{Owner: "user:2", Role: "auditor"})
	must(t, err)
	if len(list.Tokens) != 0 {
		t.Errorf("%s", jsonOf(t, list))
	}
	checkRights(t, c, token.Token.ID, member)
	checkRemovals(t, c, role.Role.ID, group.Group.ID, license.License.ID, token.Token.ID, member)
}

// S5-14
func checkRights(t *testing.T, c *rest.Client, token, member int64) {
	t.Helper()
	rights, err := c.TokenRights(context.Background(), token)
	must(t, err)
	sources := map[string]bool{}
	for _, p := range rights.Rights.Permissions {
		sources[p.Name+" of "+p.Source] = p.Withheld == nil
	}
	if len(rights.Rights.Permissions) != 4 || !sources["orders.* of role writer"] ||
		!sources["docs.read of group ops, role writer"] {
		t.Errorf("%s", jsonOf(t, rights))
	}
	rights, err = c.UserRights(context.Background(), member)
	must(t, err)
	if len(rights.Rights.Licenses) != 1 || len(rights.Rights.Groups) != 1 || len(rights.Rights.Roles) != 3 {
		t.Errorf("%s", jsonOf(t, rights))
	}
}

func checkRemovals(t *testing.T, c *rest.Client, role, group, license, token, member int64) {
	t.Helper()
	ctx := context.Background()
	user, err := c.FreeSeat(ctx, license, member)
	must(t, err)
	if len(user.User.Licenses) != 0 {
		t.Errorf("%+v", user.User)
	}
	user, err = c.RemoveMember(ctx, group, member)
	must(t, err)
	if len(user.User.Groups) != 0 {
		t.Errorf("%+v", user.User)
	}
	_, err = c.DeleteRole(ctx, role)
	must(t, err)
	_, err = c.DeleteLicense(ctx, license)
	must(t, err)
	shown, err := c.Token(ctx, token)
	must(t, err)
	if got := shown.Token; len(got.Roles)+len(got.Licenses) != 0 || got.Roles == nil {
		t.Errorf("%s", jsonOf(t, shown))
	}
	_, err = c.RemoveGroup(ctx, group)
	must(t, err)
	shown, err = c.Token(ctx, token)
	must(t, err)
	if got := shown.Token; got.Status != latchward.StatusRevoked || len(got.Groups) != 0 {
		t.Errorf("%s", jsonOf(t, shown))
	}
	_, err = c.Group(ctx, group)
	wantCode(t, err, latchward.CodeNotFound, "")
	groups, err := c.Groups(ctx, rest.GroupQuery{})
	must(t, err)
	removed, err := c.Groups(ctx, rest.GroupQuery{IncludeRemoved: true})
	must(t, err)
	if len(groups.Groups) != 0 || len(removed.Groups) != 1 || removed.Groups[0].RemovedAt.IsZero() {
		t.Errorf("%s %s", jsonOf(t, groups), jsonOf(t, removed))
	}
}

// The three roles that exist from the start are there, and stay as they are.
func TestBuiltInRolesThroughTheAPI(t *testing.T) {
	w := newWorld(t, nil)
	ctx, c := context.Background(), w.adminClient()
	list, err := c.Roles(ctx)
	must(t, err)
	var names []string
	for _, r := range list.Roles {
		names = append(names, r.Name)
		if !r.BuiltIn {
			t.Errorf("%s is not built in", r.Name)
		}
		_, err := c.UpdateRole(ctx, r.ID, rest.RoleChange{Permissions: rest.Null[[]string]()})
		wantCode(t, err, latchward.CodeConflict, "")
		_, err = c.DeleteRole(ctx, r.ID)
		wantCode(t, err, latchward.CodeConflict, "")
	}
	if strings.Join(names, " ") != "administrator manager auditor" {
		t.Errorf("roles %v", names)
	}
}

// S5-03: applications and people extend the registry; what programs declare stays.
func TestRegistryThroughTheAPI(t *testing.T) {
	w := newWorld(t, func(o *latchward.Options, _ *rest.Options) {
		o.Permissions = []latchward.Permission{{Name: "hives.read", Title: "See hives"}}
	})
	ctx, c := context.Background(), w.adminClient()
	for _, text := range []string{"Read orders", "See orders"} {
		saved, err := c.SavePermission(ctx, "orders.read", rest.PermissionText{Title: rest.Some(text)})
		must(t, err)
		if *saved.Permission.Title != text || saved.Permission.BuiltIn {
			t.Errorf("%+v", saved)
		}
	}
	role, err := c.CreateRole(ctx, rest.NewRole{Name: "reader", Permissions: rest.Some([]string{"orders.read", "a.b"})})
	must(t, err)
	_, err = c.SavePermission(ctx, "hives.read", rest.PermissionText{})
	wantCode(t, err, latchward.CodeConflict, "name")
	_, err = c.DeletePermission(ctx, "hives.read")
	wantCode(t, err, latchward.CodeConflict, "")
	list, err := c.Permissions(ctx)
	must(t, err)
	at := func(name string) int {
		return slices.IndexFunc(list.Permissions, func(p rest.Permission) bool { return p.Name == name })
	}
	if at("hives.read") < 0 || at("orders.read") < at("hives.read") || at("tokens.verify") < 0 {
		t.Errorf("%s", jsonOf(t, list))
	}
	_, err = c.DeletePermission(ctx, "orders.read")
	must(t, err)
	role, err = c.Role(ctx, role.Role.ID)
	must(t, err)
	if !slices.Equal(role.Role.Permissions, []string{"a.b"}) {
		t.Errorf("%+v", role)
	}
	if r := w.do(http.MethodGet, "/api/latchward/permissions/a.b", adminJWT, ""); r.Code != http.StatusMethodNotAllowed {
		t.Errorf("status %d", r.Code)
	}
}

func TestUnknownNames(t *testing.T) {
	w := newPopulated(t)
	for body, field := range map[string]string{
		`{"kind":"service","roles":["reader","nobody"]}`: "roles[1]",
		`{"kind":"service","groups":["reader"]}`:         "groups[0]",
		`{"kind":"service","licenses":["ops"]}`:          "licenses[0]",
		`{"roles":["reader"]}`:                           "kind",
	} {
		p := problem(t, w.do(http.MethodPost, "/api/api-tokens", adminJWT, body))
		if p.Status != http.StatusBadRequest || p.Field != field {
			t.Errorf("%s: %+v", body, p)
		}
	}
}
