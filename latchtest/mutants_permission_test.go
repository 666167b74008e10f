package latchtest

import (
	"slices"

	"github.com/latchward/latchward"
)

func permissionMutants() []mutant {
	const drop = "Tx.DeletePermission/"
	deletes := func(wrong func(tx latchward.Tx, name string) error) func(a *altered) {
		return func(a *altered) {
			a.inTx = func(tx *alteredTx) {
				tx.deletePermission = func(name string) error { return wrong(tx.Tx, name) }
			}
		}
	}
	list := []mutant{
		{"Permissions/ReturnsWholeOnesByName", "lists backwards", func(a *altered) {
			a.permissions = func() ([]*latchward.Permission, error) {
				list, err := a.Store.Permissions(background())
				slices.Reverse(list)
				return list, err
			}
		}},
		{"Tx.Permission/ReturnsACopy", "hands out what it keeps", func(a *altered) {
			a.inTx = func(tx *alteredTx) { tx.permission = remember(asContext(tx.Tx.Permission)) }
		}},
		{"Tx.Permission/UnknownIsNotFound", "finds nothing and calls it success", func(a *altered) {
			a.inTx = func(tx *alteredTx) { tx.permission = found(asContext(tx.Tx.Permission)) }
		}},
		{"Tx.SavePermission/InsertsAndReplaces", "only inserts", func(a *altered) {
			known := map[string]bool{}
			a.inTx = func(tx *alteredTx) {
				tx.savePermission = func(p *latchward.Permission) error {
					if known[p.Name] {
						return nil
					}
					known[p.Name] = true
					return tx.Tx.SavePermission(p)
				}
			}
		}},
		{drop + "MakesItDisappear", "keeps the entry", deletes(func(tx latchward.Tx, name string) error {
			if err := tx.DeletePermission(name); err != nil {
				return err
			}
			return tx.SavePermission(wholePermission(name))
		})},
		{drop + "TakesItFromRoles " + drop + "TakesItFromTokens", "forgets who has it", forgetsGrants},
		{drop + "TakesItFromTokens", "takes an empty list for the owner's rights", readsWrong(func(t *latchward.Token) {
			if len(t.Permissions) == 0 {
				t.Permissions = nil
			}
		})},
		{drop + "NamesRoles", "names no roles", namesNone(latchward.ChangeRole)},
		{drop + "NamesTokens", "names no tokens", namesNone(latchward.ChangeToken)},
		{drop + "UnknownIsNotFound", "deletes nothing and calls it success",
			deletes(func(tx latchward.Tx, name string) error {
				return unless(tx.DeletePermission(name), latchward.CodeNotFound)
			})},
		{"Tx/KeepsNoRightsWhenFFails", "commits in spite of an error", func(a *altered) {
			a.tx = func(f func(latchward.Tx) error) (latchward.Commit, error) {
				var failed error
				commit, _ := a.right(func(tx latchward.Tx) error { failed = f(tx); return nil })
				return commit, failed
			}
		}},
	}
	for _, kind := range []latchward.ChangeKind{latchward.ChangeRole, latchward.ChangeGroup, latchward.ChangeLicense} {
		what := "names no " + string(kind) + " when f fails"
		list = append(list, mutant{"Tx/NamesRightsWhenFFails", what, namesOnFailure(kind)})
	}
	for _, field := range fieldsBut[latchward.Permission]("Name") {
		list = append(list, mutant{"Permissions/ReturnsWholeOnesByName Tx.SavePermission/InsertsAndReplaces",
			"loses a permission's " + field, func(a *altered) {
				a.inTx = func(tx *alteredTx) {
					tx.savePermission = func(p *latchward.Permission) error {
						wrong := *p
						lose(&wrong, field)
						return tx.Tx.SavePermission(&wrong)
					}
				}
			}})
	}
	return list
}

// forgetsGrants deletes nothing but the entry: roles and tokens are saved under another name for the permission.
func forgetsGrants(a *altered) {
	rename := func(list []string, from, to string) []string {
		list = slices.Clone(list)
		for i := range list {
			if list[i] == from {
				list[i] = to
			}
		}
		return list
	}
	a.inTx = func(tx *alteredTx) {
		tx.saveRole = func(r *latchward.Role) error {
			wrong := *r
			wrong.Permissions = rename(r.Permissions, "x.y", "hidden.x")
			err := tx.Tx.SaveRole(&wrong)
			r.ID = wrong.ID
			return err
		}
		tx.saveToken = func(t *latchward.Token) error {
			wrong := *t
			wrong.Permissions = rename(t.Permissions, "x.y", "hidden.x")
			err := tx.Tx.SaveToken(&wrong)
			t.ID = wrong.ID
			return err
		}
	}
	a.role = func(id latchward.RoleID) (*latchward.Role, error) {
		r, err := a.Store.Role(background(), id)
		if err == nil {
			r.Permissions = rename(r.Permissions, "hidden.x", "x.y")
		}
		return r, err
	}
	a.token = func(id latchward.TokenID) (*latchward.Token, error) {
		t, err := a.Store.Token(background(), id)
		if err == nil {
			t.Permissions = rename(t.Permissions, "hidden.x", "x.y")
		}
		return t, err
	}
}
