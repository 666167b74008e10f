package latchtest

import (
	"fmt"
	"strings"

	"github.com/latchward/latchward"
)

const recordNeverReused = "Ids must never be used again."

func deletePromises[R any, ID ~int64](k recordKind[R, ID]) []storePromise {
	lower, drop := strings.ToLower(k.name), "Tx.Delete"+k.name
	deletes := fmt.Sprintf("Delete%s makes the %s disappear, also from everybody who has it.", k.name, lower)
	return append(k.deletes(deletes), storePromise{drop + "/TakesItFromEverybody", deletes, k.dropTakes})
}

// deletes are promises about deleting whatever nobody has.
func (k recordKind[R, ID]) deletes(sentence string) []storePromise {
	drop := "Tx.Delete" + k.name
	return []storePromise{
		{"Tx.Save" + k.name + "/NeverReusesIDs", recordNeverReused, k.saveNeverReuses},
		{drop + "/MakesItDisappear", sentence, k.dropDisappears},
		{drop + "/LeavesOthersAlone", sentence, k.dropSparesOthers},
		{drop + "/NamesIt", k.names, k.dropNames},
		{drop + "/UnknownIsNotFound", notFound, k.dropOfNothing},
	}
}

func (k recordKind[R, ID]) saveSetsIDs(t *trial) {
	first, second := k.id(k.one(t)), k.id(k.one(t))
	if first == second {
		t.Errorf("Save%s set the id %d twice", k.name, first)
	}
}

func (k recordKind[R, ID]) saveReplaces(t *trial) {
	r, other := k.save(t, k.bare("first")), k.one(t)
	whole, bare := k.whole(t, "second"), k.bare("third")
	for _, replacement := range []*R{whole, bare, bare} { // the last: its own name is no conflict
		id, _ := k.fields(replacement)
		*id = k.id(r)
		k.save(t, replacement)
		t.same("after every field was replaced", k.stored(t, k.id(r)), replacement)
	}
	t.same("another one", k.stored(t, k.id(other)), other)
}

// saveError returns the error of a transaction that saves a copy of r.
func (k recordKind[R, ID]) saveError(t *trial, r *R) error {
	_, err := t.store.Tx(t.ctx, func(tx latchward.Tx) error {
		saved := *r
		return k.inTx(tx).save(&saved)
	})
	return err
}

func (k recordKind[R, ID]) saveOfNothing(t *trial) {
	unknown := k.whole(t, t.recordName())
	id, _ := k.fields(unknown)
	*id = k.id(k.one(t)) + 1000
	t.code("Save"+k.name+" with an unknown id", k.saveError(t, unknown), latchward.CodeNotFound)
}

func (k recordKind[R, ID]) saveRefusesName(t *trial) {
	first, other := k.save(t, k.whole(t, "taken")), k.save(t, k.whole(t, "free"))
	changed := *other
	_, name := k.fields(&changed)
	*name = "taken"
	for what, r := range map[string]*R{"a new one": k.bare("taken"), "a changed one": &changed} {
		err := k.saveError(t, r)
		t.code(what+" with the name of another", err, latchward.CodeConflict)
		if field := latchward.ErrorField(err); field != "name" {
			t.Errorf("%s with the name of another: the error names the field %q", what, field)
		}
	}
	t.same("the one with that name", k.stored(t, k.id(first)), first)
	t.same("the one that was not changed", k.stored(t, k.id(other)), other)
	k.save(t, k.bare("Taken")) // names are compared as they are
}

func (k recordKind[R, ID]) saveNames(t *trial) {
	var r R
	fresh := k.whole(t, "new")
	commit := t.tx(func(tx latchward.Tx) error {
		r = *fresh
		return k.inTx(tx).save(&r)
	})
	t.names("saving a new one", commit, k.change, fmt.Sprint(k.id(&r)))
	commit = t.tx(func(tx latchward.Tx) error { saved := r; return k.inTx(tx).save(&saved) })
	t.names("saving it again", commit, k.change, fmt.Sprint(k.id(&r)))
}

// deleteOne deletes a record.
func (k recordKind[R, ID]) deleteOne(t *trial, id ID) latchward.Commit {
	t.Helper()
	return t.tx(func(tx latchward.Tx) error { return k.inTx(tx).drop(id) })
}

func (k recordKind[R, ID]) saveNeverReuses(t *trial) {
	seen := map[ID]bool{}
	for range 4 {
		id := k.id(k.one(t))
		if seen[id] {
			t.Errorf("id %d was given to a second one", id)
		}
		seen[id] = true
		k.deleteOne(t, id)
	}
}

func (k recordKind[R, ID]) dropDisappears(t *trial) {
	r := k.save(t, k.whole(t, "gone"))
	k.deleteOne(t, k.id(r))
	_, err := k.read(t.store, t.ctx, k.id(r))
	t.code(k.name+" of what was deleted", err, latchward.CodeNotFound)
	list, err := k.list(t.store, t.ctx)
	t.must(err)
	t.same("the list after a deletion", list, k.begins())
	t.tx(func(tx latchward.Tx) error {
		_, err := k.inTx(tx).byName("gone")
		t.code("ByName of what was deleted", err, latchward.CodeNotFound)
		return nil
	})
	k.save(t, k.whole(t, "gone")) // the name is free again
}

func (k recordKind[R, ID]) dropSparesOthers(t *trial) {
	r, other, holder := k.one(t), k.one(t), t.holder()
	k.deleteOne(t, k.id(r))
	t.same("another one", k.stored(t, k.id(other)), other)
	t.same("a user who does not have it", t.storedUser(holder.user.ID), holder.user)
	t.same("a token that does not have it", t.stored(holder.token.ID), holder.token)
	t.same("a group that does not have it", groups().stored(t, holder.group.ID), holder.group)
}

// holder is one of everything that can have roles, groups and licenses, and what each has.
type holder struct {
	role    *latchward.Role // which user, token and group have
	license *latchward.License
	group   *latchward.Group // which user and token are members of
	user    *latchward.User
	token   *latchward.Token
}

// holder makes one of everything. Each has something else, too, so that taking the one and the whole list differ.
func (t *trial) holder() holder {
	t.Helper()
	h := holder{role: roles().one(t), license: licenses().one(t)}
	other, license := groups().one(t), licenses().one(t)
	g := groups().whole(t, t.recordName())
	g.Roles = []latchward.RoleID{latchward.RoleManager, h.role.ID}
	h.group = groups().save(t, g)
	roles, members := g.Roles, []latchward.GroupID{other.ID, h.group.ID}
	seats := []latchward.LicenseID{h.license.ID, license.ID}
	h.user = t.user(func(u *latchward.User) { u.Roles, u.Groups, u.Licenses = roles, members, seats })
	h.token = t.token(h.user, func(token *latchward.Token) {
		token.Kind, token.Permissions = latchward.KindService, []string{}
		token.Roles, token.Groups, token.Licenses = roles, members, seats
	})
	return h
}

// give gives a token what h's token has.
func (h holder) give(token *latchward.Token) {
	token.Roles, token.Groups, token.Licenses = h.token.Roles, h.token.Groups, h.token.Licenses
}

// giveUser gives a user what h's user has.
func (h holder) giveUser(u *latchward.User) {
	u.Roles, u.Groups, u.Licenses = h.user.Roles, h.user.Groups, h.user.Licenses
}

// sameHeld checks what the holders have now, wherever one can ask.
func (t *trial) sameHeld(
	what string, h holder, roles []latchward.RoleID, groups []latchward.GroupID, licenses []latchward.LicenseID,
) {
	t.Helper()
	user, token := *h.user, *h.token
	user.Roles, user.Groups, user.Licenses = roles, groups, licenses
	token.Roles, token.Groups, token.Licenses = roles, groups, licenses
	t.same("a user's, "+what, t.storedUser(user.ID), &user)
	t.same("a token's, "+what, t.stored(token.ID), &token)
	t.same("a token's facts, "+what, t.facts(token.Secret.KeyID).Token, &token)
	facts, err := t.store.OwnerFacts(t.ctx, ownerOf(&user))
	t.must(err)
	t.same("an owner's facts, "+what, facts, latchward.OwnerFacts{
		Active: true, Roles: roles, Groups: groups, Licenses: licenses, Name: user.Name,
	})
}

func (k recordKind[R, ID]) dropTakes(t *trial) {
	h := t.holder()
	roles, seats := h.user.Roles, h.user.Licenses
	switch k.change {
	case latchward.ChangeRole:
		k.deleteOne(t, ID(h.role.ID))
		roles = roles[:1]
		t.same("a group's", groups().stored(t, h.group.ID).Roles, roles)
	case latchward.ChangeLicense:
		k.deleteOne(t, ID(h.license.ID))
		seats = seats[1:]
	}
	t.sameHeld("after a deletion", h, roles, h.user.Groups, seats)
}

func (k recordKind[R, ID]) dropNames(t *trial) {
	id := k.id(k.one(t))
	t.names("Delete"+k.name, k.deleteOne(t, id), k.change, fmt.Sprint(id))
}

func (k recordKind[R, ID]) dropOfNothing(t *trial) {
	id := k.id(k.one(t))
	k.deleteOne(t, id)
	for _, id := range []ID{id, id + 1000} {
		_, err := t.store.Tx(t.ctx, func(tx latchward.Tx) error { return k.inTx(tx).drop(id) })
		t.code("Delete"+k.name+" of an unknown id", err, latchward.CodeNotFound)
	}
}
