package server_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
	"github.com/latchward/latchward/server"
)

// directory is what an organization's directory does to a server.
type directory struct {
	*running
	t     *testing.T
	token string
}

// directoryOf issues the token that a directory acts with.
func directoryOf(t *testing.T, r *running) *directory {
	t.Helper()
	ctx := latchward.WithPrincipal(t.Context(), latchward.Principal{Type: latchward.PrincipalLocal, Name: "test",
		Administrator: true})
	group, err := r.Service().CreateGroup(ctx, latchward.NewGroup{Name: "directory"})
	if err != nil {
		t.Fatal(err)
	}
	issued, err := r.Service().CreateToken(ctx, latchward.NewToken{
		Kind: latchward.KindService, Owner: &latchward.Owner{Type: latchward.OwnerGroup, ID: int64(group.ID)},
		Permissions: []string{"users.*", "groups.*",
			"*"}, AllowedEndpoints: []string{"/scim*"}, RateLimit: latchward.MaxRateLimit,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &directory{r, t, issued.Secret.Expose()}
}

func (d *directory) do(method, path, body string, status int) map[string]any {
	d.t.Helper()
	a := send(d.t, http.DefaultClient, method, d.URL()+"/scim/v2"+path, "Bearer "+d.token, strings.NewReader(body))
	a.want(d.t, method+" "+path, status)
	o := map[string]any{}
	if a.body != "" {
		if err := json.Unmarshal([]byte(a.body), &o); err != nil {
			d.t.Fatal(err)
		}
	}
	return o
}

// S3-07, B-18: over the gateway, whose memory of the token is warm, the request after the directory's is refused.
func TestOffBoarding(t *testing.T) {
	r := start(t, settings(t, folder(t), "upstreams", upstream(t)))
	d := directoryOf(t, r)
	user := d.do("POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ben@example.com",
		"externalId":"00u1"}`, http.StatusCreated)
	path := "/Users/" + user["id"].(string)
	if meta := user["meta"].(map[string]any); meta["location"] != r.URL()+"/scim/v2"+path {
		t.Errorf("location %v", meta["location"])
	}
	jwt, err := server.MintJWT(r.config, server.Person{Subject: "00u1", ExpiresIn: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	client, err := rest.NewClient(r.URL(), rest.ClientOptions{JWT: jwt})
	if err != nil {
		t.Fatal(err)
	}
	made, err := client.CreateToken(t.Context(), rest.NewToken{})
	if err != nil {
		t.Fatal(err)
	}
	credential := "Bearer " + made.Token.Secret.Expose()
	want := func(what string, status int) {
		t.Helper()
		for range 3 {
			get(t, r.URL()+"/api/products", credential).want(t, what, status)
		}
	}
	active := func(is string) {
		t.Helper()
		d.do("PATCH", path, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
			"Operations":[{"op":"Replace","path":"active","value":"`+is+`"}]}`, http.StatusOK)
	}
	want("a token of somebody in the directory", http.StatusOK)
	for range 5 {
		active("False")
		want("a token of somebody who was disabled", http.StatusUnauthorized)
		active("True")
		want("a token of somebody who is back", http.StatusOK)
	}
	d.do("DELETE", path, "", http.StatusNoContent)
	want("a token of somebody who was deleted", http.StatusUnauthorized)
	get(t, r.URL()+"/api/api-tokens", "Bearer "+jwt.Expose()).want(t, "a JWT of somebody who was deleted",
		http.StatusUnauthorized)
	get(t, r.URL()+"/api/products", "Bearer "+d.token).want(t, "the directory's token elsewhere", http.StatusForbidden)
	get(t, r.OperationsURL()+"/metrics", "").want(t, "metrics", http.StatusOK,
		`latchward_http_requests_total{class="2xx",surface="scim"} 12`)
}

// What is ours is served wherever the upstreams are, and nothing of it when it is off.
func TestSCIMIsOptional(t *testing.T) {
	for _, c := range []struct {
		what   string
		pairs  []string
		status int
	}{
		{"on", nil, http.StatusUnauthorized},
		{"below the base", []string{"base", "/", "upstreams", upstream(t)}, http.StatusUnauthorized},
		{"off", []string{"scim.enabled", "false"}, http.StatusNotFound},
		{"without authentication", []string{"authentication", "off"}, http.StatusConflict},
	} {
		r := start(t, settings(t, folder(t), c.pairs...))
		for _, path := range []string{"/scim/v2/Users", "/scim/v2", "/scim/v2/x"} {
			get(t, r.URL()+path, "").want(t, c.what+": "+path, c.status)
		}
	}
	r := start(t, settings(t, folder(t), "oauth.issuer", "https://tokens.example.com", "scim.subject", "user_name"))
	user := directoryOf(t, r).do("POST", "/Users",
		`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ben"}`,
		http.StatusCreated)
	if at := user["meta"].(map[string]any)["location"]; at != "https://tokens.example.com/scim/v2/Users/1" {
		t.Errorf("location %v", at)
	}
	if _, err := server.Load(server.Sources{File: "/dev/null",
		Flags: map[string]string{"scim.subject": "email"}}); err == nil {
		t.Error("an unknown subject was taken")
	}
}
