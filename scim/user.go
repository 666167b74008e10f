package scim

import (
	"strconv"
	"strings"
	"time"

	"github.com/latchward/latchward"
)

// Subject says what of a directory's entry is the sub by which people sign in.
type Subject string

// The subjects.
const (
	SubjectExternalID Subject = "external_id" // externalId: in Okta the id of the user, as in the sub of its tokens
	SubjectUserName   Subject = "user_name"
	SubjectNone       Subject = "none" // people are not recognised by what the directory says
)

func (s Subject) of(d latchward.DirectoryEntry) string {
	switch s {
	case SubjectExternalID:
		return d.ID
	case SubjectUserName:
		return d.UserName
	}
	return ""
}

// userName returns what directories find a user by: what one of them called the user, or what stands in for that of
// somebody whom no directory has made, so that it can recognise them.
func userName(u *latchward.User) string {
	for _, name := range []string{u.Directory.UserName, u.Email, u.ExternalID} {
		if name != "" {
			return name
		}
	}
	return "user-" + idOf(u.ID)
}

func idOf[ID ~int64](id ID) string { return strconv.FormatInt(int64(id), 10) }

// parseID reads an id in a path or filter; false for what no record has.
func parseID[ID ~int64](text string) (ID, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return ID(n), err == nil && n > 0 && strconv.FormatInt(n, 10) == text
}

// viewUser gives the attributes of a user but for groups.
func viewUser(u *latchward.User) view {
	return func(name string) any {
		switch name {
		case "id":
			return idOf(u.ID)
		case "externalId":
			return orNil(u.Directory.ID)
		case "userName":
			return userName(u)
		case "displayName":
			return orNil(u.Name)
		case "name":
			return nameOf(u)
		case "emails":
			return emailsOf(u)
		case "active":
			return u.Active
		case "meta":
			return moments(u.CreatedAt, u.UpdatedAt)
		case "groups":
			return groupsOf(u.Groups)
		}
		return nil
	}
}

// orNil returns a text, or nil for none.
func orNil(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func nameOf(u *latchward.User) any {
	o := object{}
	for part, text := range map[string]string{
		"formatted": u.Name, "givenName": u.Directory.GivenName, "familyName": u.Directory.FamilyName,
	} {
		if text != "" {
			o[part] = text
		}
	}
	if len(o) == 0 {
		return nil
	}
	return o
}

func emailsOf(u *latchward.User) any {
	if u.Email == "" {
		return nil
	}
	return []any{object{"value": u.Email, "type": "work", "primary": true}}
}

func groupsOf(ids []latchward.GroupID) any {
	list := make([]any, len(ids))
	for i, id := range ids {
		list[i] = object{"value": idOf(id)}
	}
	return list
}

func moments(created, changed time.Time) object {
	return object{"created": created.UTC(), "lastModified": changed.UTC()}
}

// renderUser returns the resource of a user, whom callers find at an address, less what is none.
func renderUser(u *latchward.User, address, version string) object {
	o, v := object{}, viewUser(u)
	for _, a := range users.attributes {
		if value := v(a.name); !empty(value) && a.name != "groups" {
			o[a.name] = value
		}
	}
	o["schemas"] = []any{userSchema}
	o["meta"] = metaOf(users, u.CreatedAt, u.UpdatedAt, address, version)
	return o
}

func metaOf(d *definition, created, changed time.Time, address, version string) object {
	const layout = "2006-01-02T15:04:05.000Z"
	return object{
		"resourceType": d.name, "location": address, "version": version,
		"created": created.UTC().Format(layout), "lastModified": changed.UTC().Format(layout),
	}
}

// wanted is what a directory wants a user to be.
type wanted struct {
	entry  latchward.DirectoryEntry
	email  string
	name   string
	active *bool // nil = as it is
}

// wantedOf reads a resource whose members are as the schema has them. before is the user as they are, nil for a new
// one: of the two texts for a name that which has changed counts, and a name that was made of its parts follows them.
func wantedOf(o object, before *latchward.User) (wanted, error) {
	w := wanted{email: chooseEmail(listOf(o["emails"]))}
	w.entry.UserName, w.entry.ID = trimmed(o["userName"]), trimmed(o["externalId"])
	if w.entry.UserName == "" {
		return w, bad(invalidValue, "userName must not be empty.")
	}
	parts, _ := o["name"].(object)
	w.entry.GivenName, w.entry.FamilyName = trimmed(parts["givenName"]), trimmed(parts["familyName"])
	if active, ok := o["active"].(bool); ok {
		w.active = &active
	}
	was := &latchward.User{}
	if before != nil {
		was = before
	}
	shown, formatted := trimmed(o["displayName"]), trimmed(parts["formatted"])
	made := strings.TrimSpace(w.entry.GivenName + " " + w.entry.FamilyName)
	wasMade := strings.TrimSpace(was.Directory.GivenName + " " + was.Directory.FamilyName)
	switch {
	case shown != "" && shown != was.Name:
		w.name = shown
	case formatted != "" && formatted != was.Name:
		w.name = formatted
	case was.Name == wasMade || shown == "" && formatted == "":
		w.name = made
	default:
		w.name = was.Name
	}
	return w, nil
}

func trimmed(value any) string {
	text, _ := value.(string)
	return strings.TrimSpace(text)
}

// chooseEmail returns the address that is kept of several.
func chooseEmail(list []any) string {
	best, rank := "", 0
	for _, one := range list {
		o, _ := one.(object)
		address, is := trimmed(o["value"]), 1
		if kind, _ := o["type"].(string); strings.EqualFold(kind, "work") {
			is = 2
		}
		if o["primary"] == true {
			is = 3
		}
		if address != "" && is > rank {
			best, rank = address, is
		}
	}
	return best
}

// update returns what has to change for a user to be as wanted, and whether anything has. The sub by which they sign in
// follows the directory's word only where it was taken from there.
func (s Subject) update(u *latchward.User, w *wanted) (c latchward.UserUpdate, changes bool) {
	if w.email != u.Email {
		c.Email = &w.email
	}
	if w.name != u.Name {
		c.Name = &w.name
	}
	if w.entry != u.Directory {
		c.Directory = &w.entry
	}
	if w.active != nil && *w.active != u.Active {
		c.Active = w.active
	}
	before, after := s.of(u.Directory), s.of(w.entry)
	if after != before && u.ExternalID == before {
		c.ExternalID = &after
	}
	return c, c.Email != nil || c.Name != nil || c.Directory != nil || c.Active != nil || c.ExternalID != nil
}

// create returns the new user that is wanted.
func (s Subject) create(w *wanted) latchward.NewUser {
	return latchward.NewUser{
		ExternalID: s.of(w.entry), Email: w.email, Name: w.name, Directory: w.entry, Disabled: w.active != nil && !*w.active,
	}
}

// replaced returns the resource that a PUT asks for: what it leaves out is cleared, except that nobody is enabled or
// disabled without saying so, which would be left to chance (RFC 7644 §3.5.1 lets the server choose).
func replaced(o object, u *latchward.User) (wanted, error) {
	kept, err := settable(users.attributes, o)
	if err != nil {
		return wanted{}, err
	}
	return wantedOf(kept, u)
}

// patched returns what operations make of a user, all of them or none.
func patched(operations []operation, u *latchward.User) (wanted, error) {
	o, v := object{}, viewUser(u)
	for _, name := range []string{"externalId", "userName", "displayName", "name", "emails", "active"} {
		if value := v(name); value != nil {
			o[name] = value
		}
	}
	for i := range operations {
		err := operations[i].each(users, func(op string, at path, value any) error { return change(o, op, at, value) })
		if err != nil {
			return wanted{}, err
		}
	}
	w, err := wantedOf(o, u)
	if u.Directory.UserName == "" && w.entry.UserName == userName(u) {
		w.entry.UserName = "" // what stood in for it was left as it was
	}
	return w, err
}

// afterPrefix returns what follows a prefix, in any case, or "".
func afterPrefix(text, prefix string) string {
	if len(text) > len(prefix) && strings.EqualFold(text[:len(prefix)], prefix) {
		return text[len(prefix):]
	}
	return ""
}
