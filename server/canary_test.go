package server_test

import (
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/oauth"
	"github.com/latchward/latchward/rest"
)

// bar 4, 130: no secret that was in use turns up in logs, metrics, profiles, answers or files, whatever was done with
// it, except in the files that are made to hold it.
func TestCanary(t *testing.T) {
	c := settings(t, folder(t), "upstreams", upstream(t), "gateway.accept_jwt", "true", "log.level", "debug",
		"operations.profiling", "true", "oidc.issuer", "https://id.invalid", "oidc.client_id", "latchward")
	c.OperationsSecret = latchward.SecretFromText("operations-canary-9f3a71c0b2d84e65")
	c.OIDCSecret = latchward.SecretFromText("provider-canary-5be20f6a91c7d483")
	r := start(t, c)
	people := peopleSecrets(t, r)
	id, token := r.token(t, rest.NewToken{Name: rest.Some("canary")})
	jwt := r.jwt(t).Expose()
	var output strings.Builder
	note := func(a answer) {
		output.WriteString(a.body)
		for name, values := range a.header {
			output.WriteString(name + ": " + strings.Join(values, " ") + "\n")
		}
	}
	misuse(t, r, note, token)
	misuse(t, r, note, jwt)
	rotated, err := r.administrator(t).RotateToken(t.Context(), id, rest.Rotation{})
	if err != nil {
		t.Fatal(err)
	}
	fresh := rotated.Token.Secret.Expose()
	misuse(t, r, note, token)
	misuse(t, r, note, fresh)
	for _, path := range []string{"/api/products", "/api/api-tokens", "/api/latchward/verify"} {
		note(get(t, r.URL()+path, "Bearer "+people["session"]))
	}
	for _, path := range []string{"/api/api-tokens", "/api/api-tokens/1", "/api/api-tokens/1/usage", "/api/api-tokens/stats/overview",
		"/api/latchward/audit", "/api/latchward/users", "/api/latchward/keys", "/api/latchward/openapi.json"} {
		note(get(t, r.URL()+path, "Bearer "+jwt))
	}
	for _, path := range []string{"/metrics", "/debug/pprof/goroutine?debug=2", "/debug/pprof/heap?debug=1", "/debug/pprof/cmdline"} {
		note(get(t, r.OperationsURL()+path, "Bearer "+c.OperationsSecret.Expose()))
		note(get(t, r.OperationsURL()+path, "Bearer "+token))
	}
	files := map[string]string{"answers": output.String()}
	ring := read(t, filepath.Join(c.Data, "keys"))
	own := map[string]string{
		"token": token[14:36], "rotated token": fresh[14:36], "JWT": jwt[strings.LastIndexByte(jwt, '.')+1:],
		"JWT secret": read(t, filepath.Join(c.Data, "jwt-secret")), "operations secret": c.OperationsSecret.Expose(),
		"server key": strings.Fields(ring[strings.LastIndex(ring, "key 1"):])[4],
	}
	own["OIDC secret"] = c.OIDCSecret.Expose()
	maps.Copy(own, people)
	collect(t, c.Data, files) // with the write-ahead log as it is
	if err := r.wait(); err != nil {
		t.Fatal(err)
	}
	collect(t, c.Data, files)
	files["log"] = r.log.String()
	if !strings.Contains(files["log"], "level=DEBUG") || !strings.Contains(files["answers"], "latchward_verdicts_total") {
		t.Error("there was nothing to find")
	}
	for name, text := range files {
		for kind, secret := range own {
			for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret)), reversed(secret)} {
				if strings.Contains(text, form) {
					t.Errorf("the %s stands in %s", kind, name)
				}
			}
		}
	}
}

// peopleSecrets makes the first administrator, who signs in and gets a code for another password, and returns what that
// took and gave.
func peopleSecrets(t *testing.T, r *running) map[string]string {
	t.Helper()
	secrets := map[string]string{"setup secret": setupSecret(t, r), "password": adaPassword}
	v := setUp(t, r)
	jwt := "Bearer " + r.jwt(t).Expose()
	reply := send(t, http.DefaultClient, "POST", r.URL()+"/api/latchward/users/1/password-code", jwt, nil)
	reply.want(t, "password code", 200)
	var made rest.PasswordCode
	if err := json.Unmarshal([]byte(reply.body), &made); err != nil || made.Code.IsZero() {
		t.Fatalf("no code in %s: %v", reply.body, err)
	}
	secrets["password code"] = made.Code.Expose()
	v.post("/signin", "email", adaEmail, "password", adaPassword+"x").want(t, "with another password", 401)
	u, err := url.Parse(r.PagesURL())
	if err != nil {
		t.Fatal(err)
	}
	for _, cookie := range v.client.Jar.Cookies(u) {
		secrets["cookie "+cookie.Name] = cookie.Value
	}
	secrets["session"] = v.cookie("latchward_local")
	if len(secrets["session"]) < 40 {
		t.Fatalf("cookies %v", v.client.Jar.Cookies(u))
	}
	return secrets
}

// misuse sends a credential in every way that people get wrong.
func misuse(t *testing.T, r *running, note func(answer), secret string) {
	t.Helper()
	note(get(t, r.URL()+"/api/products?store_id=1", "Bearer "+secret))
	note(get(t, r.URL()+"/api/products?access_token="+secret, ""))
	note(get(t, r.URL()+"/api/products?token="+secret, "Bearer "+secret))
	note(get(t, r.URL()+"/api/api-tokens?q="+secret, "Bearer "+secret))
	note(get(t, r.URL()+"/"+secret, ""))
	note(get(t, r.URL()+"/api/latchward/"+secret, ""))
	note(get(t, r.URL()+"/api/products", "Basic "+secret))
	note(get(t, r.URL()+"/api/products", "Bearer "+secret+", Bearer "+secret))
	note(get(t, r.URL()+"/api/products", "Bearer x"+secret))
	for _, path := range []string{"/oauth/token", "/oauth/introspect", "/oauth/revoke"} {
		form := url.Values{
			"grant_type": {oauth.GrantExchange}, "subject_token": {"x" + secret}, "subject_token_type": {oauth.TypeJWT},
			"token": {"x" + secret}, "scope": {secret}, "latchward_name": {secret}, secret: {secret},
		}
		note(postForm(t, http.DefaultClient, r.URL()+path, form))
		note(postForm(t, http.DefaultClient, r.URL()+path+"?subject_token="+secret+"&token="+secret, form))
		form.Set("subject_token", secret)
		note(postForm(t, http.DefaultClient, r.URL()+path, form))
	}
	body := `{"token":"` + secret + `","path":"/products","unknown":"` + secret + `"}`
	note(send(t, http.DefaultClient, "POST", r.URL()+"/api/latchward/verify", "Bearer "+secret, strings.NewReader(body)))
	note(send(t, http.DefaultClient, "POST", r.URL()+"/api/api-tokens", "Bearer "+secret, strings.NewReader(body)))
	note(send(t, http.DefaultClient, "PUT", r.URL()+"/api/api-tokens/1", "Bearer "+r.jwt(t).Expose(), strings.NewReader(body)))
}

// collect reads all files of a data folder but those that hold secrets on purpose.
func collect(t *testing.T, folder string, into map[string]string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || entry.Name() == "keys" || entry.Name() == "jwt-secret" {
			return err
		}
		text, err := os.ReadFile(path)
		into[entry.Name()] += string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func reversed(text string) string {
	var b strings.Builder
	for i := len(text) - 1; i >= 0; i-- {
		b.WriteByte(text[i])
	}
	return b.String()
}
