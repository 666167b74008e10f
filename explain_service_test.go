package latchward_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
	"github.com/latchward/latchward/memory"
)

// agree fails unless the explanation says what a verdict says.
func agree(t interface {
	fatal
	Errorf(format string, args ...any)
}, e latchward.Explanation, v latchward.Verdict) {
	t.Helper()
	if e.Verdict.Reason != v.Reason || e.Verdict.Token.ID != v.Token.ID && v.Reason != latchward.ReasonNotFound ||
		v.Limit.Name != "" && e.Verdict.Limit != v.Limit {
		t.Errorf("explained as %+v\nand judged as %+v", e, v)
	}
	first := slices.IndexFunc(e.Steps, func(s latchward.ExplainStep) bool { return !s.OK })
	if (first < 0) != v.Allowed() || first >= 0 && e.Steps[first].Reason != v.Reason {
		t.Errorf("%s, and these steps: %+v", v.Reason, e.Steps)
	}
	order := latchward.Reasons()
	for i, step := range e.Steps {
		if step.Text == "" || i > 0 && e.Steps[i-1].Reason == step.Reason || !slices.Contains(order, step.Reason) {
			t.Errorf("steps %+v", e.Steps)
		}
	}
}

// B-09: every case of the decision table is explained as it is judged.
func TestExplainAgreesWithTheTable(t *testing.T) {
	newStore := func(*testing.T) latchward.Store { return memory.New() }
	asked := 0
	latchtest.RunVerifyTable(t, "testdata/verify", newStore, func(
		t *testing.T, s *latchward.Service, now func() time.Time,
	) latchtest.Surface {
		judge := latchtest.ServiceSurface(t, s, now).Verify
		return latchtest.Surface{Verify: func(
			ctx context.Context, r latchward.VerifyRequest,
		) (latchward.Reason, int64, error) {
			if r.Secret.IsZero() {
				return judge(ctx, r)
			}
			dry := r
			dry.DryRun = true
			v, err := s.Verify(ctx, dry)
			e, failed := s.Explain(latchtest.Local(ctx), latchward.ExplainRequest{VerifyRequest: r})
			if latchward.ErrorCode(err) != latchward.ErrorCode(failed) ||
				latchward.ErrorField(err) != latchward.ErrorField(failed) {
				t.Errorf("judging: %v, explaining: %v", err, failed)
			}
			if err == nil {
				asked++
				agree(t, e, v)
			}
			return judge(ctx, r)
		}}
	})
	if asked < 100 {
		t.Errorf("only %d cases were explained", asked)
	}
}

var queryPool = []string{
	"", "orders.read", "NOT orders.read", "orders.write AND NOT (pages.read OR x.y)", "tokens.verify OR x.y",
}

// B-09: whatever a token is and whatever is asked, by id or by secret, the explanation is what Verify does.
func TestExplainAgreesWithVerify(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newRightsWorld(t, rt)
		license := latchward.NewLicense{Name: "pro", ValidUntil: w.clock().Add(time.Hour)}
		must[latchward.LicenseStatus](rt)(w.CreateLicense(w.ctx, license))
		issued := must[latchward.IssuedToken](rt)(w.CreateToken(w.ctx, w.anyToken()))
		current := issued.Secret
		for range 4 {
			w.anyChange(issued.Token.ID, &current)
			r := w.anyRequest()
			w.compareExplained(latchward.ExplainRequest{TokenID: issued.Token.ID, VerifyRequest: r}, current)
			r.Secret = []latchward.Secret{current, issued.Secret}[rapid.IntRange(0, 1).Draw(rt, "secret")]
			w.compareExplained(latchward.ExplainRequest{VerifyRequest: r}, r.Secret)
		}
	})
}

func (w *rightsWorld) compareExplained(r latchward.ExplainRequest, secret latchward.Secret) {
	e, failed := w.Explain(w.ctx, r)
	r.Secret, r.DryRun = secret, true
	v, err := w.Verify(context.Background(), r.VerifyRequest)
	if latchward.ErrorCode(err) != latchward.ErrorCode(failed) {
		w.rt.Fatalf("judging: %v, explaining: %v", err, failed)
	}
	if err == nil {
		agree(w.rt, e, v)
	}
}

func (w *rightsWorld) anyToken() latchward.NewToken {
	draw := func(label string, of int) int { return rapid.IntRange(0, of-1).Draw(w.rt, label) }
	n := latchward.NewToken{
		RateLimit: 3, AllowedEndpoints: [][]string{nil, {"/a*"}, {"GET /a"}}[draw("endpoints", 3)],
		Owner: &latchward.Owner{Type: latchward.OwnerUser, ID: int64(w.people[draw("owner", 3)])},
	}
	if draw("networks", 2) == 1 {
		n.AllowedNetworks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	}
	if draw("expires", 3) == 1 {
		n.ExpiresAt = w.clock().Add(time.Minute)
	}
	if draw("not before", 5) == 1 {
		n.NotBefore = w.clock().Add(time.Second)
	}
	if draw("narrowed", 2) == 1 {
		n.Permissions = subset(w.rt, "permissions", grantPool)
	}
	if draw("kind", 2) == 1 {
		n.Kind, n.Roles = latchward.KindService, subset(w.rt, "roles", rolePool)
		n.Groups = subset(w.rt, "groups", groupPool)
		n.Licenses = [][]string{nil, {"pro"}}[draw("licenses", 2)]
	}
	return n
}

func (w *rightsWorld) anyChange(id latchward.TokenID, current *latchward.Secret) {
	owner := w.people[rapid.IntRange(0, 2).Draw(w.rt, "person")]
	on := rapid.Bool().Draw(w.rt, "on")
	switch rapid.IntRange(0, 7).Draw(w.rt, "change") {
	case 0:
		w.advance(time.Minute)
	case 1:
		w.advance(time.Hour)
	case 2:
		w.advance(40 * 24 * time.Hour)
	case 3:
		_, _ = w.UpdateToken(w.ctx, id, latchward.TokenUpdate{Active: &on})
	case 4:
		must[*latchward.User](w.rt)(w.UpdateUser(w.ctx, owner, latchward.UserUpdate{Active: &on}))
	case 5:
		roles := subset(w.rt, "roles", rolePool)
		must[*latchward.User](w.rt)(w.UpdateUser(w.ctx, owner, latchward.UserUpdate{Roles: &roles}))
	case 6:
		if on {
			if issued, err := w.RotateToken(w.ctx, id, latchward.Rotation{}); err == nil {
				*current = issued.Secret
			}
		}
	case 7:
		if on && rapid.Bool().Draw(w.rt, "revoke") {
			_, _ = w.RevokeToken(w.ctx, id, latchward.Revocation{})
		}
	}
}

func (w *rightsWorld) anyRequest() latchward.VerifyRequest {
	draw := func(label string, of int) int { return rapid.IntRange(0, of-1).Draw(w.rt, label) }
	r := latchward.VerifyRequest{
		Method:      []string{"", "GET", "get"}[min(2, draw("method", 9)/4)],
		Path:        []string{"", "/a", "/b", "/a/../b"}[draw("path", 4)],
		Permissions: subset(w.rt, "asked", askedPool), Cost: int64(draw("cost", 5)),
		Licenses: [][]string{nil, {"pro"}}[draw("needs license", 2)],
	}
	if draw("address", 2) == 1 {
		r.Address = netip.MustParseAddr([]string{"10.1.2.3", "192.0.2.1"}[draw("which", 2)])
	}
	if text := queryPool[draw("query", len(queryPool))]; text != "" {
		r.Query = must[latchward.PermissionQuery](w.rt)(latchward.ParsePermissionQuery("query", text))
	}
	return r
}

// Explaining costs no quota, moves no clock and is recorded nowhere.
func TestExplainIsFree(t *testing.T) {
	f := newFixture(t, nil)
	issued := must[latchward.IssuedToken](t)(f.CreateToken(f.ctx, latchward.NewToken{
		RateLimit: 2, Owner: &latchward.Owner{Type: latchward.OwnerUser, ID: int64(f.owner)},
	}))
	before := f.Stats().Verdicts
	for range 100 {
		for _, r := range []latchward.ExplainRequest{
			{TokenID: issued.Token.ID}, {VerifyRequest: latchward.VerifyRequest{Secret: issued.Secret, Cost: 2}},
		} {
			e, err := f.Explain(f.ctx, r)
			if err != nil || !e.Verdict.Allowed() {
				t.Fatalf("%+v, %v", e, err)
			}
		}
	}
	if after := f.Stats().Verdicts; fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("counted: %+v, before %+v", after, before)
	}
	v, err := f.Verify(f.ctx, latchward.VerifyRequest{Secret: issued.Secret, Cost: 2})
	if err != nil || !v.Allowed() {
		t.Errorf("%+v, %v", v, err)
	}
	usage := must[latchward.TokenUsage](t)(f.TokenUsage(f.ctx, issued.Token.ID, 7))
	if len(usage.Recent) != 0 {
		t.Errorf("recorded: %+v", usage.Recent)
	}
}

// Who may not see a token learns nothing about it, neither by its id nor by its secret.
func TestExplainToStrangers(t *testing.T) {
	f := newFixture(t, nil)
	other := must[*latchward.User](t)(f.CreateUser(f.ctx, latchward.NewUser{Name: "ben"}))
	issued := must[latchward.IssuedToken](t)(f.CreateToken(f.ctx, latchward.NewToken{
		Owner: &latchward.Owner{Type: latchward.OwnerUser, ID: int64(f.owner)},
	}))
	ben := f.person(t, other.ID)
	_, theirs := f.Explain(ben, latchward.ExplainRequest{TokenID: issued.Token.ID})
	_, none := f.Explain(ben, latchward.ExplainRequest{TokenID: 99})
	if latchward.ErrorCode(theirs) != latchward.CodeNotFound || theirs.Error() != none.Error() {
		t.Errorf("%v, and for none: %v", theirs, none)
	}
	e, err := f.Explain(ben, latchward.ExplainRequest{VerifyRequest: latchward.VerifyRequest{Secret: issued.Secret}})
	if err != nil || e.Verdict.Reason != latchward.ReasonNotFound || e.Verdict.Token.ID != 0 || len(e.Steps) != 3 {
		t.Errorf("%+v, %v", e, err)
	}
	for _, r := range []latchward.ExplainRequest{
		{}, {TokenID: 1, VerifyRequest: latchward.VerifyRequest{Secret: issued.Secret}},
	} {
		if _, err := f.Explain(f.ctx, r); latchward.ErrorField(err) != "token_id" {
			t.Errorf("%v", err)
		}
	}
	_, err = f.Explain(context.Background(), latchward.ExplainRequest{TokenID: 1})
	if latchward.ErrorCode(err) != latchward.CodeUnauthenticated {
		t.Errorf("%v", err)
	}
}

// B-09: what is missing, of the permissions and the query together, and in words.
func TestExplainSaysWhatIsMissing(t *testing.T) {
	f := newFixture(t, nil)
	must[*latchward.Role](t)(f.CreateRole(f.ctx, latchward.NewRole{
		Name: "old", Permissions: []string{"legacy.x", "stores.*"},
	}))
	issued := must[latchward.IssuedToken](t)(f.CreateToken(f.ctx, latchward.NewToken{
		Kind: latchward.KindService, Roles: []string{"old"}, AllowedEndpoints: []string{"GET /orders*"},
		Owner: &latchward.Owner{Type: latchward.OwnerUser, ID: int64(f.owner)},
	}))
	const text = "(orders.read OR orders.admin) AND NOT legacy.x"
	query := must[latchward.PermissionQuery](t)(latchward.ParsePermissionQuery("query", text))
	e, err := f.Explain(f.ctx, latchward.ExplainRequest{TokenID: issued.Token.ID, VerifyRequest: latchward.VerifyRequest{
		Method: "POST", Path: "/orders/1", Permissions: []string{"stores.read", "pages.read"}, Query: query,
		Licenses: []string{"pro"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	const needed = "pages.read AND (orders.read OR orders.admin) AND NOT legacy.x"
	if e.Missing.Needed != needed || strings.Join(e.Missing.Lacking, " ") != "pages.read orders.read orders.admin" ||
		strings.Join(e.Missing.Unwanted, " ") != "legacy.x" || strings.Join(e.Licenses, " ") != "pro" {
		t.Errorf("%+v %v", e.Missing, e.Licenses)
	}
	var failed []string
	for _, step := range e.Steps {
		if !step.OK {
			failed = append(failed, string(step.Reason)+": "+step.Text)
		}
	}
	want := []string{
		"license_missing: It has no seat, valid now, of the license pro",
		"endpoint_not_allowed: It may call GET /orders*, not POST /orders/1",
		"insufficient_permissions: It lacks " + needed,
	}
	if !slices.Equal(failed, want) {
		t.Errorf("%q", failed)
	}
}
