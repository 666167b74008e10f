//go:build servers

package gateway_test

import (
	"net/http"
	"testing"

	"github.com/latchward/latchward"
)

// bar 20: a cache between clients and the gateway answers nobody in its place, whatever the upstream says about keeping
// its answers.
func TestSharedCacheKeepsNoVerdict(t *testing.T) {
	said := map[string]string{
		"": "", "/public": "public, max-age=600", "/shared": "s-maxage=600", "/immutable": "max-age=600, immutable",
	}
	w := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for end, header := range said {
			if len(r.URL.Path) > len(end) && r.URL.Path[len(r.URL.Path)-len(end):] == end && header != "" {
				w.Header().Set("Cache-Control", header)
			}
		}
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Last-Modified", "Sat, 01 Nov 2025 10:00:00 GMT")
		_, _ = w.Write([]byte("secret data"))
	}))
	cache := runNginx(t, t.TempDir(), "testdata/cache/nginx.conf", "GATEWAY", w.address, "UPSTREAM", w.upstream.address)
	ask := line{address: cache}
	defer ask.close()
	want := func(what, path, token string, status int) {
		t.Helper()
		a := ask.get(t, path, token)
		if a.status != status || a.header.Get("X-Cache") != "MISS" {
			t.Errorf("%s, %s: %d, %s", what, path, a.status, a.header.Get("X-Cache"))
		}
	}
	for end := range said {
		if a := ask.get(t, "/bare/x"+end, "x"); a.status != 200 {
			t.Fatalf("the upstream alone: %d", a.status)
		}
		if a := ask.get(t, "/bare/x"+end, "x"); a.header.Get("X-Cache") != "HIT" {
			t.Fatalf("the cache keeps nothing at all: %v", a.header)
		}
		id, token := w.create(latchward.NewToken{AllowedEndpoints: []string{"/x*", "/later*"}})
		path := "/api/x" + end
		want("who may", path, token, 200)
		want("a stranger after who may", path, "lw_nonsense", 401)
		want("who may, again", path, token, 200)
		want("a stranger", "/api/later"+end, "lw_nonsense", 401)
		want("who may after a stranger", "/api/later"+end, token, 200)
		want("who may not", "/api/never"+end, token, 403)
		if _, err := w.service.RevokeToken(local(), id, latchward.Revocation{}); err != nil {
			t.Fatal(err)
		}
		want("whose token was revoked", path, token, 401)
	}
}
