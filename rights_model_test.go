package latchward_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/latchward/latchward"
)

// C-09, bar 104: whatever somebody creates, changes or rotates, no token of theirs holds more than they do. And bar 60:
// what they lose, their tokens lose.
func TestNobodyGivesMoreThanTheyHold(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newRightsWorld(t, rt)
		for range rapid.IntRange(1, 8).Draw(rt, "steps") {
			w.attempt()
		}
		w.checkTokens("after creating and changing")
		w.demote()
		w.checkTokens("after a demotion")
	})
}

// rightsWorld is a world in which people who are no administrators try to give tokens rights.
type rightsWorld struct {
	*fixture
	rt     *rapid.T
	people []latchward.UserID
	owned  []ownedToken
}

type ownedToken struct {
	id     latchward.TokenID
	maker  latchward.UserID
	owner  latchward.Owner
	secret latchward.Secret
}

var (
	grantPool = []string{
		"orders.read", "orders.write", "orders.*", "*.read", "*", "pages.read", "tokens.verify", "tokens.*", "users.update", "roles.update",
	}
	askedPool = []string{"orders.read", "orders.write", "orders.purge", "pages.read", "pages.write", "x.y", "tokens.verify", "users.update"}
	rolePool  = []string{"one", "two", "three", "manager"}
	groupPool = []string{"red", "blue"}
)

func subset(rt *rapid.T, label string, pool []string) []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(pool), 0, 3, rapid.ID).Draw(rt, label)
}

func newRightsWorld(t *testing.T, rt *rapid.T) *rightsWorld {
	w := &rightsWorld{fixture: newFixtureFor(t, nil), rt: rt}
	for _, name := range rolePool[:3] {
		must[*latchward.Role](rt)(w.CreateRole(w.ctx, latchward.NewRole{Name: name, Permissions: subset(rt, "role "+name, grantPool)}))
	}
	for _, name := range groupPool {
		must[*latchward.Group](rt)(w.CreateGroup(w.ctx, latchward.NewGroup{Name: name, Roles: subset(rt, "group "+name, rolePool)}))
	}
	for i := range 3 {
		user := must[*latchward.User](rt)(w.CreateUser(w.ctx, latchward.NewUser{
			Name: fmt.Sprint("person", i), Roles: subset(rt, "roles", rolePool), Groups: subset(rt, "groups", groupPool),
		}))
		w.people = append(w.people, user.ID)
	}
	return w
}

// attempt lets somebody try to make, change or rotate a token; being refused is fine.
func (w *rightsWorld) attempt() {
	maker := rapid.SampledFrom(w.people).Draw(w.rt, "maker")
	ctx := w.person(w.rt, maker)
	kind := rapid.SampledFrom([]latchward.Kind{latchward.KindPersonal, latchward.KindService}).Draw(w.rt, "kind")
	permissions := subset(w.rt, "permissions", grantPool)
	if len(w.owned) > 0 && rapid.Bool().Draw(w.rt, "change") {
		w.change(ctx, maker, permissions)
		return
	}
	n := latchward.NewToken{Kind: kind, Permissions: permissions}
	if kind == latchward.KindService {
		n.Roles, n.Groups = subset(w.rt, "roles", rolePool), subset(w.rt, "groups", groupPool)
	}
	owners := []latchward.Owner{
		{Type: latchward.OwnerUser, ID: int64(w.people[0])}, {Type: latchward.OwnerUser, ID: int64(w.people[1])},
		{Type: latchward.OwnerUser, ID: int64(maker)}, {Type: latchward.OwnerGroup, ID: 1}, {Type: latchward.OwnerGroup, ID: 2},
	}
	owner := rapid.SampledFrom(owners).Draw(w.rt, "owner")
	n.Owner = &owner
	issued, err := w.CreateToken(ctx, n)
	if err == nil {
		w.owned = append(w.owned, ownedToken{issued.Token.ID, maker, owner, issued.Secret})
		w.checkMaker(w.owned[len(w.owned)-1], maker)
		return
	}
	w.refused(err)
}

func (w *rightsWorld) change(ctx context.Context, maker latchward.UserID, permissions []string) {
	i := rapid.IntRange(0, len(w.owned)-1).Draw(w.rt, "token")
	known := &w.owned[i]
	if rapid.Bool().Draw(w.rt, "rotate") {
		issued, err := w.RotateToken(ctx, known.id, latchward.Rotation{})
		if err != nil {
			w.refused(err)
			return
		}
		known.secret, known.maker = issued.Secret, maker
		w.checkMaker(*known, maker)
		return
	}
	if rapid.Bool().Draw(w.rt, "widen") {
		permissions = nil
	}
	before := must[*latchward.Token](w.rt)(w.Token(w.ctx, known.id))
	after, err := w.UpdateToken(ctx, known.id, latchward.TokenUpdate{Permissions: &permissions})
	if err != nil {
		w.refused(err)
		return
	}
	// Its owner may have widened it meanwhile; who then sets what is set already gives themselves nothing.
	if !reflect.DeepEqual(before.Permissions, after.Token.Permissions) {
		w.checkMaker(*known, maker)
	}
}

func (w *rightsWorld) refused(err error) {
	w.rt.Helper()
	switch latchward.ErrorCode(err) {
	case latchward.CodeForbidden, latchward.CodeNotFound, latchward.CodeInvalid:
	default:
		w.rt.Fatal(err)
	}
}

// checkMaker checks that who learnt a token's secret has not just made it hold more than they do.
func (w *rightsWorld) checkMaker(known ownedToken, actor latchward.UserID) {
	w.rt.Helper()
	for _, permission := range askedPool {
		if known.maker == actor && w.holds(w.rt, known.secret, permission) && !w.has(actor, permission) {
			w.rt.Fatalf("token %d holds %s, which user %d who knows its secret lacks", known.id, permission, actor)
		}
	}
}

// checkTokens checks that the user who owns a token holds whatever it does.
func (w *rightsWorld) checkTokens(when string) {
	w.rt.Helper()
	for _, known := range w.owned {
		for _, permission := range askedPool {
			if !w.holds(w.rt, known.secret, permission) {
				continue
			}
			if known.owner.Type == latchward.OwnerUser && !w.has(latchward.UserID(known.owner.ID), permission) {
				w.rt.Fatalf("%s: token %d holds %s, which its owner lacks", when, known.id, permission)
			}
		}
	}
}

func (w *rightsWorld) has(id latchward.UserID, permission string) bool {
	w.rt.Helper()
	rights := must[latchward.EffectiveRights](w.rt)(w.UserRights(w.ctx, id))
	return rights.Rights.Has(permission)
}

// demote takes everything from everybody.
func (w *rightsWorld) demote() {
	none := []string{}
	for _, id := range w.people {
		must[*latchward.User](w.rt)(w.UpdateUser(w.ctx, id, latchward.UserUpdate{Roles: &none, Groups: &none}))
	}
}

// S5-14: what is said about a token's rights is what verification goes by, and a second service that has remembered
// nothing agrees with the first, whatever changed before.
func TestRightsAreExplainedAsTheyAre(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newRightsWorld(t, rt)
		for i := range 4 {
			kind := []latchward.Kind{latchward.KindPersonal, latchward.KindService}[i%2]
			n := latchward.NewToken{Kind: kind, Permissions: subset(rt, "permissions", grantPool)}
			n.Owner = &latchward.Owner{Type: latchward.OwnerUser, ID: int64(w.people[i%3])}
			if kind == latchward.KindService {
				n.Roles, n.Groups = subset(rt, "roles", rolePool), subset(rt, "groups", groupPool)
			}
			issued := must[latchward.IssuedToken](rt)(w.CreateToken(w.ctx, n))
			w.owned = append(w.owned, ownedToken{id: issued.Token.ID, secret: issued.Secret})
		}
		for range rapid.IntRange(1, 5).Draw(rt, "changes") {
			w.changeSomething()
			w.compareWithAFreshService()
		}
	})
}

func (w *rightsWorld) changeSomething() {
	grants, roles, groups := subset(w.rt, "grants", grantPool), subset(w.rt, "roles", rolePool), subset(w.rt, "groups", groupPool)
	active := rapid.Bool().Draw(w.rt, "active")
	var err error
	switch rapid.IntRange(0, 4).Draw(w.rt, "what") {
	case 0:
		_, err = w.UpdateRole(w.ctx, latchward.RoleID(rapid.IntRange(4, 6).Draw(w.rt, "role")), latchward.RoleUpdate{Permissions: &grants})
	case 1:
		_, err = w.UpdateGroup(w.ctx, latchward.GroupID(rapid.IntRange(1, 2).Draw(w.rt, "group")), latchward.GroupUpdate{Roles: &roles, Active: &active})
	case 2:
		_, err = w.UpdateUser(w.ctx, w.people[0], latchward.UserUpdate{Roles: &roles, Groups: &groups})
	case 3:
		_, err = w.UpdateToken(w.ctx, w.owned[1].id, latchward.TokenUpdate{Roles: &roles, Permissions: &grants})
	case 4:
		err = w.DeleteRole(w.ctx, latchward.RoleID(rapid.IntRange(4, 6).Draw(w.rt, "role")))
		if latchward.ErrorCode(err) == latchward.CodeNotFound {
			err = nil
		}
	}
	if code := latchward.ErrorCode(err); err != nil && code != latchward.CodeNotFound && code != latchward.CodeInvalid {
		w.rt.Fatal(err)
	}
}

func (w *rightsWorld) compareWithAFreshService() {
	fresh := must[*latchward.Service](w.rt)(latchward.New(w.ctx, latchward.Options{Store: w.store, Keys: w.Keys(), Now: w.clock}))
	cold := &fixture{Service: fresh, ctx: w.ctx}
	for _, known := range w.owned {
		explained := must[latchward.EffectiveRights](w.rt)(w.TokenRights(w.ctx, known.id))
		counts := func(permission string) bool {
			return slices.ContainsFunc(explained.Permissions, func(p latchward.RightsPart) bool {
				return p.Withheld == "" && latchward.NewRights(latchward.RightsFacts{Permissions: []string{p.Name}, Reserved: true}).Has(permission)
			})
		}
		for _, permission := range askedPool {
			warm := w.holds(w.rt, known.secret, permission)
			if cold.holds(w.rt, known.secret, permission) != warm || explained.Rights.Has(permission) != warm {
				w.rt.Fatalf("token %d, %s: a service that remembers says %v", known.id, permission, warm)
			}
			if counts(permission) && !warm {
				w.rt.Fatalf("token %d does not hold %s, which its rights list without saying that it is withheld", known.id, permission)
			}
		}
	}
}
