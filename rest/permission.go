package rest

import (
	"context"

	"github.com/latchward/latchward"
)

// Permission is an entry of the registry of what can be granted, as the API shows it.
type Permission struct {
	Name        string  `json:"name" doc:"resource.action"`
	Title       *string `json:"title" doc:"For people to read."`
	Description *string `json:"description"`
	BuiltIn     bool    `json:"built_in" doc:"Declared by the program; it cannot be changed."`
	CreatedAt   Time    `json:"created_at" null:"true"`
	UpdatedAt   Time    `json:"updated_at" null:"true"`
}

// PermissionReply answers with one entry of the registry.
type PermissionReply struct {
	Permission Permission `json:"permission"`
}

// PermissionList lists the registry, in the order of names.
type PermissionList struct {
	Permissions []Permission `json:"permissions"`
}

// PermissionText explains a permission to people. What is left out is empty.
type PermissionText struct {
	Title       Optional[string] `json:"title,omitzero"`
	Description Optional[string] `json:"description,omitzero"`
}

func permissionOf(p *latchward.Permission) Permission {
	return Permission{
		Name: p.Name, Title: textOrNull(p.Title), Description: textOrNull(p.Description), BuiltIn: p.BuiltIn,
		CreatedAt: Time{p.CreatedAt}, UpdatedAt: Time{p.UpdatedAt},
	}
}

func (h *handler) permissions(ctx context.Context, _ request[none, none]) (PermissionList, error) {
	permissions, err := h.service.Permissions(ctx)
	reply := PermissionList{Permissions: make([]Permission, len(permissions))}
	for i, p := range permissions {
		reply.Permissions[i] = permissionOf(p)
	}
	return reply, err
}

func (h *handler) savePermission(ctx context.Context, in request[none, PermissionText]) (PermissionReply, error) {
	p, err := h.service.SavePermission(ctx, latchward.Permission{
		Name: in.Name, Title: in.Body.Title.Value, Description: in.Body.Description.Value,
	})
	if err != nil {
		return PermissionReply{}, err
	}
	return PermissionReply{permissionOf(p)}, nil
}

func (h *handler) deletePermission(ctx context.Context, in request[none, none]) (Message, error) {
	err := h.service.DeletePermission(ctx, in.Name)
	return Message{"Permission deleted; no role and no token names it any more"}, err
}
