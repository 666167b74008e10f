package oauth_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/oauth"
)

// Every endpoint that takes parameters takes them one way, and says what is wrong in one way.
func TestForms(t *testing.T) {
	w := newWorld(t, nil)
	id, jwt := w.user(t, "ada")
	verifier := w.verifier(t, id).Secret.Expose()
	const form = "application/x-www-form-urlencoded"
	good := exchanging(jwt).Encode()
	for _, test := range []struct {
		name, method, contentType, body string
		status                          int
	}{
		{"JSON", "POST", "application/json", `{"grant_type":"x"}`, 415},
		{"multipart", "POST", "multipart/form-data; boundary=x", "--x--", 415},
		{"text", "POST", "text/plain", good, 415},
		{"no type", "POST", "", good, 415},
		{"another charset", "POST", form + "; charset=latin1", good, 415},
		{"a type that cannot be read", "POST", form + "; =", good, 415},
		{"nothing", "POST", form, "", 400},
		{"a huge body", "POST", form, good + "&x=" + strings.Repeat("y", oauth.MaxForm), 413},
		{"a bad escape", "POST", form, good + "&x=%zz", 400},
		{"a semicolon", "POST", form, good + "&x=a;b", 400},
		{"not UTF-8", "POST", form, good + "&scope=%ff", 400},
		{"GET", "GET", "", "", 405}, {"PUT", "PUT", form, good, 405}, {"OPTIONS", "OPTIONS", "", "", 405}, {"HEAD", "HEAD", "", "", 405},
	} {
		for _, path := range []string{oauth.TokenPath, oauth.IntrospectPath, oauth.RevokePath} {
			t.Run(test.name+path, func(t *testing.T) {
				header := []string{"Content-Type", test.contentType}
				if path == oauth.IntrospectPath {
					header = append(header, "Authorization", "Bearer "+verifier)
				}
				a := w.send(t, test.method, path, test.body, header...)
				if test.method == "HEAD" {
					if a.status != test.status {
						t.Errorf("answered %d", a.status)
					}
					return
				}
				if text := a.fault(t, test.status, "invalid_request"); strings.Contains(text, jwt[:20]) {
					t.Errorf("the answer repeats the body: %s", text)
				}
				if test.status == 405 && a.header.Get("Allow") != "POST" {
					t.Errorf("Allow is %q", a.header.Get("Allow"))
				}
			})
		}
	}
	for _, name := range []string{"grant_type", "subject_token", "subject_token_type", "scope", "client_id", "latchward_name", "strange"} {
		w.send(t, "POST", oauth.TokenPath, good+"&"+name+"=a&"+name+"=b", "Content-Type", form).fault(t, 400, "invalid_request")
	}
	w.send(t, "POST", oauth.IntrospectPath, "token=a&token=b", "Content-Type", form, "Authorization", "Bearer "+verifier).
		fault(t, 400, "invalid_request")
	w.send(t, "POST", oauth.RevokePath, "token=a&token=b", "Content-Type", form).fault(t, 400, "invalid_request")
	for _, query := range []string{"?grant_type=x", "?token=" + verifier, "?access_token=x"} {
		w.send(t, "POST", oauth.TokenPath+query, good, "Content-Type", form).fault(t, 400, "invalid_request")
	}
	w.send(t, "POST", oauth.TokenPath, good, "Content-Type", form, "Content-Encoding", "gzip").fault(t, 415, "invalid_request")
	w.send(t, "POST", oauth.TokenPath, good, "Content-Type", form, "Content-Type", "application/json").fault(t, 415, "invalid_request")
	// What nobody knows is ignored, and what is empty is not there (RFC 6749 §3.2).
	w.send(t, "POST", oauth.TokenPath, good+"&strange=x&scope=&scope=", "Content-Type", form+"; charset=UTF-8").issued(t)
	if strings.Contains(w.log.String(), verifier) || strings.Contains(w.log.String(), jwt) {
		t.Error("the log holds a credential")
	}
}

func TestOtherPaths(t *testing.T) {
	w := newWorld(t, nil)
	for _, path := range []string{"/", "/oauth", "/oauth/", "/oauth/authorize", "/oauth/token/", "/oauth//token", "/oauth/%74oken", "/.well-known/x"} {
		w.send(t, "GET", path, "").fault(t, http.StatusNotFound, "invalid_request")
	}
}

// RFC 8414 §2: all endpoints are named, below the issuer.
func TestMetadata(t *testing.T) {
	w := newWorld(t, nil)
	a := w.send(t, "GET", oauth.MetadataPath, "")
	var members map[string]any
	if err := json.Unmarshal([]byte(a.body), &members); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"issuer": issuer, "token_endpoint": issuer + "/oauth/token", "introspection_endpoint": issuer + "/oauth/introspect",
		"revocation_endpoint": issuer + "/oauth/revoke",
	} {
		if members[name] != want {
			t.Errorf("%s is %v", name, members[name])
		}
	}
	for _, name := range []string{"response_types_supported", "grant_types_supported", "token_endpoint_auth_methods_supported"} {
		if _, ok := members[name].([]any); !ok {
			t.Errorf("%s is %v, want a list", name, members[name])
		}
	}
	if got := a.header.Get("Cache-Control"); got != "public, max-age=300" || a.header.Get("Pragma") != "" {
		t.Errorf("Cache-Control is %q", got)
	}
	if a = w.send(t, "HEAD", oauth.MetadataPath, ""); a.status != http.StatusOK {
		t.Errorf("HEAD answered %d", a.status)
	}
	w.send(t, "POST", oauth.MetadataPath, "").fault(t, http.StatusMethodNotAllowed, "invalid_request")
}

// A store that does not answer is no refusal, and nobody is told more.
func TestUnavailable(t *testing.T) {
	w := newWorld(t, func(o *oauth.Options) { o.Persons = broken{} })
	a := w.exchange(t, "a.b.c")
	if text := a.fault(t, http.StatusServiceUnavailable, "temporarily_unavailable"); strings.Contains(text, "secret detail") ||
		a.header.Get("Retry-After") == "" {
		t.Errorf("answered %s", a.body)
	}
	nobody := newWorld(t, func(o *oauth.Options) { o.Persons = nil })
	nobody.exchange(t, "a.b.c").fault(t, http.StatusBadRequest, "invalid_request")
}

func TestValidateIssuer(t *testing.T) {
	for text, want := range map[string]string{
		"https://a.example": "https://a.example", "https://a.example:8443/": "https://a.example:8443", "http://localhost:3010": "http://localhost:3010",
		"http://127.0.0.1": "http://127.0.0.1", "http://[::1]:80": "http://[::1]:80", "http://10.0.0.1": "", "http://a.example": "",
		"https://a.example/x": "", "https://a.example?": "", "https://a.example#x": "", "https://u@a.example": "", "//a.example": "",
		"mailto:x": "", "": "", "https://:80": "", "https://a b": "",
	} {
		got, err := oauth.ValidateIssuer(text)
		if got != want || (err == nil) == (want == "") || err != nil && latchward.ErrorField(err) != "issuer" {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

// Whoever reads parameters reads all of them, or none.
func FuzzForm(f *testing.F) {
	f.Add("grant_type=a&scope=b%20c")
	f.Add("a=1&a=2")
	f.Add("a=&a=&b=%ff;c")
	f.Add(url.Values{"resource": {"x", "y"}}.Encode())
	f.Fuzz(func(t *testing.T, text string) {
		got, err := oauth.ParseForm(text, "resource")
		want, wantErr := url.ParseQuery(text)
		if wantErr != nil {
			if err == nil {
				t.Fatalf("%q was read", text)
			}
			return
		}
		for name, values := range got {
			if len(values) == 0 || len(values) > 1 && name != "resource" || values[0] == "" {
				t.Fatalf("%q: %q is %q", text, name, values)
			}
		}
		for name, values := range want {
			if _, ok := got[name]; err == nil && !ok && strings.Join(values, "") != "" {
				t.Fatalf("%q: %q is lost", text, name)
			}
		}
	})
}

// broken cannot tell who anybody is.
type broken struct{}

func (broken) Authenticate(context.Context, latchward.Secret) (latchward.Principal, error) {
	return latchward.Principal{}, latchward.Errorf(latchward.CodeUnavailable, "secret detail")
}

// RFC 6749 §5.2: what an error_description may hold.
func TestDescriptions(t *testing.T) {
	for text, want := range map[string]string{
		`say "x" or \y`: "say 'x' or /y", "two\r\nlines\x00": "two??lines?", "Größe €": "Gr??e ?", "plain ~!#[]": "plain ~!#[]", "\x7f": "?",
	} {
		if got := oauth.Describable(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}
