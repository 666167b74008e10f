package rest

import (
	"context"
	"net/http"
	"net/url"
)

// Roles returns all roles.
func (c *Client) Roles(ctx context.Context) (RoleList, error) {
	return call[RoleList](ctx, c, http.MethodGet, oursPath+"/roles", nil, nil)
}

// Role returns one role.
func (c *Client) Role(ctx context.Context, id int64) (RoleReply, error) {
	return call[RoleReply](ctx, c, http.MethodGet, numbered(oursPath+"/roles", id), nil, nil)
}

// CreateRole makes a role.
func (c *Client) CreateRole(ctx context.Context, n NewRole) (RoleReply, error) {
	return call[RoleReply](ctx, c, http.MethodPost, oursPath+"/roles", nil, n)
}

// UpdateRole changes what is set and leaves the rest.
func (c *Client) UpdateRole(ctx context.Context, id int64, change RoleChange) (RoleReply, error) {
	return call[RoleReply](ctx, c, http.MethodPut, numbered(oursPath+"/roles", id), nil, change)
}

// DeleteRole deletes a role and takes it from everybody who has it.
func (c *Client) DeleteRole(ctx context.Context, id int64) (Message, error) {
	return call[Message](ctx, c, http.MethodDelete, numbered(oursPath+"/roles", id), nil, nil)
}

// Groups returns one page of the groups that match.
func (c *Client) Groups(ctx context.Context, q GroupQuery) (GroupList, error) {
	return call[GroupList](ctx, c, http.MethodGet, oursPath+"/groups", q, nil)
}

// Group returns one group.
func (c *Client) Group(ctx context.Context, id int64) (GroupReply, error) {
	return call[GroupReply](ctx, c, http.MethodGet, numbered(oursPath+"/groups", id), nil, nil)
}

// CreateGroup makes a group.
func (c *Client) CreateGroup(ctx context.Context, n NewGroup) (GroupReply, error) {
	return call[GroupReply](ctx, c, http.MethodPost, oursPath+"/groups", nil, n)
}

// UpdateGroup changes what is set and leaves the rest.
func (c *Client) UpdateGroup(ctx context.Context, id int64, change GroupChange) (GroupReply, error) {
	return call[GroupReply](ctx, c, http.MethodPut, numbered(oursPath+"/groups", id), nil, change)
}

// RemoveGroup removes a group, with its members, and revokes the tokens that it owns.
func (c *Client) RemoveGroup(ctx context.Context, id int64) (Message, error) {
	return call[Message](ctx, c, http.MethodDelete, numbered(oursPath+"/groups", id), nil, nil)
}

// AddMember makes a user a member of a group.
func (c *Client) AddMember(ctx context.Context, group, user int64) (UserReply, error) {
	address := numbered(numbered(oursPath+"/groups", group)+"/members", user)
	return call[UserReply](ctx, c, http.MethodPut, address, nil, nil)
}

// RemoveMember takes a user out of a group.
func (c *Client) RemoveMember(ctx context.Context, group, user int64) (UserReply, error) {
	address := numbered(numbered(oursPath+"/groups", group)+"/members", user)
	return call[UserReply](ctx, c, http.MethodDelete, address, nil, nil)
}

// Licenses returns all licenses.
func (c *Client) Licenses(ctx context.Context) (LicenseList, error) {
	return call[LicenseList](ctx, c, http.MethodGet, oursPath+"/licenses", nil, nil)
}

// License returns one license.
func (c *Client) License(ctx context.Context, id int64) (LicenseReply, error) {
	return call[LicenseReply](ctx, c, http.MethodGet, numbered(oursPath+"/licenses", id), nil, nil)
}

// CreateLicense makes a license.
func (c *Client) CreateLicense(ctx context.Context, n NewLicense) (LicenseReply, error) {
	return call[LicenseReply](ctx, c, http.MethodPost, oursPath+"/licenses", nil, n)
}

// UpdateLicense changes what is set and leaves the rest.
func (c *Client) UpdateLicense(ctx context.Context, id int64, change LicenseChange) (LicenseReply, error) {
	return call[LicenseReply](ctx, c, http.MethodPut, numbered(oursPath+"/licenses", id), nil, change)
}

// DeleteLicense deletes a license and frees its seats.
func (c *Client) DeleteLicense(ctx context.Context, id int64) (Message, error) {
	return call[Message](ctx, c, http.MethodDelete, numbered(oursPath+"/licenses", id), nil, nil)
}

// TakeSeat gives a user a seat of a license.
func (c *Client) TakeSeat(ctx context.Context, license, user int64) (UserReply, error) {
	address := numbered(numbered(oursPath+"/licenses", license)+"/seats", user)
	return call[UserReply](ctx, c, http.MethodPut, address, nil, nil)
}

// FreeSeat takes a user's seat of a license.
func (c *Client) FreeSeat(ctx context.Context, license, user int64) (UserReply, error) {
	address := numbered(numbered(oursPath+"/licenses", license)+"/seats", user)
	return call[UserReply](ctx, c, http.MethodDelete, address, nil, nil)
}

// Explain tells what Verify would say to a request, and why. Nothing is charged or recorded.
func (c *Client) Explain(ctx context.Context, r ExplainRequest) (Explanation, error) {
	return call[Explanation](ctx, c, http.MethodPost, oursPath+"/explain", nil, r)
}

// Permissions lists the registry of what can be granted.
func (c *Client) Permissions(ctx context.Context) (PermissionList, error) {
	return call[PermissionList](ctx, c, http.MethodGet, oursPath+"/permissions", nil, nil)
}

// SavePermission adds an entry to the registry or explains one anew.
func (c *Client) SavePermission(ctx context.Context, name string, text PermissionText) (PermissionReply, error) {
	return call[PermissionReply](ctx, c, http.MethodPut, oursPath+"/permissions/"+url.PathEscape(name), nil, text)
}

// DeletePermission removes an entry from the registry, and the permission from every role and token that names it.
func (c *Client) DeletePermission(ctx context.Context, name string) (Message, error) {
	return call[Message](ctx, c, http.MethodDelete, oursPath+"/permissions/"+url.PathEscape(name), nil, nil)
}
