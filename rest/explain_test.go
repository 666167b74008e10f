package rest_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

// B-09: why a request would be refused, and what would be needed.
func TestExplain(t *testing.T) {
	w := newPopulated(t)
	issued := w.issue(latchward.NewToken{
		Name: "Shop", Kind: latchward.KindService, Roles: []string{"reader"}, AllowedEndpoints: []string{"GET /orders*"},
	})
	ctx, c := context.Background(), w.adminClient()
	asked := rest.ExplainRequest{
		TokenID: rest.Some(int64(issued.Token.ID)), Method: rest.Some("GET"), Path: rest.Some("/orders/1"),
		Query: rest.Some("orders.read AND NOT legacy.x"),
	}
	e, err := c.Explain(ctx, asked)
	must(t, err)
	if !e.Allowed || e.Reason != "allowed" || e.Token.Name != "Shop" || e.Token.Owner.Name != "Ada" ||
		len(e.Steps) != 13 ||
		e.Missing.Needed != "" || e.Missing.Lacking == nil || e.Limits[0].Remaining != 100 {
		t.Errorf("%s", jsonOf(t, e))
	}
	asked.Method, asked.Licenses = rest.Some("PUT"), rest.Some([]string{"pro"})
	asked.Permissions = rest.Some([]string{"orders.write"})
	e, err = c.Explain(ctx, asked)
	must(t, err)
	if e.Allowed || e.Reason != latchward.ReasonLicenseMissing || e.Missing.Needed != "orders.write" ||
		jsonOf(t, e.Missing.Lacking) != `["orders.write"]` || jsonOf(t, e.Missing.Licenses) != `["pro"]` {
		t.Errorf("%s", jsonOf(t, e))
	}
	failed := 0
	for _, step := range e.Steps {
		if !step.OK {
			failed++
		}
	}
	if failed != 3 {
		t.Errorf("%d steps fail: %s", failed, jsonOf(t, e.Steps))
	}
}

// The secret, and what of it somebody put into the wrong member, is never repeated; nothing is charged or recorded.
func TestExplainKeepsSecrets(t *testing.T) {
	w := newPopulated(t)
	secret := w.tokens[1].Secret.Expose()
	for body, status := range map[string]int{
		`{"token":"` + secret + `"}`: 200, `{"token":"` + secret + `x"}`: 200,
		`{"token_id":1,"path":"/` + secret + `"}`: 200, `{"token_id":1,"method":"` + secret + `"}`: 200,
		`{"token_id":1,"permissions":["` + secret + `"]}`: 400, `{"token_id":1,"query":"` + secret + `"}`: 400,
		`{"token_id":1,"licenses":["` + secret + `"]}`: 400, `{"token_id":1,"address":"` + secret + `"}`: 400,
		`{"` + secret + `":1}`: 400,
	} {
		r := w.do(http.MethodPost, "/api/latchward/explain", adminJWT, body)
		if r.Code != status || strings.Contains(r.Body.String(), "lw_") {
			t.Errorf("%.30s...: status %d: %s", body, r.Code, r.Body)
		}
	}
	if strings.Contains(w.log.String(), secret[3:]) {
		t.Error("the secret is logged")
	}
	usage, err := w.service.TokenUsage(asAdmin(), 1, 7)
	must(t, err)
	if len(usage.Recent) != 0 {
		t.Errorf("recorded: %+v", usage.Recent)
	}
}
