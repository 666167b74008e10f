package rest

import (
	"context"

	"github.com/latchward/latchward"
)

// Role is a named set of permissions as the API shows it.
type Role struct {
	ID          int64    `json:"id"`
	Name        string   `json:"name" doc:"By which programs ask for it."`
	Title       *string  `json:"title" doc:"For people to read."`
	Description *string  `json:"description"`
	Permissions []string `json:"permissions" doc:"Grants: resource.action, resource.*, *.action or *."`
	BuiltIn     bool     `json:"built_in" doc:"It exists from the start and cannot be changed."`
	CreatedAt   Time     `json:"created_at"`
	UpdatedAt   Time     `json:"updated_at"`
}

// RoleReply answers with one role.
type RoleReply struct {
	Role Role `json:"role"`
	Revision
}

// RoleList lists all roles, those that exist from the start first.
type RoleList struct {
	Roles []Role `json:"roles"`
}

// NewRole asks for a role.
type NewRole struct {
	Name        string             `json:"name" doc:"Lower-case letters, digits, -, _ and ."`
	Title       Optional[string]   `json:"title,omitzero"`
	Description Optional[string]   `json:"description,omitzero"`
	Permissions Optional[[]string] `json:"permissions,omitzero" doc:"Grants."`
}

// RoleChange changes a role: what is left out stays, null clears.
type RoleChange struct {
	Name        *string            `json:"name,omitempty" null:"false"`
	Title       Optional[string]   `json:"title,omitzero"`
	Description Optional[string]   `json:"description,omitzero"`
	Permissions Optional[[]string] `json:"permissions,omitzero"`
	Revision
}

func roleOf(r *latchward.Role) Role {
	return Role{
		ID: int64(r.ID), Name: r.Name, Title: textOrNull(r.Title), Description: textOrNull(r.Description),
		Permissions: append([]string{}, r.Permissions...), BuiltIn: r.BuiltIn(),
		CreatedAt: Time{r.CreatedAt}, UpdatedAt: Time{r.UpdatedAt},
	}
}

func roleReply(r *latchward.Role, err error) (RoleReply, error) {
	if err != nil {
		return RoleReply{}, err
	}
	return RoleReply{roleOf(r), Revision{r.Revision()}}, nil
}

func (h *handler) roles(ctx context.Context, _ request[none, none]) (RoleList, error) {
	roles, err := h.service.Roles(ctx)
	reply := RoleList{Roles: make([]Role, len(roles))}
	for i, r := range roles {
		reply.Roles[i] = roleOf(r)
	}
	return reply, err
}

func (h *handler) role(ctx context.Context, in request[none, none]) (RoleReply, error) {
	return roleReply(h.service.Role(ctx, latchward.RoleID(in.ID)))
}

func (h *handler) createRole(ctx context.Context, in request[none, NewRole]) (RoleReply, error) {
	return roleReply(h.service.CreateRole(ctx, latchward.NewRole{
		Name: in.Body.Name, Title: in.Body.Title.Value, Description: in.Body.Description.Value,
		Permissions: in.Body.Permissions.Value,
	}))
}

func (h *handler) updateRole(ctx context.Context, in request[none, RoleChange]) (RoleReply, error) {
	return roleReply(h.service.UpdateRole(ctx, latchward.RoleID(in.ID), latchward.RoleUpdate{
		Name: in.Body.Name, Title: in.Body.Title.change(), Description: in.Body.Description.change(),
		Permissions: in.Body.Permissions.change(), Revisions: in.Revisions,
	}))
}

func (h *handler) deleteRole(ctx context.Context, in request[none, none]) (Message, error) {
	err := h.service.DeleteRole(ctx, latchward.RoleID(in.ID))
	return Message{"Role deleted; nobody has it any more"}, err
}
