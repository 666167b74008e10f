package sqlite

import (
	"context"
	"database/sql"

	"github.com/latchward/latchward"
)

const (
	policyColumns = `name, title, description, group_id, kind, max_lifetime_days, expiry_required, idle_timeout_days,
		max_idle_timeout_days, rate_limit, max_rate_limit, kinds, rotation_days, rotation_required, self_rotation,
		reuse, created_at, updated_at`
	selectPolicies = `SELECT id, ` + policyColumns + ` FROM policies `
	policyByID     = selectPolicies + `WHERE id = ?`
	policyByName   = selectPolicies + `WHERE name = ?`
	allPolicies    = selectPolicies + `ORDER BY id`

	policyNameTaken = `SELECT EXISTS (SELECT 1 FROM policies WHERE name = ? AND id <> ?)`
	insertPolicy    = `INSERT INTO policies (` + policyColumns + `)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	updatePolicy = `UPDATE policies SET (` + policyColumns + `) = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		WHERE id = ?`
)

func scanPolicy(rows *sql.Rows) (*latchward.LifecyclePolicy, error) {
	var p latchward.LifecyclePolicy
	var group, idle sql.NullInt64
	var self sql.NullBool
	r := &p.Rules
	err := rows.Scan(&p.ID, &p.Name, textColumn{&p.Title}, textColumn{&p.Description}, &group,
		textColumn{(*string)(&p.Kind)}, &r.MaxLifetimeDays, &r.ExpiryRequired, &idle, &r.MaxIdleTimeoutDays,
		&r.RateLimit, &r.MaxRateLimit, jsonColumn(&r.Kinds), &r.RotationDays, &r.RotationRequired, &self,
		textColumn{(*string)(&r.Reuse)}, timeColumn{&p.CreatedAt}, timeColumn{&p.UpdatedAt})
	if err != nil {
		return nil, unreadable("policy", err)
	}
	p.Group = latchward.GroupID(group.Int64)
	if idle.Valid {
		days := int(idle.Int64)
		r.IdleTimeoutDays = &days
	}
	if self.Valid {
		r.SelfRotation = &self.Bool
	}
	return &p, nil
}

func policyArgs(p *latchward.LifecyclePolicy) ([]any, error) {
	r := &p.Rules
	kinds, err := listOrNull(r.Kinds)
	var group, idle, self any
	if p.Group != 0 {
		group = int64(p.Group)
	}
	if r.IdleTimeoutDays != nil {
		idle = *r.IdleTimeoutDays
	}
	if r.SelfRotation != nil {
		self = *r.SelfRotation
	}
	return []any{
		p.Name, textOrNull(p.Title), textOrNull(p.Description), group, textOrNull(string(p.Kind)), r.MaxLifetimeDays,
		r.ExpiryRequired, idle, r.MaxIdleTimeoutDays, r.RateLimit, r.MaxRateLimit, kinds, r.RotationDays,
		r.RotationRequired, self, textOrNull(string(r.Reuse)), p.CreatedAt.UnixMilli(), p.UpdatedAt.UnixMilli(),
	}, err
}

// Policy implements [latchward.Store].
func (s *Store) Policy(ctx context.Context, id latchward.PolicyID) (*latchward.LifecyclePolicy, error) {
	p, err := record(ctx, s.reads, "policy", scanPolicy, policyByID, id)
	return p, s.translate(err)
}

// Policies implements [latchward.Store].
func (s *Store) Policies(ctx context.Context) ([]*latchward.LifecyclePolicy, error) {
	policies, err := collect(ctx, s.reads, scanPolicy, allPolicies)
	return policies, s.translate(err)
}

// Policy implements [latchward.Tx].
func (tx *transaction) Policy(id latchward.PolicyID) (*latchward.LifecyclePolicy, error) {
	return record(tx.ctx, tx, "policy", scanPolicy, policyByID, id)
}

// PolicyByName implements [latchward.Tx].
func (tx *transaction) PolicyByName(name string) (*latchward.LifecyclePolicy, error) {
	return record(tx.ctx, tx, "policy", scanPolicy, policyByName, name)
}

// SavePolicy implements [latchward.Tx].
func (tx *transaction) SavePolicy(p *latchward.LifecyclePolicy) error {
	if err := tx.checkName("policy", policyNameTaken, p.Name, int64(p.ID)); err != nil {
		return err
	}
	if p.Group != 0 {
		known, err := one(tx.ctx, tx, scalar[bool], `SELECT EXISTS (SELECT 1 FROM groups WHERE id = ?)`, p.Group)
		if err != nil {
			return err
		}
		if !known {
			return latchward.Invalid("group", "There is no such group.")
		}
	}
	args, err := policyArgs(p)
	if err != nil {
		return err
	}
	id, err := tx.save("policy", int64(p.ID), insertPolicy, updatePolicy, args)
	if err != nil {
		return err
	}
	p.ID = latchward.PolicyID(id)
	tx.change(latchward.ChangePolicy, decimal(id))
	return nil
}

// DeletePolicy implements [latchward.Tx].
func (tx *transaction) DeletePolicy(id latchward.PolicyID) error {
	tx.change(latchward.ChangePolicy, decimal(id))
	return tx.drop("policy", `DELETE FROM policies WHERE id = ?`, id)
}
