package sqlite

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/latchward/latchward"
)

// Tokens implements [latchward.Store].
func (s *Store) Tokens(ctx context.Context, f latchward.TokenFilter) ([]*latchward.Token, error) {
	text, args := tokensQuery(&f)
	tokens, err := collect(ctx, unprepared{s.readers}, scanToken, text, args...)
	return tokens, s.translate(err)
}

// Tokens implements [latchward.Tx].
func (tx *transaction) Tokens(f latchward.TokenFilter) ([]*latchward.Token, error) {
	text, args := tokensQuery(&f)
	return collect(tx.ctx, unpreparedTx{tx}, scanToken, text, args...)
}

// unpreparedTx runs texts in a transaction of which there are too many to prepare each.
type unpreparedTx struct{ tx *transaction }

func (u unpreparedTx) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	if u.tx.broken != nil {
		return nil, u.tx.broken
	}
	return u.tx.store.writer.conn.QueryContext(ctx, text, args...)
}

func (u unpreparedTx) note(err error) { u.tx.note(err) }

// CountTokens implements [latchward.Store].
func (s *Store) CountTokens(ctx context.Context, f latchward.TokenFilter) (int64, error) {
	c := tokenConditions(&f)
	text := `SELECT count(*) FROM api_tokens t WHERE ` + c.text.String()
	count, err := one(ctx, unprepared{s.readers}, scalar[int64], text, c.args...)
	return count, s.translate(err)
}

// conditions are joined by AND. Texts are constants; whatever comes from outside is an argument.
type conditions struct {
	text strings.Builder
	args []any
}

// begin sets the first condition; args may begin with those of what stands before the conditions.
func (c *conditions) begin(condition string, args ...any) {
	c.text.WriteString(condition)
	c.args = args
}

func (c *conditions) add(condition string, args ...any) {
	c.text.WriteString(" AND " + condition)
	c.args = append(c.args, args...)
}

func tokensQuery(f *latchward.TokenFilter) (string, []any) {
	c := tokenConditions(f)
	key, direction, beyond := sortKey(f.Sort), "", ">"
	if f.Desc {
		direction, beyond = " DESC", "<"
	}
	if f.After != nil {
		// The first condition says nothing new; it is what an index on an expression can be asked.
		c.add(key+" "+beyond+"= ? AND ("+key+", t.id) "+beyond+" (?, ?)", cursorValue(f), cursorValue(f), f.After.ID)
	}
	condition, order := c.text.String(), ` ORDER BY `+key+direction+`, t.id`+direction
	limited := order + ` LIMIT ?`
	if f.Sort == latchward.SortLastUsed {
		// No index has this order: sort ids, which are small, and then only what the page holds.
		condition, limited = `t.id IN (SELECT t.id FROM api_tokens t WHERE `+condition+limited+`)`, order
	}
	text := `SELECT ` + tokenColumns + ` FROM ` + tokensWithOwners + ` WHERE ` + condition
	return text + limited, append(c.args, limitOf(f.Limit))
}

// sortKey returns what an order compares first. A time that is not there counts as the zero time, as in cursors.
func sortKey(sort latchward.TokenSort) string {
	switch sort {
	case latchward.SortUpdated:
		return "t.updated_at"
	case latchward.SortLastUsed:
		return "ifnull(t.last_used_at, -62135596800000)"
	case latchward.SortExpires:
		return "ifnull(t.expires_at, -62135596800000)"
	case latchward.SortName:
		return "t.name"
	default:
		return "t.created_at"
	}
}

func cursorValue(f *latchward.TokenFilter) any {
	if f.Sort == latchward.SortName {
		return f.After.Name
	}
	return f.After.Time.UnixMilli()
}

// limitOf returns limit for a LIMIT clause; 0 is none.
func limitOf(limit int) int {
	if limit <= 0 {
		return -1
	}
	return limit
}

func tokenConditions(f *latchward.TokenFilter) *conditions {
	c := &conditions{}
	c.begin("t.deleted_at IS NULL")
	if f.Owners != nil {
		c.addOwners(f.Owners)
	}
	c.addHoldsAll("t.id", "token", f.Role, f.Group, f.License)
	if f.Kind != "" {
		c.add("t.kind = ?", string(f.Kind))
	}
	if f.Status != "" {
		c.addStatus(f.Status, f.Now)
	}
	if f.Query != "" {
		c.addQuery(f.Query, "t.name", "t.description", "t.token_prefix")
	}
	if f.Tag != "" {
		c.add("EXISTS (SELECT 1 FROM json_each(t.tags) WHERE value = ?)", f.Tag)
	}
	if !f.UnusedSince.IsZero() {
		c.add("t.idle_since < ?", f.UnusedSince.UnixMilli())
	}
	if !f.ExpiresBefore.IsZero() {
		c.add("t.expires_at < ?", f.ExpiresBefore.UnixMilli())
	}
	c.addLife(f)
	if f.ServerKey != 0 {
		c.addServerKey(f.ServerKey, f.Now)
	}
	return c
}

// addLife narrows by what has become of tokens, and by who made them.
func (c *conditions) addLife(f *latchward.TokenFilter) {
	if f.NeverUsed {
		c.add("t.last_used_at IS NULL")
	}
	if !f.IdleBefore.IsZero() {
		c.add("t.idle_at < ?", f.IdleBefore.UnixMilli())
	}
	if !f.RotationDue.IsZero() {
		c.add("t.rotation_due_at < ?", f.RotationDue.UnixMilli())
	}
	if !f.CreatedBefore.IsZero() {
		c.add("t.created_at < ?", f.CreatedBefore.UnixMilli())
	}
	if f.CreatedBy != "" {
		c.add("t.created_by = ?", f.CreatedBy)
	}
	if f.RevokeReason != "" {
		c.add("t.revoke_reason = ?", string(f.RevokeReason))
	}
}

// addServerKey finds tokens by the first character of key ids, whose order is that of the versions it stands for.
func (c *conditions) addServerKey(version int, now time.Time) {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz{"
	if version < 1 || version >= len(digits)-1 {
		c.add("0")
		return
	}
	from, to := digits[version:version+1], digits[version+1:version+2]
	// The + keeps SQLite from collecting and sorting all of them for each page: it walks the order of the list instead.
	c.add(`t.revoked_at IS NULL AND (+t.key_id >= ? AND +t.key_id < ? OR +t.id IN
		(SELECT token_id FROM api_token_secrets WHERE key_id >= ? AND key_id < ? AND ends_at > ?))`,
		from, to, from, to, now.UnixMilli())
}

// addOwners narrows to tokens of any of the owners. One owner alone has an index in the order of lists.
func (c *conditions) addOwners(owners []latchward.Owner) {
	users, groups := ownerIDs(owners)
	switch {
	case len(users) == 1 && len(groups) == 0:
		c.add("t.user_id = ?", users[0])
	case len(users) == 0 && len(groups) == 1:
		c.add("t.group_id = ?", groups[0])
	default:
		c.add(`(t.user_id IN (SELECT value FROM json_each(?)) OR t.group_id IN (SELECT value FROM json_each(?)))`,
			idList(users), idList(groups))
	}
}

// ownerIDs returns the ids by which tokens name owners.
func ownerIDs(owners []latchward.Owner) (users, groups []int64) {
	for _, owner := range owners {
		switch owner.Type {
		case latchward.OwnerUser:
			users = append(users, owner.ID)
		case latchward.OwnerGroup:
			groups = append(groups, owner.ID)
		}
	}
	return idSet(users), idSet(groups)
}

// addStatus says in SQL what Token.Status says in Go.
func (c *conditions) addStatus(status latchward.Status, now time.Time) {
	const (
		inactive = "(t.active = 0 OR ifnull(t.idle_at < ?, 0))"
		expired  = "ifnull(t.expires_at <= ?, 0)"
	)
	at := now.UnixMilli()
	switch status {
	case latchward.StatusRevoked:
		c.add("t.revoked_at IS NOT NULL")
	case latchward.StatusInactive:
		c.add("t.revoked_at IS NULL AND "+inactive, at)
	case latchward.StatusExpired:
		c.add("t.revoked_at IS NULL AND NOT "+inactive+" AND "+expired, at, at)
	case latchward.StatusActive:
		c.add("t.revoked_at IS NULL AND NOT "+inactive+" AND NOT "+expired, at, at)
	default:
		c.add("0")
	}
}

// addQuery finds query in any of the columns. SQLite's lower knows ASCII letters only, and here so do we; instr takes
// every character as it is, which LIKE does not.
func (c *conditions) addQuery(query string, columns ...string) {
	query = lowerASCII(query)
	var text strings.Builder
	for i, column := range columns {
		if i > 0 {
			text.WriteString(" OR ")
		}
		text.WriteString("instr(lower(" + column + "), ?) > 0")
		c.args = append(c.args, query)
	}
	c.add("(" + text.String() + ")")
}

func lowerASCII(text string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r - 'A' + 'a'
		}
		return r
	}, text)
}
