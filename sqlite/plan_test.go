package sqlite

import (
	"database/sql"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
)

// plan returns how SQLite would run a statement, one step a line.
func plan(t *testing.T, s *Store, text string) string {
	t.Helper()
	steps, err := collect(t.Context(), unprepared{s.readers}, func(rows *sql.Rows) (detail string, err error) {
		var id, parent, unused int
		return detail, rows.Scan(&id, &parent, &unused, &detail)
	}, "EXPLAIN QUERY PLAN "+text, make([]any, strings.Count(text, "?"))...)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return strings.Join(steps, "\n")
}

// What grows with tokens or with requests is read by index and by range, never as a whole.
func TestPlans(t *testing.T) {
	s := open(t, newPath(t), Options{})
	events := func(q latchward.UsageEventQuery) string { text, _ := eventsQuery(&q); return text }
	audit := func(f latchward.AuditFilter) string { text, _ := auditQuery(&f); return text }
	users := func(f latchward.UserFilter) string { text, _ := usersQuery(&f); return text }
	groups := func(f latchward.GroupFilter) string { text, _ := groupsQuery(&f); return text }
	tokens := func(f latchward.TokenFilter) string { text, _ := tokensQuery(&f); return text }
	team := latchward.Owner{Type: latchward.OwnerGroup, ID: 1}
	now, owners := time.Now(), []latchward.Owner{{Type: latchward.OwnerUser, ID: 1}}
	for _, c := range []struct{ what, text, want, never string }{
		{"token by key id", tokenByKeyID, "SEARCH t USING INDEX sqlite_autoindex_api_tokens_2 (key_id=?)\n" +
			"SEARCH u USING INTEGER PRIMARY KEY", "SCAN"},
		{"retired secret", retiredSecret, "SEARCH api_token_secrets USING PRIMARY KEY (key_id=?)", "SCAN"},
		{"token by id", tokenByID, "SEARCH t USING INTEGER PRIMARY KEY", "SCAN"},
		{"tokens of a user", tokensOfUser, "SEARCH t USING INDEX api_tokens_user (user_id=?)", "SCAN"},
		{"key ids of a token", keyIDsOfToken, "api_token_secrets_token (token_id=?)", "SCAN api_token"},
		{"key id taken", keyIDTaken, "SEARCH s USING PRIMARY KEY (key_id=?)", "SCAN api_token"},
		{"key id elsewhere", keyIDElsewhere, "api_token_secrets", "SCAN api_token"},
		{"tokens of a group", tokensOfGroup, "SEARCH t USING INDEX api_tokens_group (group_id=?)", "SCAN"},
		{"group of a token", tokenByKeyID, "SEARCH g USING INTEGER PRIMARY KEY", "SCAN"},
		{"what a token has", tokenByKeyID, "SEARCH holdings USING PRIMARY KEY (holder_type=? AND holder_id=?)", "SCAN"},
		{"what a user has", userByID, "SEARCH holdings USING PRIMARY KEY (holder_type=? AND holder_id=?)", "SCAN"},
		{"what a group has", groupByID, "SEARCH holdings USING PRIMARY KEY (holder_type=? AND holder_id=?)", "SCAN"},
		{"who has it", dropHolders, "SEARCH holdings USING COVERING INDEX holdings_held (kind=? AND held_id=?)", "SCAN"},
		{"seats of a license", seatsOfLicense, "INDEX holdings_held (kind=? AND held_id=?)", "SCAN"},
		{"seats", allSeats, "INDEX holdings_held (kind=?)", "SCAN"},
		{"users with a role", users(latchward.UserFilter{Role: 1}),
			"SEARCH users USING INTEGER PRIMARY KEY (rowid=?)", "TEMP"},
		{"groups with a role", groups(latchward.GroupFilter{Role: 1}), "SEARCH groups USING INTEGER PRIMARY KEY", "TEMP"},
		{"tokens with a role", tokens(latchward.TokenFilter{Role: 1}),
			"SEARCH t USING INTEGER PRIMARY KEY (rowid=?)", "SCAN t"},
		{"members of a group", tokens(latchward.TokenFilter{Group: 1}),
			"SEARCH holdings USING COVERING INDEX holdings_held (kind=? AND held_id=? AND holder_type=?)", "SCAN t"},
		{"tokens of owners", tokens(latchward.TokenFilter{Owners: []latchward.Owner{owners[0], team}}),
			"SEARCH t USING INDEX api_tokens_group (group_id=?)", "SCAN t"},
		{"role by name", roleByName, "USING INDEX", "SCAN"},
		{"group by name", groupByName, "USING INDEX groups_name (name=?)", "SCAN"},
		{"license by name", licenseByName, "USING INDEX", "SCAN"},
		{"user by external id", userByExternalID, "USING INDEX", "SCAN"},
		{"user by e-mail", userByEmail, "USING INDEX users_email", "SCAN"},
		{"user by user name", users(latchward.UserFilter{UserName: "x"}), "USING INDEX users_user_name (user_name=?", "SCAN"},
		{"taken user name", userByUserName, "USING INDEX users_user_name (user_name=?", "SCAN"},
		{"user by the directory's id", users(latchward.UserFilter{DirectoryID: "x"}),
			"USING INDEX users_directory_id (directory_id=?", "SCAN"},
		{"ids of members", membersOfGroup,
			"SEARCH holdings USING COVERING INDEX holdings_held (kind=? AND held_id=? AND holder_type=?)", "TEMP"},
		{"events of a token", events(latchward.UsageEventQuery{Token: 1, From: now}),
			"SEARCH e USING INDEX api_token_usage_token (token_id=? AND created_at>?)", "TEMP B-TREE"},
		{"events of all", events(latchward.UsageEventQuery{}),
			"SEARCH e USING INDEX api_token_usage_created (created_at>?)", "TEMP B-TREE"},
		{"totals", totalsOfBucket, "SEARCH usage_totals USING INTEGER PRIMARY KEY (rowid=?)", "SCAN"},
		{"last use", moveLastUsed, "SEARCH api_tokens USING INTEGER PRIMARY KEY (rowid=?)", "SCAN api_tokens"},
		{"names", tokenNames, "SEARCH t USING INTEGER PRIMARY KEY (rowid=?)", "SCAN t"},
		{"owners", tokensOfOwners, "USING COVERING INDEX usage_subject_group (group_id=?)", "SCAN api_tokens"},
		{"cells of a bucket", cellsOfBucket, "SEARCH usage_cells USING INDEX sqlite_autoindex_usage_cells_1 (bucket=? AND hour=?)",
			"SCAN"},
		{"hours of a bucket", bucketOverHours,
			"SEARCH usage_cells USING INDEX sqlite_autoindex_usage_cells_1 (bucket=? AND hour>? AND hour<?)", "SCAN"},
		{"hours of all", tokensOverHours, "SEARCH usage_cells USING INDEX usage_cells_hour (hour>? AND hour<?)", "SCAN"},
		{"old cells", oldCells, "SEARCH usage_cells USING INDEX usage_cells_hour (hour<?)", "TEMP"},
		{"old shared cells", oldSharedCells,
			"SEARCH usage_cells USING INDEX sqlite_autoindex_usage_cells_1 (bucket=? AND hour<?)", "TEMP"},
		{"audit", audit(latchward.AuditFilter{}), "SCAN audit_entries", "TEMP B-TREE"}, // by id, until the page is full
		{"audit before", audit(latchward.AuditFilter{Before: 9}),
			"SEARCH audit_entries USING INTEGER PRIMARY KEY (rowid<?)", "TEMP"},
		{"audit of a target", audit(latchward.AuditFilter{TargetType: "token", TargetID: 1, Before: 9}),
			"SEARCH audit_entries USING INDEX audit_entries_target (target_type=? AND target_id=?", "TEMP"},
		{"audit of an actor", audit(latchward.AuditFilter{ActorType: "user", ActorID: 1, After: 9, Oldest: true}),
			"SEARCH audit_entries USING INDEX audit_entries_actor (actor_type=? AND actor_id=? AND rowid>?)", "TEMP"},
		{"audit after", audit(latchward.AuditFilter{From: now, After: 9, Oldest: true}),
			"SEARCH audit_entries USING INTEGER PRIMARY KEY (rowid>?)", "TEMP"},
		{"head of the audit log", auditHead, "SCAN audit_entries", "TEMP"}, // by id, of one row
		{"erase an actor", eraseActor, "INDEX audit_entries_actor (actor_type=? AND actor_id=?)", "SCAN"},
		{"erase a target", eraseTarget(), "INDEX audit_entries_target (target_type=? AND target_id=?)", "SCAN"},
		{"audit by action", audit(latchward.AuditFilter{Action: "x"}), "USING INDEX audit_entries_action (action=?", "TEMP"},
		{"deleted tokens", nextDeleted, "INDEX api_tokens_deleted", "SCAN"},
		{"usage of a deleted token", forgetEvents, "api_token_usage_token (token_id=?)", "SCAN api_token_usage"},
	} {
		got := plan(t, s, c.text)
		if !strings.Contains(got, c.want) || strings.Contains(got, c.never) {
			t.Errorf("%s:\n%s\nwant\n%s\nand never %s", c.what, got, c.want, c.never)
		}
	}
}

// PruneUsage finds what is to go without looking at what stays.
func TestPlansOfPruning(t *testing.T) {
	s := open(t, newPath(t), Options{})
	for _, p := range pruned {
		got := plan(t, s, p.text)
		isSmall := strings.Contains(p.text, "usage_endpoint") // thousands of rows at most
		if !isSmall && (strings.Contains(got, "SCAN") || strings.Contains(got, "TEMP")) {
			t.Errorf("%s:\n%s", p.text, got)
		}
	}
}

// Lists are read in their order: a page costs what it holds, except by last use.
func TestPlansOfLists(t *testing.T) {
	s := open(t, newPath(t), Options{})
	for _, sort := range slices.Concat(latchward.TokenSorts(), []latchward.TokenSort{""}) {
		for _, desc := range []bool{false, true} {
			for _, after := range []*latchward.TokenCursor{nil, {ID: 1}} {
				f := latchward.TokenFilter{Sort: sort, Desc: desc, After: after, Limit: 10, Status: latchward.StatusActive}
				text, _ := tokensQuery(&f)
				got := plan(t, s, text)
				if sorted := strings.Contains(got, "TEMP B-TREE"); sorted != (sort == latchward.SortLastUsed) {
					t.Errorf("order %q, descending %v, from %v:\n%s", sort, desc, after, got)
				}
				if seeks := strings.Contains(got, "SEARCH t"); after != nil && !seeks && sort != latchward.SortLastUsed {
					t.Errorf("order %q, descending %v, does not seek its cursor:\n%s", sort, desc, got)
				}
			}
		}
	}
	for owner, index := range map[latchward.OwnerType]string{
		latchward.OwnerUser: "api_tokens_user (user_id=?)", latchward.OwnerGroup: "api_tokens_group (group_id=?)",
	} {
		text, _ := tokensQuery(&latchward.TokenFilter{Owners: []latchward.Owner{{Type: owner, ID: 1}}})
		if got := plan(t, s, text); !strings.Contains(got, "SEARCH t USING INDEX "+index) ||
			strings.Contains(got, "TEMP B-TREE") {
			t.Errorf("tokens of one %s:\n%s", owner, got)
		}
	}
}
