package rest_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

// B-09, X-21: queries and licenses in the verify API, and rights when asked for.
func TestVerifyAsksForRights(t *testing.T) {
	w := newPopulated(t)
	issued := w.issue(latchward.NewToken{
		Kind: latchward.KindService, Permissions: []string{"orders.*"}, Roles: []string{"reader"}, Licenses: []string{"pro"},
	})
	caller := w.tokens[3].Secret.Expose()
	ask := func(members string) string {
		r := w.do(http.MethodPost, verifyPath, caller, `{"token":"`+issued.Secret.Expose()+`"`+members+`}`)
		if r.Code != http.StatusOK {
			t.Fatalf("%s: status %d: %s", members, r.Code, r.Body)
		}
		return r.Body.String()
	}
	for members, want := range map[string]string{
		``: "allowed", `,"query":null,"licenses":null,"rights":false`: "allowed", `,"licenses":[]`: "allowed",
		`,"query":"(orders.read OR orders.admin) AND NOT legacy.x"`: "allowed",
		`,"query":"orders.read AND NOT orders.erase"`:               "insufficient_permissions",
		`,"query":"stores.read"`:                                    "insufficient_permissions",
		`,"query":"orders.read","permissions":["stores.read"]`:      "insufficient_permissions",
		`,"licenses":["pro"]`:                                       "allowed",
		`,"licenses":["pro","basic"]`:                               "license_missing",
		`,"licenses":["basic"],"query":"stores.read"`:               "license_missing",
	} {
		if reply := ask(members); !strings.Contains(reply, `"reason":"`+want+`"`) || strings.Contains(reply, `"rights"`) {
			t.Errorf("%s: %s", members, reply)
		}
	}
	reply := ask(`,"rights":true`)
	want := `"rights":{"permissions":["orders.*","orders.read"],"reserved":true,"bound":{"permissions":["*","audit.*",`
	const held = `"roles":["reader"],"groups":[],"licenses":[{"name":"pro","valid_from":null,"valid_until":null}]}}`
	if !strings.Contains(reply, want) || !strings.Contains(reply, held) {
		t.Errorf("%s", reply)
	}
}

func TestVerifyRefusesWhatIsNoQuery(t *testing.T) {
	w := newPopulated(t)
	for query, at := range map[string]string{
		"orders.read and stores.read": "position 13", "": "position 1", "orders.*": "position 1",
		strings.Repeat("(", 33) + "a.b" + strings.Repeat(")", 33): "position 33",
	} {
		r := w.do(http.MethodPost, verifyPath, w.tokens[3].Secret.Expose(), `{"token":"x","query":"`+query+`"}`)
		if p := problem(t, r); p.Status != http.StatusBadRequest || p.Field != "query" || !strings.Contains(p.Error, at) {
			t.Errorf("%s: %+v", query, p)
		}
	}
	for member, field := range map[string]string{
		`"query":[]`: "query", `"licenses":"pro"`: "licenses", `"licenses":[1]`: "licenses[0]", `"rights":"yes"`: "rights",
	} {
		r := w.do(http.MethodPost, verifyPath, w.tokens[3].Secret.Expose(), `{"token":"x",`+member+`}`)
		if p := problem(t, r); p.Status != http.StatusBadRequest || p.Field != field {
			t.Errorf("%s: %+v", member, p)
		}
	}
}

// The client rebuilds the rights of a verdict: whoever asks them gets the answers of the service itself.
func TestClientVerifiesWithRights(t *testing.T) {
	w := newPopulated(t)
	_, err := w.service.UpdateLicense(asAdmin(), 1, latchward.LicenseUpdate{ValidUntil: new(start.Add(time.Hour))})
	must(t, err)
	_, err = w.service.UpdateUser(asAdmin(), w.member.ID, latchward.UserUpdate{
		Roles: &[]string{"reader"}, Groups: &[]string{"ops"}, Licenses: &[]string{"pro"},
	})
	must(t, err)
	owner := &latchward.Owner{Type: latchward.OwnerUser, ID: int64(w.member.ID)}
	client := w.client(rest.ClientOptions{Token: w.tokens[3].Secret})
	for _, n := range []latchward.NewToken{
		{Owner: owner}, {Owner: owner, Permissions: []string{"*"}}, {Owner: owner, Permissions: []string{}},
		{Kind: latchward.KindService, Permissions: []string{"tokens.read", "*.read"}, Licenses: []string{"pro"}},
		{Kind: latchward.KindService, Owner: owner, Permissions: []string{"*"}, Roles: []string{"reader"}},
	} {
		issued := w.issue(n)
		asked := latchward.VerifyRequest{Secret: issued.Secret, Rights: true}
		local, err := w.service.Verify(context.Background(), asked)
		must(t, err)
		remote, err := client.Verify(context.Background(), asked)
		must(t, err)
		if !sameRights(local.Rights, remote.Rights) || remote.Rights == nil {
			t.Errorf("%+v: remote rights %+v", n, remote.Rights)
		}
		for _, p := range []string{"orders.read", "orders.erase", "tokens.read", "tokens.create", "a.read"} {
			if local.Rights.Has(p) != remote.Rights.Has(p) || local.Rights.Covers(p) != remote.Rights.Covers(p) {
				t.Errorf("%+v: %s is %v here and %v there", n, p, local.Rights.Has(p), remote.Rights.Has(p))
			}
		}
		for _, at := range []time.Time{start, start.Add(time.Hour)} {
			if local.Rights.HasLicense("pro", at) != remote.Rights.HasLicense("pro", at) {
				t.Errorf("%+v: the license differs at %v", n, at)
			}
		}
		asked.Rights = false
		if remote, err = client.Verify(context.Background(), asked); err != nil || remote.Rights != nil {
			t.Errorf("rights that nobody asked for: %+v, %v", remote.Rights, err)
		}
	}
	_, err = client.Verify(context.Background(), latchward.VerifyRequest{Query: latchward.AllOf("a.b OR c.d")})
	wantCode(t, err, latchward.CodeInvalid, "permissions[0]")
}

// However many different queries are asked, the memory they take is bounded.
func TestQueriesAreForgotten(t *testing.T) {
	w := newPopulated(t)
	caller := w.tokens[3].Secret.Expose()
	for i := range 2500 {
		body := fmt.Sprintf(`{"token":"x","query":"orders.read%d OR NOT orders.x","dry_run":true}`, i)
		if r := w.do(http.MethodPost, verifyPath, caller, body); r.Code != http.StatusOK {
			t.Fatalf("status %d", r.Code)
		}
		if n := rest.KnownQueries(w.handler); n > 1000 || n == 0 {
			t.Fatalf("%d queries are remembered", n)
		}
	}
}
