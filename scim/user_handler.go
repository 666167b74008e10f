package scim

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/latchward/latchward"
)

// rounds is how often a change is tried when others change the same record at the same time.
const rounds = 8

func noSuch(d *definition, id string) error {
	return &fault{status: http.StatusNotFound, text: "There is no " + d.name + " " + id + "."}
}

// user returns the user in the path.
func (c *call) user() (*latchward.User, error) {
	id, ok := parseID[latchward.UserID](c.id)
	if !ok {
		return nil, noSuch(users, cut(c.id, 40))
	}
	u, err := c.service.User(c.r.Context(), id)
	if latchward.ErrorCode(err) == latchward.CodeNotFound || err == nil && u.Removed() {
		return nil, noSuch(users, c.id)
	}
	return u, err
}

// mayReadGroups reports whether the caller may know what groups are called.
func mayReadGroups(ctx context.Context) bool {
	p, _ := latchward.PrincipalFrom(ctx)
	return p.May(latchward.PermissionGroupsRead)
}

// titles knows what groups are called, from one reading to the next in one reply.
type titles map[latchward.GroupID]string

// groupsOfUser returns what a user shows of their groups.
func (c *call) groupsOfUser(u *latchward.User, known titles) ([]any, error) {
	list := []any{}
	for _, id := range u.Groups {
		shown := object{"value": idOf(id), "$ref": c.address(groups, idOf(id))}
		if mayReadGroups(c.r.Context()) {
			title, ok := known[id]
			if !ok {
				g, err := c.service.Group(c.r.Context(), id)
				if err != nil && latchward.ErrorCode(err) != latchward.CodeNotFound {
					return nil, err
				}
				if err == nil {
					title = g.DisplayName()
				}
				known[id] = title
			}
			if title != "" {
				shown["display"] = title
			}
		}
		list = append(list, shown)
	}
	return list, nil
}

func (c *call) renderUser(u *latchward.User, p projection, known titles) (object, error) {
	o := renderUser(u, c.address(users, idOf(u.ID)), version(u.Revision()))
	if a := find(users.attributes, "groups"); p.shows(a) && len(u.Groups) > 0 {
		list, err := c.groupsOfUser(u, known)
		if err != nil {
			return nil, err
		}
		o["groups"] = list
	}
	return p.of(users, o), nil
}

// sendUser answers with a user.
func (c *call) sendUser(status int, u *latchward.User) error {
	q := c.r.URL.Query()
	o, err := c.renderUser(u, project(users, q["attributes"], q["excludedAttributes"]), titles{})
	if err != nil {
		return err
	}
	c.w.Header().Set("ETag", version(u.Revision()))
	if status == http.StatusCreated {
		c.w.Header().Set("Location", c.address(users, idOf(u.ID)))
	} else {
		c.w.Header().Set("Content-Location", c.address(users, idOf(u.ID)))
	}
	return write(c.w, status, o)
}

func (c *call) getUser() error {
	u, err := c.user()
	if err != nil {
		return err
	}
	seen, err := tags(c.r, "If-None-Match")
	if err != nil {
		return err
	}
	if slices.Contains(seen, u.Revision()) {
		c.w.Header().Set("ETag", version(u.Revision()))
		c.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return c.sendUser(http.StatusOK, u)
}

func (c *call) createUser() error {
	o, err := readObject(c.w, c.r)
	if err != nil {
		return err
	}
	if err := wantSchema(o, userSchema); err != nil {
		return err
	}
	kept, err := settable(users.attributes, o)
	if err != nil {
		return err
	}
	w, err := wantedOf(kept, nil)
	if err != nil {
		return err
	}
	u, err := c.addUser(&w)
	if err != nil {
		return err
	}
	return c.sendUser(http.StatusCreated, u)
}

// addUser creates a user, or takes for theirs the one who signed in with the same subject before the directory told of
// them: that is the same person, and what the directory ends must end all they have.
func (c *call) addUser(w *wanted) (*latchward.User, error) {
	ctx := c.r.Context()
	if subject := c.Subject.of(w.entry); subject != "" {
		known, err := c.service.UserByExternalID(ctx, subject)
		if err == nil && !known.Removed() && known.Directory == (latchward.DirectoryEntry{}) {
			change, _ := c.Subject.update(known, w)
			change.Revisions = []string{known.Revision()}
			known, err = c.service.UpdateUser(ctx, known.ID, change)
			if errors.Is(err, latchward.ErrChanged) {
				err = errBusy
			}
			return known, err
		}
		if err != nil && latchward.ErrorCode(err) != latchward.CodeNotFound {
			return nil, err
		}
	}
	if err := c.checkFree(w.entry.UserName); err != nil {
		return nil, err
	}
	return c.service.CreateUser(ctx, c.Subject.create(w))
}

// checkFree refuses a user name that somebody goes by whom no directory has made: the store knows of the others.
func (c *call) checkFree(name string) error {
	found, err := c.usersNamed(name)
	if err == nil && len(found) > 0 {
		err = &fault{status: http.StatusConflict, kind: uniqueness, text: "Another user has this userName."}
	}
	return err
}

func (c *call) replaceUser() error {
	o, err := readObject(c.w, c.r)
	if err != nil {
		return err
	}
	if err := wantSchema(o, userSchema); err != nil {
		return err
	}
	return c.changeUser(func(u *latchward.User) (wanted, error) { return replaced(o, u) })
}

func (c *call) patchUser() error {
	o, err := readObject(c.w, c.r)
	if err != nil {
		return err
	}
	list, err := operations(o)
	if err != nil {
		return err
	}
	return c.changeUser(func(u *latchward.User) (wanted, error) { return patched(list, u) })
}

// changeUser changes a user as a whole, from what they are now: who made no condition gets another try when somebody
// else was faster.
func (c *call) changeUser(edit func(u *latchward.User) (wanted, error)) error {
	conditions, err := tags(c.r, "If-Match")
	if err != nil {
		return err
	}
	for range rounds {
		u, err := c.user()
		if err != nil {
			return err
		}
		if conditions != nil && !slices.Contains(conditions, u.Revision()) {
			return errStale
		}
		w, err := edit(u)
		if err != nil {
			return err
		}
		change, changes := c.Subject.update(u, &w)
		if !changes {
			return c.sendUser(http.StatusOK, u)
		}
		change.Revisions = []string{u.Revision()}
		if u, err = c.service.UpdateUser(c.r.Context(), u.ID, change); err == nil {
			return c.sendUser(http.StatusOK, u)
		}
		if conditions != nil || !errors.Is(err, latchward.ErrChanged) {
			return err
		}
	}
	return errBusy
}

var errBusy = latchward.Errorf(latchward.CodeUnavailable, "Others change this at the same time; try again")

// errStale is what is said of a condition that does not hold.
var errStale error = &fault{
	status: http.StatusPreconditionFailed, text: "Somebody has changed it since it was read; read it again.",
}

func (c *call) deleteUser() error {
	if err := c.unconditional(); err != nil {
		return err
	}
	u, err := c.user()
	if err != nil {
		return err
	}
	if err := c.service.RemoveUser(c.r.Context(), u.ID); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// unconditional refuses a condition that nothing would look at.
func (c *call) unconditional() error {
	conditions, err := tags(c.r, "If-Match")
	if err == nil && conditions != nil {
		err = bad(invalidValue, "If-Match is not understood for DELETE; leave it out.")
	}
	return err
}
