package server_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
	"github.com/latchward/latchward/server"
)

func local(t *testing.T, c server.Config) *rest.Client {
	t.Helper()
	client, done, err := server.OpenLocal(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := done(); err != nil {
			t.Error(err)
		}
	})
	return client
}

// whoCreated returns the actor of the newest entry about a created user.
func whoCreated(t *testing.T, client *rest.Client) rest.Actor {
	t.Helper()
	audit, err := client.Audit(t.Context(), rest.AuditQuery{
		AuditSelection: rest.AuditSelection{Action: latchward.ActionUserCreate}, Limit: 1,
	})
	if err != nil || len(audit.Entries) != 1 {
		t.Fatalf("%+v, %v", audit, err)
	}
	return audit.Entries[0].Actor
}

func TestLocalThroughTheSocket(t *testing.T) {
	r := start(t, settings(t, folder(t), "upstreams", upstream(t)))
	id, secret := r.token(t, rest.NewToken{})
	client := local(t, r.config)
	if _, err := client.CreateUser(t.Context(), rest.NewUser{Email: rest.Some("eve@example.com")}); err != nil {
		t.Fatal(err)
	}
	if actor := whoCreated(t, client); actor.Type != latchward.PrincipalLocal || actor.Name != "local administrator" {
		t.Errorf("the audit entry names %+v", actor)
	}
	get(t, r.URL()+"/api/products", "Bearer "+secret).want(t, "before", 200)
	if _, err := client.RevokeToken(t.Context(), id, rest.Revocation{}); err != nil {
		t.Fatal(err)
	}
	get(t, r.URL()+"/api/products", "Bearer "+secret).want(t, "the very next request", 401)
}

// The socket speaks for the local administrator, and for nobody else: what it serves is our API alone.
func TestSocketServesNothingElse(t *testing.T) {
	r := start(t, settings(t, folder(t), "upstreams", upstream(t)))
	connection, err := net.Dial("unix", filepath.Join(r.config.Data, "latchward.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	connection.Write([]byte("GET /api/products HTTP/1.0\r\nHost: localhost\r\n\r\n"))
	answer := make([]byte, 12)
	if _, err := connection.Read(answer); err != nil || string(answer) != "HTTP/1.1 404" && string(answer) != "HTTP/1.0 404" {
		t.Errorf("%q, %v", answer, err)
	}
}

func TestLocalInProcess(t *testing.T) {
	c, _ := used(t)
	client, done, err := server.OpenLocal(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateUser(t.Context(), rest.NewUser{Email: rest.Some("eve@example.com")}); err != nil {
		t.Fatal(err)
	}
	if actor := whoCreated(t, client); actor.Type != latchward.PrincipalLocal {
		t.Errorf("the audit entry names %+v", actor)
	}
	list, err := client.Tokens(t.Context(), rest.TokenQuery{})
	if err != nil || len(list.Tokens) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := client.Token(t.Context(), 99); latchward.ErrorCode(err) != latchward.CodeNotFound {
		t.Errorf("a token that is not there: %v", err)
	}
	if _, err := client.RotateKey(t.Context()); err != nil {
		t.Error(err)
	}
	if err := done(); err != nil {
		t.Error(err)
	}
	start(t, c) // the database was given back
}

// A socket that a killed server left behind is in nobody's way.
func TestStaleSocket(t *testing.T) {
	c, secret := used(t)
	path := filepath.Join(c.Data, "latchward.sock")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	listener.Close()
	client, done, err := server.OpenLocal(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Tokens(t.Context(), rest.TokenQuery{}); err != nil {
		t.Error(err)
	}
	if err := done(); err != nil {
		t.Fatal(err)
	}
	r := start(t, c)
	get(t, r.URL()+"/api/products", "Bearer "+secret).want(t, "request", 200)
	local(t, c)
}

func TestLocalWithoutADatabase(t *testing.T) {
	c := settings(t, filepath.Join(folder(t), "none"))
	_, _, err := server.OpenLocal(t.Context(), c)
	if latchward.ErrorCode(err) != latchward.CodeNotFound || !strings.Contains(err.Error(), "latchward serve") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(c.Data); err == nil {
		t.Error("a folder was made")
	}
}

func TestSchemaAndMigrate(t *testing.T) {
	c := settings(t, filepath.Join(folder(t), "made"))
	if _, err := server.Schema(t.Context(), c); latchward.ErrorCode(err) != latchward.CodeNotFound {
		t.Errorf("without a folder: %v", err)
	}
	if err := server.Migrate(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	status, err := server.Schema(t.Context(), c)
	if err != nil || status.Current != status.Latest || status.Latest == 0 || len(status.Pending) != 0 {
		t.Errorf("%+v, %v", status, err)
	}
	r := start(t, c) // makes a key ring: the database has seen none
	if _, err := server.Schema(t.Context(), r.config); latchward.ErrorCode(err) != latchward.CodeConflict {
		t.Errorf("while a server runs: %v", err)
	}
}

func TestMintJWT(t *testing.T) {
	c := settings(t, folder(t))
	c.JWTSecret = latchward.SecretFromText(goodSecret)
	r := start(t, c)
	ordinary, err := server.MintJWT(c, server.Person{Subject: "bob", ExpiresIn: 1e9})
	if err != nil {
		t.Fatal(err)
	}
	get(t, r.URL()+"/api/latchward/users", "Bearer "+ordinary.Expose()).want(t, "an ordinary person", 403)
	get(t, r.URL()+"/api/latchward/users", "Bearer "+r.jwt(t).Expose()).want(t, "an administrator", 200)
	if _, err := os.Stat(filepath.Join(c.Data, "jwt-secret")); err == nil {
		t.Error("a secret was made although one is configured")
	}
	c.JWTSecret, c.JWKSURL = latchward.Secret{}, "https://id.example.com/jwks"
	if _, err := server.MintJWT(c, server.Person{Subject: "bob", ExpiresIn: 1e9}); latchward.ErrorCode(err) != latchward.CodeConflict {
		t.Errorf("with an identity provider: %v", err)
	}
}

func TestCreateUsersOff(t *testing.T) {
	r := start(t, settings(t, folder(t), "jwt.create_users", "false"))
	get(t, r.URL()+"/api/api-tokens", "Bearer "+r.jwt(t).Expose()).want(t, "somebody unknown", 401)
}

func TestCheckTouchesNothing(t *testing.T) {
	data := filepath.Join(folder(t), "none")
	if err := server.Check(settings(t, data, "upstreams", "http://127.0.0.1:1")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(data); err == nil {
		t.Error("a folder was made")
	}
	c := settings(t, data)
	c.JWKSFile = filepath.Join(data, "jwks.json")
	if err := server.Check(c); err == nil {
		t.Error("a missing JWKS is not noticed")
	}
	if err := server.Check(settings(t, data, "upstreams", "http://127.0.0.1:1/a//b")); err == nil {
		t.Error("an upstream that the gateway refuses is not noticed")
	}
}
