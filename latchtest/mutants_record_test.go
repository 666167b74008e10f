package latchtest

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"github.com/latchward/latchward"
)

// recordHooks are where a store is altered for one kind of record.
type recordHooks[R any, ID ~int64] struct {
	read func(a *altered) *func(ID) (*R, error)
	list func(a *altered, edit func([]*R) []*R) // alters what the list returns
	tx   func(tx *alteredTx) recordHooksTx[R, ID]
}

type recordHooksTx[R any, ID ~int64] struct {
	get    *func(ID) (*R, error)
	byName *func(string) (*R, error)
	save   *func(*R) error
	drop   *func(ID) error
}

func roleHooks() recordHooks[latchward.Role, latchward.RoleID] {
	return recordHooks[latchward.Role, latchward.RoleID]{
		read: func(a *altered) *func(latchward.RoleID) (*latchward.Role, error) { return &a.role },
		list: func(a *altered, edit func([]*latchward.Role) []*latchward.Role) {
			a.roles = func() ([]*latchward.Role, error) {
				list, err := a.Store.Roles(background())
				return edit(list), err
			}
		},
		tx: func(tx *alteredTx) recordHooksTx[latchward.Role, latchward.RoleID] {
			return recordHooksTx[latchward.Role, latchward.RoleID]{&tx.role, &tx.roleByName, &tx.saveRole, &tx.deleteRole}
		},
	}
}

func groupHooks() recordHooks[latchward.Group, latchward.GroupID] {
	return recordHooks[latchward.Group, latchward.GroupID]{
		read: func(a *altered) *func(latchward.GroupID) (*latchward.Group, error) { return &a.group },
		list: func(a *altered, edit func([]*latchward.Group) []*latchward.Group) {
			a.groups = func(f latchward.GroupFilter) ([]*latchward.Group, error) {
				list, err := a.Store.Groups(background(), f)
				return edit(list), err
			}
		},
		tx: func(tx *alteredTx) recordHooksTx[latchward.Group, latchward.GroupID] {
			return recordHooksTx[latchward.Group, latchward.GroupID]{&tx.group, &tx.groupByName, &tx.saveGroup, nil}
		},
	}
}

func licenseHooks() recordHooks[latchward.License, latchward.LicenseID] {
	return recordHooks[latchward.License, latchward.LicenseID]{
		read: func(a *altered) *func(latchward.LicenseID) (*latchward.License, error) { return &a.license },
		list: func(a *altered, edit func([]*latchward.License) []*latchward.License) {
			a.licenses = func() ([]*latchward.License, error) {
				list, err := a.Store.Licenses(background())
				return edit(list), err
			}
		},
		tx: func(tx *alteredTx) recordHooksTx[latchward.License, latchward.LicenseID] {
			return recordHooksTx[latchward.License, latchward.LicenseID]{
				&tx.license, &tx.licenseByName, &tx.saveLicense, &tx.deleteLicense,
			}
		},
	}
}

// inTx alters one kind of record in every transaction; right is what it would be.
func (h recordHooks[R, ID]) inTx(
	k recordKind[R, ID], alter func(wrong recordHooksTx[R, ID], right recordTx[R, ID]),
) func(a *altered) {
	return func(a *altered) {
		a.inTx = func(tx *alteredTx) { alter(h.tx(tx), k.inTx(tx.Tx)) }
	}
}

// saves alters how one kind of record is saved.
func (h recordHooks[R, ID]) saves(
	k recordKind[R, ID], save func(right func(*R) error, r *R) error,
) func(a *altered) {
	return h.inTx(k, func(wrong recordHooksTx[R, ID], right recordTx[R, ID]) {
		*wrong.save = func(r *R) error { return save(right.save, r) }
	})
}

// recordMutants break what roles, groups and licenses have in common. Groups can be found and left to others.
func recordMutants[R any, ID ~int64](k recordKind[R, ID], h recordHooks[R, ID]) []mutant {
	inTx, save := "Tx."+k.name, "Tx.Save"+k.name
	readKept := func(a *altered) {
		right := func(ctx context.Context, id ID) (*R, error) { return k.read(a.Store, ctx, id) }
		*h.read(a) = remember(right)
	}
	readNothing := func(a *altered) {
		*h.read(a) = found(func(ctx context.Context, id ID) (*R, error) { return k.read(a.Store, ctx, id) })
	}
	list := []mutant{
		{k.name + "/ReturnsACopy", "hands out what it keeps", readKept},
		{k.name + "/UnknownIsNotFound", "finds nothing and calls it success", readNothing},
		{k.many() + "/ReturnsWholeOnesByID", "lists backwards", func(a *altered) {
			h.list(a, func(list []*R) []*R { slices.Reverse(list); return list })
		}},
		{k.many() + "/ReturnsWholeOnesByID", "lists all but the last", func(a *altered) {
			h.list(a, func(list []*R) []*R { return list[:max(0, len(list)-1)] })
		}},
		{inTx + "/ReturnsACopy", "hands out what it keeps", h.inTx(k, func(w recordHooksTx[R, ID], r recordTx[R, ID]) {
			*w.get = remember(asContext(r.get))
		})},
		{inTx + "/UnknownIsNotFound", "finds nothing and calls it success",
			h.inTx(k, func(w recordHooksTx[R, ID], r recordTx[R, ID]) { *w.get = found(asContext(r.get)) })},
		{inTx + "ByName/ReturnsACopy", "hands out what it keeps",
			h.inTx(k, func(w recordHooksTx[R, ID], r recordTx[R, ID]) { *w.byName = remember(asContext(r.byName)) })},
		{inTx + "ByName/UnknownIsNotFound", "finds nothing and calls it success",
			h.inTx(k, func(w recordHooksTx[R, ID], r recordTx[R, ID]) { *w.byName = found(asContext(r.byName)) })},
		{save + "/SetsIDs", "sets no ids", h.saves(k, func(right func(*R) error, r *R) error {
			saved := *r
			return right(&saved)
		})},
		{save + "/SetsIDs", "sets one id for all", h.saves(k, func(right func(*R) error, r *R) error {
			err := right(r)
			id, _ := k.fields(r)
			*id = 1
			return err
		})},
		{save + "/ReplacesEveryField", "only inserts", h.saves(k, func(right func(*R) error, r *R) error {
			if k.id(r) != 0 {
				return nil
			}
			return right(r)
		})},
		{save + "/UnknownIsNotFound", "saves nothing and calls it success",
			h.saves(k, func(right func(*R) error, r *R) error { return unless(right(r), latchward.CodeNotFound) })},
		{save + "/RefusesANameInUse", "saves nothing and calls it success",
			h.saves(k, func(right func(*R) error, r *R) error { return unless(right(r), latchward.CodeConflict) })},
		{save + "/NamesIt", "does not name it", namesNone(k.change)},
	}
	return append(list, recordFieldMutants(k, h)...)
}

// recordFieldMutants lose one field each.
func recordFieldMutants[R any, ID ~int64](k recordKind[R, ID], h recordHooks[R, ID]) []mutant {
	var list []mutant
	for _, field := range fieldsBut[R]("ID", "Name", "RemovedAt") {
		list = append(list, mutant{
			fmt.Sprintf("%s/KeepsEveryField Tx.Save%s/ReplacesEveryField", k.name, k.name),
			fmt.Sprintf("loses a %s's %s", k.name, field),
			h.saves(k, func(right func(*R) error, r *R) error {
				wrong := *r
				lose(&wrong, field)
				err := right(&wrong)
				id, _ := k.fields(r)
				*id = k.id(&wrong)
				return err
			}),
		})
	}
	return list
}

// forgetsHolders breaks how roles and licenses are taken from everybody.
func forgetsHolders(name, held string) mutant {
	return mutant{"Tx.Delete" + name + "/TakesItFromEverybody", "forgets who has it", func(a *altered) { keepsHeld(a, held) }}
}

// deleteMutants break how roles, licenses and policies are deleted.
func deleteMutants[R any, ID ~int64](k recordKind[R, ID], h recordHooks[R, ID]) []mutant {
	drop := "Tx.Delete" + k.name
	drops := func(wrong func(right recordTx[R, ID], id ID) error) func(a *altered) {
		return h.inTx(k, func(w recordHooksTx[R, ID], r recordTx[R, ID]) {
			*w.drop = func(id ID) error { return wrong(r, id) }
		})
	}
	return []mutant{
		{drop + "/MakesItDisappear", "keeps what is deleted", drops(func(r recordTx[R, ID], id ID) error {
			_, err := r.get(id)
			return err
		})},
		{drop + "/LeavesOthersAlone", "deletes the next one, too", drops(func(r recordTx[R, ID], id ID) error {
			_ = r.drop(id + 1)
			return r.drop(id)
		})},
		{drop + "/NamesIt", "does not name it", namesNone(k.change)},
		{drop + "/UnknownIsNotFound", "deletes nothing and calls it success", drops(func(r recordTx[R, ID], id ID) error {
			return unless(r.drop(id), latchward.CodeNotFound)
		})},
		{"Tx.Save" + k.name + "/NeverReusesIDs", "starts again at the lowest free id", func(a *altered) {
			var real ID
			a.inTx = func(tx *alteredTx) {
				w, r := h.tx(tx), k.inTx(tx.Tx)
				*w.save = func(saved *R) error {
					err := r.save(saved)
					id, _ := k.fields(saved)
					real, *id = *id, 9
					return err
				}
				*w.drop = func(ID) error { return r.drop(real) }
			}
		}},
	}
}

// keepsHeld shows users with one list as it was when they were saved.
func keepsHeld(a *altered, field string) {
	saved := map[latchward.UserID]latchward.User{}
	a.inTx = func(tx *alteredTx) {
		tx.saveUser = func(u *latchward.User) error {
			err := tx.Tx.SaveUser(u)
			saved[u.ID] = *u
			return err
		}
	}
	a.user = func(id latchward.UserID) (*latchward.User, error) {
		u, err := a.Store.User(background(), id)
		if err == nil {
			kept := saved[id]
			list := reflect.ValueOf(&kept).Elem().FieldByName(field)
			reflect.ValueOf(u).Elem().FieldByName(field).Set(list)
		}
		return u, err
	}
}
