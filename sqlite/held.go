package sqlite

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/latchward/latchward"
)

// held is what a user, token or group has in the table of holdings.
type held struct {
	roles    []latchward.RoleID
	groups   []latchward.GroupID
	licenses []latchward.LicenseID
}

// heldBy returns a column that heldColumn reads: what the holder of a type has whose id is an expression.
func heldBy(holderType, id string) string {
	return `(SELECT group_concat(kind || ' ' || held_id) FROM holdings
		WHERE holder_type = '` + holderType + `' AND holder_id = ` + id + `)`
}

// heldColumn reads what heldBy selects into lists, each in the order of its ids.
type heldColumn struct {
	roles    *[]latchward.RoleID
	groups   *[]latchward.GroupID
	licenses *[]latchward.LicenseID
}

// Scan implements sql.Scanner.
func (c heldColumn) Scan(value any) error {
	var h held
	text, ok := value.(string)
	if value != nil && !ok {
		return fmt.Errorf("holdings are kept as %T", value)
	}
	for entry := range strings.SplitSeq(text, ",") {
		if err := h.read(entry); err != nil {
			return err
		}
	}
	slices.Sort(h.roles)
	slices.Sort(h.groups)
	slices.Sort(h.licenses)
	*c.roles = h.roles
	if c.groups != nil {
		*c.groups, *c.licenses = h.groups, h.licenses
	}
	return nil
}

// read adds an entry like "role 1"; "" is none.
func (h *held) read(entry string) error {
	if entry == "" {
		return nil
	}
	kind, number, _ := strings.Cut(entry, " ")
	id, err := strconv.ParseInt(number, 10, 64)
	switch {
	case err != nil:
		return err
	case kind == "role":
		h.roles = append(h.roles, latchward.RoleID(id))
	case kind == "group":
		h.groups = append(h.groups, latchward.GroupID(id))
	case kind == "license":
		h.licenses = append(h.licenses, latchward.LicenseID(id))
	default:
		return fmt.Errorf("a holding is kept as %q", entry)
	}
	return nil
}

// holdable lists what can be held, in the order in which it is checked.
var holdable = []struct {
	kind, field string
	ids         func(h *held) []int64
	known       string // counts those of a list that may be held
}{
	{"role", "roles", func(h *held) []int64 { return idSet(h.roles) },
		`SELECT count(*) FROM roles WHERE id IN (SELECT value FROM json_each(?))`},
	{"group", "groups", func(h *held) []int64 { return idSet(h.groups) },
		`SELECT count(*) FROM groups WHERE id IN (SELECT value FROM json_each(?)) AND removed_at IS NULL`},
	{"license", "licenses", func(h *held) []int64 { return idSet(h.licenses) },
		`SELECT count(*) FROM licenses WHERE id IN (SELECT value FROM json_each(?))`},
}

// idSet returns ids in their order, each once.
func idSet[ID ~int64](ids []ID) []int64 {
	set := make([]int64, len(ids))
	for i, id := range ids {
		set[i] = int64(id)
	}
	slices.Sort(set)
	return slices.Compact(set)
}

// idList returns ids as json_each takes them.
func idList(ids []int64) string {
	text, _ := json.Marshal(ids) // numbers cannot fail
	return string(text)
}

// checkHeld returns an Error of code invalid for what does not exist, or is a removed group.
func (tx *transaction) checkHeld(h *held) error {
	for _, k := range holdable {
		ids := k.ids(h)
		if len(ids) == 0 {
			continue
		}
		known, err := one(tx.ctx, tx, scalar[int], k.known, idList(ids))
		if err != nil {
			return err
		}
		if known != len(ids) {
			return latchward.Invalid(k.field, "There is no such %s.", k.kind)
		}
	}
	return nil
}

const (
	dropHeld = `DELETE FROM holdings WHERE holder_type = ? AND holder_id = ?`
	addHeld  = `INSERT INTO holdings (holder_type, holder_id, kind, held_id) SELECT ?, ?, ?, value FROM json_each(?)`
	// Takes what is held from everybody.
	dropHolders = `DELETE FROM holdings WHERE kind = ? AND held_id = ?`
)

// saveHeld replaces what a holder has.
func (tx *transaction) saveHeld(holderType string, holder int64, h *held) error {
	if err := tx.exec(dropHeld, holderType, holder); err != nil {
		return err
	}
	for _, k := range holdable {
		if ids := k.ids(h); len(ids) > 0 {
			if err := tx.exec(addHeld, holderType, holder, k.kind, idList(ids)); err != nil {
				return err
			}
		}
	}
	return nil
}

// addHolds narrows to holders of a type that hold something; an id of 0 does not narrow.
func (c *conditions) addHolds(idColumn, holderType, kind string, held int64) {
	if held != 0 {
		c.add(idColumn+` IN (SELECT holder_id FROM holdings WHERE kind = '`+kind+`' AND held_id = ?
			AND holder_type = '`+holderType+`')`, held)
	}
}

// addHoldsAll narrows to holders that hold each of three things.
func (c *conditions) addHoldsAll(
	idColumn, holderType string, role latchward.RoleID, group latchward.GroupID, license latchward.LicenseID,
) {
	c.addHolds(idColumn, holderType, "role", int64(role))
	c.addHolds(idColumn, holderType, "group", int64(group))
	c.addHolds(idColumn, holderType, "license", int64(license))
}
