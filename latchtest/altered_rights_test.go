package latchtest

import (
	"context"

	"github.com/latchward/latchward"
)

// alteredRights replaces methods about roles, groups, licenses, permissions and policies. nil means as they are.
type alteredRights struct {
	countUsers  func(latchward.UserFilter) (int64, error)
	members     func(latchward.GroupID) ([]latchward.UserID, error)
	role        func(latchward.RoleID) (*latchward.Role, error)
	roles       func() ([]*latchward.Role, error)
	group       func(latchward.GroupID) (*latchward.Group, error)
	groups      func(latchward.GroupFilter) ([]*latchward.Group, error)
	license     func(latchward.LicenseID) (*latchward.License, error)
	licenses    func() ([]*latchward.License, error)
	seats       func() (map[latchward.LicenseID]int64, error)
	permissions func() ([]*latchward.Permission, error)
	policy      func(latchward.PolicyID) (*latchward.LifecyclePolicy, error)
	policies    func() ([]*latchward.LifecyclePolicy, error)
}

func (a *altered) Policy(ctx context.Context, id latchward.PolicyID) (*latchward.LifecyclePolicy, error) {
	return or1(ctx, a.policy, a.Store.Policy, id)
}

func (a *altered) Policies(ctx context.Context) ([]*latchward.LifecyclePolicy, error) {
	return or0(a.policies, func() ([]*latchward.LifecyclePolicy, error) { return a.Store.Policies(ctx) })
}

func (a *altered) CountUsers(ctx context.Context, f latchward.UserFilter) (int64, error) {
	return or1(ctx, a.countUsers, a.Store.CountUsers, f)
}

func (a *altered) Members(ctx context.Context, group latchward.GroupID) ([]latchward.UserID, error) {
	return or1(ctx, a.members, a.Store.Members, group)
}

func (a *altered) Role(ctx context.Context, id latchward.RoleID) (*latchward.Role, error) {
	return or1(ctx, a.role, a.Store.Role, id)
}

func (a *altered) Roles(ctx context.Context) ([]*latchward.Role, error) {
	return or0(a.roles, func() ([]*latchward.Role, error) { return a.Store.Roles(ctx) })
}

func (a *altered) Group(ctx context.Context, id latchward.GroupID) (*latchward.Group, error) {
	return or1(ctx, a.group, a.Store.Group, id)
}

func (a *altered) Groups(ctx context.Context, f latchward.GroupFilter) ([]*latchward.Group, error) {
	return or1(ctx, a.groups, a.Store.Groups, f)
}

func (a *altered) License(ctx context.Context, id latchward.LicenseID) (*latchward.License, error) {
	return or1(ctx, a.license, a.Store.License, id)
}

func (a *altered) Licenses(ctx context.Context) ([]*latchward.License, error) {
	return or0(a.licenses, func() ([]*latchward.License, error) { return a.Store.Licenses(ctx) })
}

func (a *altered) Seats(ctx context.Context) (map[latchward.LicenseID]int64, error) {
	return or0(a.seats, func() (map[latchward.LicenseID]int64, error) { return a.Store.Seats(ctx) })
}

func (a *altered) Permissions(ctx context.Context) ([]*latchward.Permission, error) {
	return or0(a.permissions, func() ([]*latchward.Permission, error) { return a.Store.Permissions(ctx) })
}

// alteredRightsTx does the same for a transaction.
type alteredRightsTx struct {
	members          func(latchward.GroupID) ([]latchward.UserID, error)
	role             func(latchward.RoleID) (*latchward.Role, error)
	roleByName       func(string) (*latchward.Role, error)
	saveRole         func(*latchward.Role) error
	deleteRole       func(latchward.RoleID) error
	group            func(latchward.GroupID) (*latchward.Group, error)
	groupByName      func(string) (*latchward.Group, error)
	saveGroup        func(*latchward.Group) error
	license          func(latchward.LicenseID) (*latchward.License, error)
	licenseByName    func(string) (*latchward.License, error)
	seats            func(latchward.LicenseID) (int64, error)
	saveLicense      func(*latchward.License) error
	deleteLicense    func(latchward.LicenseID) error
	permission       func(string) (*latchward.Permission, error)
	savePermission   func(*latchward.Permission) error
	deletePermission func(string) error
	policy           func(latchward.PolicyID) (*latchward.LifecyclePolicy, error)
	policyByName     func(string) (*latchward.LifecyclePolicy, error)
	savePolicy       func(*latchward.LifecyclePolicy) error
	deletePolicy     func(latchward.PolicyID) error
}

func (tx *alteredTx) Policy(id latchward.PolicyID) (*latchward.LifecyclePolicy, error) {
	return or0(bind(tx.policy, id), bind(tx.Tx.Policy, id))
}

func (tx *alteredTx) PolicyByName(name string) (*latchward.LifecyclePolicy, error) {
	return or0(bind(tx.policyByName, name), bind(tx.Tx.PolicyByName, name))
}

func (tx *alteredTx) SavePolicy(p *latchward.LifecyclePolicy) error {
	return orTx(tx.savePolicy, tx.Tx.SavePolicy, p)
}

func (tx *alteredTx) DeletePolicy(id latchward.PolicyID) error {
	return orTx(tx.deletePolicy, tx.Tx.DeletePolicy, id)
}

func (tx *alteredTx) Members(group latchward.GroupID) ([]latchward.UserID, error) {
	return or0(bind(tx.members, group), bind(tx.Tx.Members, group))
}

func (tx *alteredTx) Role(id latchward.RoleID) (*latchward.Role, error) {
	return or0(bind(tx.role, id), bind(tx.Tx.Role, id))
}

func (tx *alteredTx) RoleByName(name string) (*latchward.Role, error) {
	return or0(bind(tx.roleByName, name), bind(tx.Tx.RoleByName, name))
}

func (tx *alteredTx) SaveRole(r *latchward.Role) error { return orTx(tx.saveRole, tx.Tx.SaveRole, r) }

func (tx *alteredTx) DeleteRole(id latchward.RoleID) error {
	return orTx(tx.deleteRole, tx.Tx.DeleteRole, id)
}

func (tx *alteredTx) Group(id latchward.GroupID) (*latchward.Group, error) {
	return or0(bind(tx.group, id), bind(tx.Tx.Group, id))
}

func (tx *alteredTx) GroupByName(name string) (*latchward.Group, error) {
	return or0(bind(tx.groupByName, name), bind(tx.Tx.GroupByName, name))
}

func (tx *alteredTx) SaveGroup(g *latchward.Group) error {
	return orTx(tx.saveGroup, tx.Tx.SaveGroup, g)
}

func (tx *alteredTx) License(id latchward.LicenseID) (*latchward.License, error) {
	return or0(bind(tx.license, id), bind(tx.Tx.License, id))
}

func (tx *alteredTx) LicenseByName(name string) (*latchward.License, error) {
	return or0(bind(tx.licenseByName, name), bind(tx.Tx.LicenseByName, name))
}

func (tx *alteredTx) Seats(id latchward.LicenseID) (int64, error) {
	return or0(bind(tx.seats, id), bind(tx.Tx.Seats, id))
}

func (tx *alteredTx) SaveLicense(l *latchward.License) error {
	return orTx(tx.saveLicense, tx.Tx.SaveLicense, l)
}

func (tx *alteredTx) DeleteLicense(id latchward.LicenseID) error {
	return orTx(tx.deleteLicense, tx.Tx.DeleteLicense, id)
}

func (tx *alteredTx) Permission(name string) (*latchward.Permission, error) {
	return or0(bind(tx.permission, name), bind(tx.Tx.Permission, name))
}

func (tx *alteredTx) SavePermission(p *latchward.Permission) error {
	return orTx(tx.savePermission, tx.Tx.SavePermission, p)
}

func (tx *alteredTx) DeletePermission(name string) error {
	return orTx(tx.deletePermission, tx.Tx.DeletePermission, name)
}
