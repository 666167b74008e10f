package sqlite

import (
	"context"
	"database/sql"

	"github.com/latchward/latchward"
)

var (
	selectGroups = `SELECT id, name, title, description, active, created_at, updated_at, removed_at,
		directory_id, ` + heldBy("group", "groups.id") + ` FROM groups WHERE `
	groupByID   = selectGroups + `id = ?`
	groupByName = selectGroups + `name = ? AND removed_at IS NULL`
)

const (
	groupNameTaken = `SELECT EXISTS (SELECT 1 FROM groups WHERE name = ? AND id <> ? AND removed_at IS NULL)`
	insertGroup    = `INSERT INTO groups (name, title, description, active, created_at, updated_at, removed_at,
		directory_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`
	updateGroup = `UPDATE groups SET name = ?, title = ?, description = ?, active = ?, created_at = ?, updated_at = ?,
		removed_at = ?, directory_id = ? WHERE id = ?`
)

func scanGroup(rows *sql.Rows) (*latchward.Group, error) {
	var g latchward.Group
	err := rows.Scan(&g.ID, &g.Name, textColumn{&g.Title}, textColumn{&g.Description}, &g.Active,
		timeColumn{&g.CreatedAt}, timeColumn{&g.UpdatedAt}, timeColumn{&g.RemovedAt}, textColumn{&g.DirectoryID}, heldColumn{roles: &g.Roles})
	if err != nil {
		return nil, unreadable("group", err)
	}
	return &g, nil
}

// Group implements [latchward.Store].
func (s *Store) Group(ctx context.Context, id latchward.GroupID) (*latchward.Group, error) {
	g, err := record(ctx, s.reads, "group", scanGroup, groupByID, id)
	return g, s.translate(err)
}

// Groups implements [latchward.Store].
func (s *Store) Groups(ctx context.Context, f latchward.GroupFilter) ([]*latchward.Group, error) {
	text, args := groupsQuery(&f)
	groups, err := collect(ctx, unprepared{s.readers}, scanGroup, text, args...)
	return groups, s.translate(err)
}

func groupsQuery(f *latchward.GroupFilter) (string, []any) {
	c := &conditions{}
	c.begin("id > ?", f.After)
	if !f.IncludeRemoved {
		c.add("removed_at IS NULL")
	}
	if f.Query != "" {
		c.addQuery(f.Query, "name", "title")
	}
	c.addHolds("id", "group", "role", int64(f.Role))
	return selectGroups + c.text.String() + ` ORDER BY id LIMIT ?`, append(c.args, limitOf(f.Limit))
}

// groupFacts returns what is known about a group as an owner.
func (s *Store) groupFacts(ctx context.Context, id int64) (latchward.OwnerFacts, error) {
	g, err := record(ctx, s.reads, "group", scanGroup, groupByID, id)
	if err != nil {
		return latchward.OwnerFacts{}, s.translate(err)
	}
	return latchward.OwnerFacts{Active: g.Active && !g.Removed(), Roles: g.Roles, Name: g.DisplayName()}, nil
}

// Group implements [latchward.Tx].
func (tx *transaction) Group(id latchward.GroupID) (*latchward.Group, error) {
	return record(tx.ctx, tx, "group", scanGroup, groupByID, id)
}

// GroupByName implements [latchward.Tx].
func (tx *transaction) GroupByName(name string) (*latchward.Group, error) {
	return record(tx.ctx, tx, "group", scanGroup, groupByName, name)
}

// SaveGroup implements [latchward.Tx].
func (tx *transaction) SaveGroup(g *latchward.Group) error {
	if !g.Removed() {
		if err := tx.checkName("group", groupNameTaken, g.Name, int64(g.ID)); err != nil {
			return err
		}
	}
	holds := &held{roles: g.Roles}
	if err := tx.checkHeld(holds); err != nil {
		return err
	}
	args := []any{
		g.Name, textOrNull(g.Title), textOrNull(g.Description), g.Active,
		g.CreatedAt.UnixMilli(), g.UpdatedAt.UnixMilli(), millisOrNull(g.RemovedAt),
		textOrNull(g.DirectoryID),
	}
	id, err := tx.save("group", int64(g.ID), insertGroup, updateGroup, args)
	if err != nil {
		return err
	}
	g.ID = latchward.GroupID(id)
	tx.change(latchward.ChangeGroup, decimal(id))
	tx.change(latchward.ChangeOwner, latchward.Owner{Type: latchward.OwnerGroup, ID: id}.String())
	if g.Removed() {
		if err := tx.exec(dropHolders, "group", id); err != nil {
			return err
		}
	}
	return tx.saveHeld("group", id, holds)
}
