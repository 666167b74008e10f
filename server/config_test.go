package server_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/server"
)

const goodSecret = "0123456789abcdefghijklmnopqrstuv"

// load loads a file with this text and no other source unless given.
func load(t *testing.T, text string, mode os.FileMode, environment []string, flags map[string]string) (server.Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "latchward.yaml")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return server.Load(server.Sources{File: path, Environment: environment, Flags: flags})
}

func TestDefaults(t *testing.T) {
	t.Chdir(t.TempDir())
	c, err := server.Load(server.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	if c.APIListen != "127.0.0.1:3010" || c.OperationsListen != "127.0.0.1:9464" || c.Base != "/api" ||
		c.Prefix != "lw_" || c.IdleTimeoutDays != 30 || !c.CreateUsers || c.AcceptJWT || c.Authentication != "on" {
		t.Errorf("defaults: %+v", c)
	}
}

func TestFileInTheWorkingDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile(server.DefaultFile, []byte("base: /v1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if c, err := server.Load(server.Sources{}); err != nil || c.Base != "/v1" {
		t.Errorf("base %q, %v", c.Base, err)
	}
}

func TestPrecedence(t *testing.T) {
	text := "base: /file\nprefix: file_\nidle_timeout_days: 1\n"
	c, err := load(t, text, 0o644, []string{"LATCHWARD_BASE=/environment", "LATCHWARD_PREFIX=environment_", "HOME=/x",
		"LATCHWARD_IDLE_TIMEOUT_DAYS=", "LATCHWARD_URL=http://elsewhere"}, map[string]string{"base": "/flag"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Base != "/flag" || c.Prefix != "environment_" || c.IdleTimeoutDays != 1 {
		t.Errorf("base %q, prefix %q, days %d", c.Base, c.Prefix, c.IdleTimeoutDays)
	}
}

func TestWholeFile(t *testing.T) {
	c, err := load(t, `
# comment
data: /var/lib/latchward
api:
  listen: 0.0.0.0:3010
  tls_cert: cert.pem
  tls_key: key.pem
operations: {listen: "off"}
trusted_proxies: [10.0.0.0/8, "2001:db8::1"]
upstreams:
  - http://127.0.0.1:8080
  - {prefix: /billing, url: https://billing.internal:8443/v2, websocket: false}
  - /files=http://127.0.0.1:8081
gateway:
  accept_jwt: true
  answer_timeout: 2m
jwt:
  secret: `+goodSecret+`
  issuer: https://example.com
log: {level: debug, format: json}
`, 0o600, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := "[{/ http://127.0.0.1:8080 true} {/billing https://billing.internal:8443/v2 false} {/files http://127.0.0.1:8081 true}]"
	if got := fmt.Sprint(c.Upstreams); got != want {
		t.Errorf("upstreams %s, want %s", got, want)
	}
	if got := fmt.Sprint(c.TrustedProxies); got != "[10.0.0.0/8 2001:db8::1/128]" {
		t.Errorf("trusted proxies %s", got)
	}
	if c.Data != "/var/lib/latchward" || !c.AcceptJWT || c.AnswerTimeout.Minutes() != 2 || c.LogFormat != "json" ||
		c.JWTSecret.Expose() != goodSecret || c.OperationsListen != "off" {
		t.Errorf("%+v", c)
	}
}

// bar 139: every one refuses to start and names the line or the variable.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		file, environment, want string
	}{
		"unknown key":          {"base: /api\njwt:\n  secert: x\n", "", "latchward.yaml:3: jwt.secert is not a setting; did you mean jwt.secret?"},
		"unknown section":      {"webhooks:\n  url: x\n", "", "latchward.yaml:1: webhooks is not a setting"},
		"unknown variable":     {"", "LATCHWARD_BAES=/x", "environment: LATCHWARD_BAES is not a setting; did you mean LATCHWARD_BASE?"},
		"key twice":            {"base: /a\nbase: /b\n", "", "latchward.yaml:2: base stands here twice"},
		"not YAML":             {"base: [\n", "", "latchward.yaml is not YAML"},
		"two documents":        {"base: /a\n---\nbase: /b\n", "", "more than one document"},
		"list at the top":      {"- base\n", "", "latchward.yaml:1"},
		"section as value":     {"jwt: secret\n", "", "latchward.yaml:1: jwt must hold names and values"},
		"alias":                {"jwt: &a {issuer: x}\napi: *a\n", "", "latchward.yaml:2: api must hold names and values"},
		"list for a value":     {"base: [/a]\n", "", "latchward.yaml:1: base must be a single value"},
		"mapping for a list":   {"trusted_proxies: {a: b}\n", "", "latchward.yaml:1: trusted_proxies must be a list"},
		"mapping in a list":    {"trusted_proxies:\n- {a: b}\n", "", "latchward.yaml:2: trusted_proxies[0] must be a single value"},
		"bad CIDR":             {"\ntrusted_proxies:\n  - 10.0.0.0/8\n  - 10.0.0.0/33\n", "", `latchward.yaml:4: trusted_proxies[1] "10.0.0.0/33"`},
		"bad CIDR in variable": {"", "LATCHWARD_TRUSTED_PROXIES=10.0.0.0/8,x", `LATCHWARD_TRUSTED_PROXIES: trusted_proxies "x"`},
		"everybody a proxy":    {"trusted_proxies: [0.0.0.0/0]\n", "", "latchward.yaml:1: trusted_proxies 0.0.0.0/0 trusts everybody"},
		"everybody in IPv6":    {"trusted_proxies: [\"::/0\"]\n", "", "latchward.yaml:1: trusted_proxies ::/0 trusts everybody"},
		"short secret":         {"", "LATCHWARD_JWT_SECRET=0123456789abcdefghijklmnopqrstu", "LATCHWARD_JWT_SECRET: jwt.secret is too weak"},
		"default secret":       {"", "LATCHWARD_JWT_SECRET=" + strings.Repeat("x", 40), "LATCHWARD_JWT_SECRET: jwt.secret is too weak"},
		"JWKS over HTTP":       {"jwt:\n  jwks_url: http://id.example.com/jwks\n", "", "latchward.yaml:2: jwt.jwks_url must be an https address"},
		"provider over HTTP": {"oidc:\n  issuer: http://id.example.com\n  client_id: x\n", "",
			"latchward.yaml:2: oidc.issuer must be an https address"},
		"two sources of keys": {"jwt:\n  jwks_url: https://id.example.com/jwks\n  jwks_file: x\n", "", "exclude each other"},
		"no issuer":           {"jwt: {issuer: \"\"}\n", "", "latchward.yaml:1: jwt.issuer must not be empty"},
		"plain HTTP":          {"api:\n  listen: 0.0.0.0:3010\n", "", "latchward.yaml:2: api.listen would send tokens in the clear"},
		"plain HTTP, all":     {"", "LATCHWARD_API_LISTEN=:3010", "LATCHWARD_API_LISTEN: api.listen would send tokens in the clear"},
		"half a key pair":     {"api:\n  tls_cert: x\n", "", "latchward.yaml:2: api.tls_cert and api.tls_key belong together"},
		"no port":             {"api: {listen: localhost}\n", "", "latchward.yaml:1: api.listen must be an address and a port"},
		"open metrics": {"insecure_http: true\noperations:\n  listen: 0.0.0.0:9464\n", "",
			"latchward.yaml:3: operations.listen is not loopback: set operations.secret"},
		"public profiling": {"insecure_http: true\noperations:\n  listen: 0.0.0.0:9464\n  profiling: true\n", "",
			"latchward.yaml:4: operations.profiling shows the memory"},
		"bad number":     {"idle_timeout_days: -1\n", "", "latchward.yaml:1: idle_timeout_days must be a whole number from 0 to 3650"},
		"bad flag":       {"insecure_http: yes\n", "", "latchward.yaml:1: insecure_http must be true or false"},
		"bad duration":   {"gateway: {connect_timeout: 5}\n", "", "latchward.yaml:1: gateway.connect_timeout must be a duration"},
		"bad choice":     {"log: {level: chatty}\n", "", "latchward.yaml:1: log.level must be one of debug, info, warn, error"},
		"bad prefix":     {"prefix: LW\n", "", "latchward.yaml:1: prefix is refused"},
		"bad base":       {"base: api\n", "", "latchward.yaml:1: base is refused"},
		"bad upstream":   {"upstreams:\n- http://u:p@x\n", "", "latchward.yaml:2: upstreams[0] must have a url"},
		"same upstream":  {"upstreams:\n- http://a\n- http://b\n", "", "latchward.yaml:3: upstreams[1] has the same prefix"},
		"upstream key":   {"upstreams:\n- {url: http://a, retries: 3}\n", "", "latchward.yaml:2: upstreams[0].retries is not a setting"},
		"upstream alone": {"", "LATCHWARD_UPSTREAMS=ftp://x", "LATCHWARD_UPSTREAMS: upstreams[0] must have a url"},
		"two rings":      {"", "LATCHWARD_KEYS=x LATCHWARD_KEYS_FILE=y", "LATCHWARD_KEYS: keys and keys_file are both set"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, c.file, 0o600, strings.Fields(c.environment), nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v\nwant %s", err, c.want)
			}
			if latchward.ErrorCode(err) != latchward.CodeInvalid {
				t.Errorf("code %s", latchward.ErrorCode(err))
			}
			if strings.Contains(err.Error(), "0123456789abcdef") {
				t.Errorf("the error gives a secret away: %v", err)
			}
		})
	}
}

func TestAllowed(t *testing.T) {
	for name, text := range map[string]string{
		"empty":                     "",
		"plain HTTP on loopback":    "api: {listen: \"[::1]:3010\"}\n",
		"plain HTTP behind a proxy": "api: {listen: 0.0.0.0:3010}\ntrusted_proxies: [10.1.2.3]\n",
		"plain HTTP on request":     "api: {listen: 0.0.0.0:3010}\ninsecure_http: true\n",
		"JWKS on loopback":          "jwt: {jwks_url: \"http://127.0.0.1:8080/jwks\"}\n",
		"null is the default":       "base: null\nupstreams:\n",
		"metrics with a secret":     "operations: {listen: 0.0.0.0:9464, secret: " + goodSecret + "}\ninsecure_http: true\n",
		"profiling on loopback":     "operations: {profiling: true}\n",
		"no base":                   "base: \"\"\n",
	} {
		if _, err := load(t, text, 0o600, nil, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// bar 72: a file with secrets that others can read.
func TestSecretInAReadableFile(t *testing.T) {
	_, err := load(t, "base: /api\njwt:\n  secret: "+goodSecret+"\n", 0o644, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "latchward.yaml:3: jwt.secret is a secret, and the file") {
		t.Errorf("%v", err)
	}
	if _, err := load(t, "base: /api\n", 0o644, nil, nil); err != nil {
		t.Errorf("without a secret: %v", err)
	}
}

func TestMissingFile(t *testing.T) {
	_, err := server.Load(server.Sources{File: filepath.Join(t.TempDir(), "none.yaml")})
	if err == nil || !strings.Contains(err.Error(), "none.yaml cannot be read: no such file") {
		t.Errorf("%v", err)
	}
}

// C-05: printing a configuration shows no secret.
func TestConfigRedactsSecrets(t *testing.T) {
	c, err := load(t, "", 0o600, []string{"LATCHWARD_JWT_SECRET=" + goodSecret}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("configuration", "config", c)
	if text := fmt.Sprintf("%v %+v %#v", c, c, c) + log.String(); strings.Contains(text, goodSecret) {
		t.Error("a printed configuration shows the secret")
	}
}

func TestEverySettingIsTaken(t *testing.T) {
	flags, environments := map[string]bool{}, map[string]bool{}
	for _, s := range server.Settings() {
		if s.Help == "" || s.Key == "" {
			t.Errorf("setting %+v lacks a key or help", s)
		}
		if flags[s.Flag] && s.Flag != "" || environments[s.Environment] {
			t.Errorf("%s shares a name with another setting", s.Key)
		}
		flags[s.Flag], environments[s.Environment] = true, true
		if s.Default == "" || s.Flag == "" {
			continue
		}
		if _, err := load(t, "", 0o600, nil, map[string]string{s.Key: s.Default}); err != nil {
			t.Errorf("the default of %s is refused: %v", s.Key, err)
		}
	}
	if len(environments) < 30 {
		t.Errorf("only %d settings: %v", len(environments), maps.Keys(environments))
	}
}
