package scim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"

	"github.com/latchward/latchward"
)

// viewGroup gives the attributes of a group; members is asked only when a filter wants them.
func viewGroup(g *latchward.Group, members func() []latchward.UserID) view {
	return func(name string) any {
		switch name {
		case "id":
			return idOf(g.ID)
		case "externalId":
			return orNil(g.DirectoryID)
		case "displayName":
			return g.DisplayName()
		case "meta":
			return moments(g.CreatedAt, g.UpdatedAt)
		case "members":
			return membersOf(members(), "")
		}
		return nil
	}
}

// membersOf returns what a group shows of its members, below the URL of SCIM.
func membersOf(ids []latchward.UserID, base string) []any {
	list := make([]any, len(ids))
	for i, id := range ids {
		list[i] = object{"value": idOf(id), "type": users.name, "$ref": base + users.endpoint + "/" + idOf(id)}
	}
	return list
}

// maxSlug leaves room for what makes a name unique.
const maxSlug = latchward.MaxIdentifierLength - 9

// namesFor returns identifiers to try for a group with that title, which no other group has: the first is the plainest,
// the last is nobody else's.
func namesFor(title string) []string {
	digest := sha256.Sum256([]byte(strings.ToLower(title)))
	last := "-" + hex.EncodeToString(digest[:4])
	slug := slugOf(title)
	if slug == "" {
		return []string{"group" + last}
	}
	names := []string{slug}
	for n := 2; n < 10; n++ {
		names = append(names, fmt.Sprintf("%s-%d", slug, n))
	}
	return append(names, slug+last)
}

// slugOf returns the letters and digits of ASCII in a title, with - between its words; "" when it has none.
func slugOf(title string) string {
	var slug strings.Builder
	for _, c := range strings.ToLower(title) {
		if slug.Len() == maxSlug {
			break
		}
		switch {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			slug.WriteRune(c)
		case unicode.IsLetter(c) || slug.Len() == 0 || strings.HasSuffix(slug.String(), "-"):
		default:
			slug.WriteByte('-')
		}
	}
	return strings.Trim(slug.String(), "-")
}

// groupWanted is what a directory wants a group to be; nil leaves things as they are.
type groupWanted struct {
	title    *string
	id       *string
	members  *[]latchward.UserID // all of them, before join and leave
	join     []latchward.UserID
	leave    []latchward.UserID
	relative map[latchward.UserID]bool // who joins (true) or leaves (false), the last word on each
}

// wantedGroup reads a whole resource. Members who are not told of stay: whoever wants none says so with an empty list
// (RFC 7644 §3.5.1 lets the server choose).
func wantedGroup(o object) (*groupWanted, error) {
	kept, err := settable(groups.attributes, o)
	if err != nil {
		return nil, err
	}
	title, id := trimmed(kept["displayName"]), trimmed(kept["externalId"])
	if title == "" {
		return nil, bad(invalidValue, "displayName must not be empty.")
	}
	w := &groupWanted{title: &title, id: &id}
	if list, ok := kept["members"].([]any); ok {
		ids, err := membersIn(list)
		if err != nil {
			return nil, err
		}
		w.members = &ids
	}
	return w, nil
}

// membersIn returns the ids of users that a list of members names.
func membersIn(list []any) ([]latchward.UserID, error) {
	if len(list) > latchward.MaxMemberChanges {
		return nil, bad(tooMany, "A request names at most %d members.", latchward.MaxMemberChanges)
	}
	ids := make([]latchward.UserID, 0, len(list))
	for _, one := range list {
		o, _ := one.(object)
		if kind, _ := o["type"].(string); kind != "" && !strings.EqualFold(kind, users.name) {
			return nil, bad(invalidValue, "Members are users; groups in groups are not kept.")
		}
		id, ok := parseID[latchward.UserID](trimmed(o["value"]))
		if !ok {
			return nil, bad(invalidValue, "There is no user %q.", cut(trimmed(o["value"]), 40))
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// patchedGroup returns what operations make of a group; members is asked only when a path chooses among them.
func patchedGroup(
	list []operation, g *latchward.Group, members func() ([]latchward.UserID, error),
) (*groupWanted, error) {
	w := &groupWanted{relative: map[latchward.UserID]bool{}}
	o := object{"displayName": g.DisplayName()}
	if g.DirectoryID != "" {
		o["externalId"] = g.DirectoryID
	}
	for i := range list {
		err := list[i].each(groups, func(op string, at path, value any) error {
			if at.attribute.name == "members" {
				return w.changeMembers(op, at, value, members)
			}
			return change(o, op, at, value)
		})
		if err != nil {
			return nil, err
		}
	}
	title, id := trimmed(o["displayName"]), trimmed(o["externalId"])
	if title == "" {
		return nil, bad(invalidValue, "displayName must not be empty.")
	}
	w.title, w.id = &title, &id
	for id, joins := range w.relative {
		if joins {
			w.join = append(w.join, id)
		} else {
			w.leave = append(w.leave, id)
		}
	}
	if max(len(w.join), len(w.leave)) > latchward.MaxMemberChanges {
		return nil, bad(tooMany, "A request names at most %d members.", latchward.MaxMemberChanges)
	}
	return w, nil
}

// changeMembers notes what an operation does to members, without reading those that it does not name.
func (w *groupWanted) changeMembers(
	op string, at path, value any, members func() ([]latchward.UserID, error),
) error {
	if at.sub != nil {
		return bad(mutability, "What is said of a member cannot be changed; add and remove members.")
	}
	switch {
	case at.chosen != nil && op == "remove":
		ids, err := w.chosen(at.chosen, members)
		w.note(ids, false)
		return err
	case at.chosen != nil:
		return bad(invalidPath, "Members are chosen to be removed only.")
	case op == "remove" && value == nil, op == "replace" && value == nil:
		w.reset([]latchward.UserID{})
		return nil
	}
	taken, err := at.attribute.take(value)
	if err != nil {
		return err
	}
	ids, err := membersIn(listOf(taken))
	switch {
	case err != nil:
		return err
	case op == "replace":
		w.reset(ids)
	default:
		w.note(ids, op == "add")
	}
	return nil
}

func (w *groupWanted) reset(ids []latchward.UserID) {
	w.members = &ids
	clear(w.relative)
}

func (w *groupWanted) note(ids []latchward.UserID, joins bool) {
	for _, id := range ids {
		w.relative[id] = joins
	}
}

// chosen returns the members whom a filter chooses: nearly always one, by their id.
func (w *groupWanted) chosen(f filter, members func() ([]latchward.UserID, error)) ([]latchward.UserID, error) {
	if text, ok := pinned(f, "value", ""); ok {
		id, valid := parseID[latchward.UserID](text)
		if !valid {
			return nil, nil
		}
		return choose(f, []latchward.UserID{id}), nil
	}
	all, err := members()
	if err != nil {
		return nil, err
	}
	if w.members != nil {
		all = *w.members
	}
	for id, joins := range w.relative {
		if joins {
			all = append(all[:len(all):len(all)], id)
		}
	}
	return choose(f, all), nil
}

// choose returns those members whom a filter chooses.
func choose(f filter, from []latchward.UserID) []latchward.UserID {
	var ids []latchward.UserID
	for i, one := range membersOf(from, "") {
		if f.matches(viewOf(one.(object))) {
			ids = append(ids, from[i])
		}
	}
	return ids
}

// update returns what has to change for a group to be as wanted, and whether anything may have to.
func (w *groupWanted) update(g *latchward.Group) (u latchward.GroupUpdate, changes bool) {
	if w.title != nil && *w.title != g.DisplayName() {
		u.Title = w.title
	}
	if w.id != nil && *w.id != g.DirectoryID {
		u.DirectoryID = w.id
	}
	u.Members, u.Join, u.Leave = w.members, w.join, w.leave
	return u, u.Title != nil || u.DirectoryID != nil || u.Members != nil || len(u.Join)+len(u.Leave) > 0
}
