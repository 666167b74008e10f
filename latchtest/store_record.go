package latchtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/latchward/latchward"
)

// recordKind is what a contract needs to know about roles, groups or licenses, which have most promises in common.
type recordKind[R any, ID ~int64] struct {
	name     string // "Role"
	plural   string // "" = name with an s
	copies   string // the sentence about reading one
	lists    string // the sentence about the list
	byName   string // the sentence about finding one by name
	taken    string // the sentence about names in use
	names    string // the sentence about what the commit names
	change   latchward.ChangeKind
	begins   func() []*R                    // what an empty store has
	whole    func(t *trial, name string) *R // sets every field
	bare     func(name string) *R           // sets hardly any
	scribble func(r *R)                     // changes what a caller can reach
	fields   func(r *R) (id *ID, name *string)
	read     func(s latchward.Store, ctx context.Context, id ID) (*R, error)
	list     func(s latchward.Store, ctx context.Context) ([]*R, error)
	inTx     func(tx latchward.Tx) recordTx[R, ID]
}

// recordTx is what a transaction can do with one kind of record.
type recordTx[R any, ID ~int64] struct {
	get    func(id ID) (*R, error)
	byName func(name string) (*R, error)
	save   func(r *R) error
	drop   func(id ID) error // nil for what cannot be deleted
}

func roles() recordKind[latchward.Role, latchward.RoleID] {
	return recordKind[latchward.Role, latchward.RoleID]{
		name: "Role", change: latchward.ChangeRole, begins: latchward.BuiltInRoles,
		copies: "Role returns a copy of the role.",
		lists:  "Roles returns all roles, ordered by id.",
		byName: "RoleByName returns a copy of the role with that name.",
		taken:  "A name that another role has is an Error of code conflict.",
		names:  "The commit must name the role as changed.",
		whole: func(_ *trial, name string) *latchward.Role {
			return &latchward.Role{
				Name: name, Title: "Clerk 🐝", Description: "line\nbreak", Permissions: []string{"b.*", "a.read", "*"},
				CreatedAt: epoch(), UpdatedAt: epoch().Add(time.Millisecond),
			}
		},
		bare: func(name string) *latchward.Role {
			return &latchward.Role{Name: name, Permissions: []string{}, CreatedAt: epoch(), UpdatedAt: epoch()}
		},
		scribble: func(r *latchward.Role) { r.Name, r.Permissions[0] = "scribble", "scribble" },
		fields:   func(r *latchward.Role) (*latchward.RoleID, *string) { return &r.ID, &r.Name },
		read:     latchward.Store.Role,
		list:     latchward.Store.Roles,
		inTx: func(tx latchward.Tx) recordTx[latchward.Role, latchward.RoleID] {
			return recordTx[latchward.Role, latchward.RoleID]{tx.Role, tx.RoleByName, tx.SaveRole, tx.DeleteRole}
		},
	}
}

func groups() recordKind[latchward.Group, latchward.GroupID] {
	return recordKind[latchward.Group, latchward.GroupID]{
		name: "Group", change: latchward.ChangeGroup, begins: func() []*latchward.Group { return nil },
		copies: "Group returns a copy of the group; removed groups are returned too.",
		lists:  "Groups returns the groups that match, ordered by id, at most f.Limit of them.",
		byName: "GroupByName returns a copy of the group with that name that is not removed.",
		taken:  "A name that another group has that is not removed is an Error of code conflict.",
		names:  namesGroup,
		whole: func(_ *trial, name string) *latchward.Group {
			return &latchward.Group{
				Name: name, Title: "Night shift 🐝", Description: "line\nbreak",
				Roles: []latchward.RoleID{latchward.RoleManager, latchward.RoleAuditor}, DirectoryID: "00g1",
				Active: true, CreatedAt: epoch(), UpdatedAt: epoch().Add(time.Millisecond),
			}
		},
		bare: func(name string) *latchward.Group {
			return &latchward.Group{Name: name, CreatedAt: epoch(), UpdatedAt: epoch()}
		},
		scribble: func(g *latchward.Group) { g.Name, g.Roles[0] = "scribble", 99 },
		fields:   func(g *latchward.Group) (*latchward.GroupID, *string) { return &g.ID, &g.Name },
		read:     latchward.Store.Group,
		list: func(s latchward.Store, ctx context.Context) ([]*latchward.Group, error) {
			return s.Groups(ctx, latchward.GroupFilter{Limit: latchward.MaxPage})
		},
		inTx: func(tx latchward.Tx) recordTx[latchward.Group, latchward.GroupID] {
			return recordTx[latchward.Group, latchward.GroupID]{tx.Group, tx.GroupByName, tx.SaveGroup, nil}
		},
	}
}

func licenses() recordKind[latchward.License, latchward.LicenseID] {
	return recordKind[latchward.License, latchward.LicenseID]{
		name: "License", change: latchward.ChangeLicense, begins: func() []*latchward.License { return nil },
		copies: "License returns a copy of the license.",
		lists:  "Licenses returns all licenses, ordered by id.",
		byName: "LicenseByName returns a copy of the license with that name.",
		taken:  "A name that another license has is an Error of code conflict.",
		names:  "The commit must name the license as changed.",
		whole: func(_ *trial, name string) *latchward.License {
			return &latchward.License{
				Name: name, Title: "Pro 🐝", Description: "line\nbreak", MaxSeats: latchward.MaxLicenseSeats,
				ValidFrom: epoch().Add(time.Millisecond), ValidUntil: epoch().Add(time.Hour),
				CreatedAt: epoch(), UpdatedAt: epoch().Add(2 * time.Millisecond),
			}
		},
		bare: func(name string) *latchward.License {
			return &latchward.License{Name: name, CreatedAt: epoch(), UpdatedAt: epoch()}
		},
		scribble: func(l *latchward.License) { l.Name, l.MaxSeats = "scribble", 7 },
		fields:   func(l *latchward.License) (*latchward.LicenseID, *string) { return &l.ID, &l.Name },
		read:     latchward.Store.License,
		list:     latchward.Store.Licenses,
		inTx: func(tx latchward.Tx) recordTx[latchward.License, latchward.LicenseID] {
			return recordTx[latchward.License, latchward.LicenseID]{
				tx.License, tx.LicenseByName, tx.SaveLicense, tx.DeleteLicense,
			}
		},
	}
}

func recordPromises[R any, ID ~int64](k recordKind[R, ID]) []storePromise {
	inTx, byName, save := "Tx."+k.name, "Tx."+k.name+"ByName", "Tx.Save"+k.name
	lower := strings.ToLower(k.name)
	txCopies := fmt.Sprintf("%s returns a copy of the %s.", k.name, lower)
	saves := fmt.Sprintf("Save%s inserts the %s when its ID is 0, setting the ID, and else replaces it.", k.name, lower)
	return []storePromise{
		{k.name + "/KeepsEveryField", k.copies, k.keepsFields},
		{k.name + "/ReturnsACopy", k.copies, k.isACopy},
		{k.name + "/UnknownIsNotFound", notFound, k.ofNothing},
		{k.many() + "/ReturnsWholeOnesByID", k.lists, k.listsWhole},
		{inTx + "/ReturnsACopy", txCopies, k.txIsACopy},
		{inTx + "/UnknownIsNotFound", notFound, k.txOfNothing},
		{byName + "/ReturnsACopy", k.byName, k.byNameIsACopy},
		{byName + "/UnknownIsNotFound", notFound, k.byNameOfNothing},
		{save + "/SetsIDs", saves, k.saveSetsIDs},
		{save + "/ReplacesEveryField", saves, k.saveReplaces},
		{save + "/UnknownIsNotFound", notFound, k.saveOfNothing},
		{save + "/RefusesANameInUse", k.taken, k.saveRefusesName},
		{save + "/NamesIt", k.names, k.saveNames},
	}
}

func (k recordKind[R, ID]) many() string { return cmp.Or(k.plural, k.name+"s") }

// save saves a copy of r and returns it as saved.
func (k recordKind[R, ID]) save(t *trial, r *R) *R {
	t.Helper()
	var saved R
	t.tx(func(tx latchward.Tx) error {
		saved = *r
		return k.inTx(tx).save(&saved)
	})
	if k.id(&saved) < 1 {
		t.Fatalf("Save%s set no ID", k.name)
	}
	return &saved
}

func (k recordKind[R, ID]) id(r *R) ID {
	id, _ := k.fields(r)
	return *id
}

// one saves a new record of which every field is set.
func (k recordKind[R, ID]) one(t *trial) *R {
	t.Helper()
	return k.save(t, k.whole(t, t.recordName()))
}

// recordName returns a name that nothing has yet.
func (t *trial) recordName() string {
	t.records++
	return fmt.Sprintf("record-%d", t.records)
}

// stored returns what the store has under an id.
func (k recordKind[R, ID]) stored(t *trial, id ID) *R {
	t.Helper()
	r, err := k.read(t.store, t.ctx, id)
	t.must(err)
	if r == nil {
		t.Fatalf("%s returned neither a record nor an error", k.name)
	}
	return r
}

func (k recordKind[R, ID]) keepsFields(t *trial) {
	whole, bare := k.one(t), k.save(t, k.bare("bare"))
	t.same("one with every field", k.stored(t, k.id(whole)), whole)
	t.same("one with few fields", k.stored(t, k.id(bare)), bare)
}

func (k recordKind[R, ID]) isACopy(t *trial) {
	whole := k.one(t)
	k.scribble(k.stored(t, k.id(whole)))
	t.same("after an answer was scribbled on", k.stored(t, k.id(whole)), whole)
	_, name := k.fields(whole)
	want := k.whole(t, *name)
	id, _ := k.fields(want)
	*id = k.id(whole)
	k.scribble(whole)
	t.same("after what was saved was scribbled on", k.stored(t, k.id(whole)), want)
}

func (k recordKind[R, ID]) ofNothing(t *trial) {
	known := k.id(k.one(t))
	for _, id := range []ID{known + 1000, 0, -1} {
		_, err := k.read(t.store, t.ctx, id)
		t.code(k.name+" of an unknown id", err, latchward.CodeNotFound)
	}
}

func (k recordKind[R, ID]) listsWhole(t *trial) {
	want := append(k.begins(), k.save(t, k.whole(t, "z")), k.save(t, k.whole(t, "a")), k.save(t, k.bare("m")))
	for range 2 {
		list, err := k.list(t.store, t.ctx)
		t.must(err)
		t.same(k.many(), list, want)
		if len(list) == len(want) {
			k.scribble(list[len(list)-2])
		}
	}
}

// copiesOf checks that read returns r each time, whatever was done to what it returned before.
func (k recordKind[R, ID]) copiesOf(t *trial, r *R, read func() (*R, error)) error {
	t.Helper()
	for range 2 {
		got, err := read()
		if err != nil {
			return err
		}
		if got == nil {
			return errors.New("neither a record nor an error was returned")
		}
		t.same("in a transaction", got, r)
		k.scribble(got)
	}
	return nil
}

func (k recordKind[R, ID]) txIsACopy(t *trial) {
	whole := k.one(t)
	t.tx(func(tx latchward.Tx) error {
		return k.copiesOf(t, whole, func() (*R, error) { return k.inTx(tx).get(k.id(whole)) })
	})
	t.same("after a copy was scribbled on", k.stored(t, k.id(whole)), whole)
}

func (k recordKind[R, ID]) txOfNothing(t *trial) {
	known := k.id(k.one(t))
	t.tx(func(tx latchward.Tx) error {
		_, err := k.inTx(tx).get(known + 1000)
		t.code("Tx."+k.name+" of an unknown id", err, latchward.CodeNotFound)
		return nil
	})
}

func (k recordKind[R, ID]) byNameIsACopy(t *trial) {
	k.one(t)
	whole := k.save(t, k.whole(t, "wanted"))
	k.one(t)
	t.tx(func(tx latchward.Tx) error {
		return k.copiesOf(t, whole, func() (*R, error) { return k.inTx(tx).byName("wanted") })
	})
	t.same("after a copy was scribbled on", k.stored(t, k.id(whole)), whole)
}

func (k recordKind[R, ID]) byNameOfNothing(t *trial) {
	k.save(t, k.whole(t, "wanted"))
	t.tx(func(tx latchward.Tx) error {
		for _, name := range []string{"", "want", "Wanted", "%"} {
			_, err := k.inTx(tx).byName(name)
			t.code(fmt.Sprintf("Tx.%sByName(%q)", k.name, name), err, latchward.CodeNotFound)
		}
		return nil
	})
}
