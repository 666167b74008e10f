package latchward

import (
	"fmt"
	"strings"
	"testing"
)

// S2-28, bar 99
func TestEndpointNames(t *testing.T) {
	for path, want := range map[string]string{
		"/": "/", "": "", "/products": "/products", "/products/": "/products/", "*": "*", "[redacted]": "[redacted]",
		"/products/17": "/products/{id}", "/products/17/": "/products/{id}/", "/products/17/prices/3": "/products/{id}/prices/{id}",
		"/stores/0/2026-11-22":                              "/stores/{id}/{id}",
		"/users/550e8400-e29b-41d4-a716-446655440000":       "/users/{id}",
		"/commits/9fceb02d0ae598e95dc970b74767f19372d61af8": "/commits/{id}",
		"/commits/9fceb02d":                                 "/commits/{id}", "/orders/ORD-12345": "/orders/{id}", "/orders/ord_99887": "/orders/{id}",
		"/customers/cus_4QJ9fK2xYz1": "/customers/{id}", "/events/01ARZ3NDEKTSV4RRFFQ69G5FAV": "/events/{id}",
		"/shoes/red-shoe-10432": "/shoes/{id}", "/users/ann@example.com": "/users/{id}", "/users/ann%40example.com": "/users/{id}",
		"/keys/a:b": "/keys/{id}", "/posts/how-to-train-your-dragon": "/posts/{id}", "/files/AbCdEfGhIjKlMnOpQrS1": "/files/{id}",
		"/words/" + strings.Repeat("a", 41): "/words/{id}", "/words/" + strings.Repeat("a", 40): "/words/" + strings.Repeat("a", 40),
		"/v1/products": "/v1/products", "/v999": "/v999", "/v1000": "/{id}", "/oauth2/token": "/oauth2/token", "/s3": "/s3",
		"/facade": "/facade", "/deadbeef": "/deadbeef", "/meta": "/meta", "/api-tokens": "/api-tokens",
		"/rate-limit-policies": "/rate-limit-policies", "/robots.txt": "/robots.txt", "/well_known": "/well_known",
		"/user/alice": "/user/alice", "/{id}": "/{id}", "/products/{id}/prices": "/products/{id}/prices", "/1.0/a": "/1.0/a",
	} {
		if got := string(appendEndpointName(nil, path)); got != want {
			t.Errorf("%s is named %s, want %s", path, got, want)
		}
	}
}

func FuzzEndpointName(f *testing.F) {
	for _, path := range []string{"/", "/a/17", "/v1/{id}/", "x", "//", "/a//b"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		name := string(appendEndpointName(nil, path))
		if again := string(appendEndpointName(nil, name)); again != name {
			t.Errorf("%q is named %q, which is named %q", path, name, again)
		}
		if strings.Count(name, "/") != strings.Count(path, "/") {
			t.Errorf("%q is named %q", path, name)
		}
		if collapsed := newNamesOf().collapse(name); collapsed != name {
			t.Errorf("%q collapses to %q though nothing is known", name, collapsed)
		}
	})
}

func newNamesOf(known ...string) *endpointNames {
	n := newEndpointNames(known)
	return &n
}

func requestOf(token TokenID, path string, status int) *UsageEvent {
	return &UsageEvent{TokenID: token, Endpoint: path, Status: status, Reason: ReasonAllowed}
}

// What looks like a word may be a name: below a path with many of them a further one is an id. Those that are known stay,
// also after a restart.
func TestManyWordsBelowAPath(t *testing.T) {
	n := newNamesOf()
	for i := range 100 {
		word := "/user/" + word(i)
		want := word + "/posts"
		if i >= maxChildren {
			want = "/user/{id}/posts"
		}
		if got := n.name(requestOf(TokenID(i), word+"/posts", 200)); got != want {
			t.Fatalf("%s is named %s, want %s", word, got, want)
		}
	}
	if got := n.name(requestOf(1, "/user/"+word(3)+"/photos", 200)); got != "/user/"+word(3)+"/photos" {
		t.Errorf("a known word became %s", got)
	}
	var known []string
	for name := range n.known {
		known = append(known, name)
	}
	again := newNamesOf(known...)
	for _, path := range []string{"/user/" + word(3) + "/posts", "/user/" + word(90) + "/posts", "/user/" + word(99) + "/x", "/user"} {
		if before, after := n.name(requestOf(1, path, 200)), again.name(requestOf(1, path, 200)); before != after {
			t.Errorf("%s was named %s, and %s after a restart", path, before, after)
		}
	}
}

// word returns the n-th of many words without digits.
func word(n int) string { return strings.Repeat(string(rune('a'+n%26)), 2+n/26) }

// bar 99: whatever paths come, there are no more than so many names; neither one token nor requests in vain can use up
// what there is room for.
func TestNamesAreBounded(t *testing.T) {
	n := newNamesOf()
	path := func(i int) string {
		return "/" + word(i%60) + "/" + word(i/60%60) + "/" + word(i/3600%60)
	}
	for i := range 1000 {
		n.name(requestOf(7, path(i), 200))
	}
	if len(n.known) != maxTaughtNames {
		t.Errorf("one token taught %d names, want %d", len(n.known), maxTaughtNames)
	}
	for i := range 1000 {
		n.name(requestOf(TokenID(100+i), "/vain"+path(i), 404))
	}
	if len(n.known) != maxTaughtNames+maxVainNames {
		t.Errorf("with requests in vain there are %d names", len(n.known))
	}
	for i := range 20_000 {
		n.name(requestOf(TokenID(2000+i), path(i), 200))
	}
	if len(n.known) != maxEndpointNames || len(n.words) > 4*maxEndpointNames {
		t.Errorf("there are %d names of %d words", len(n.known), len(n.words))
	}
	if got := n.name(requestOf(9, "/quite/new", 200)); got != OtherEndpoint {
		t.Errorf("one more is named %s", got)
	}
	if got := n.name(requestOf(9, strings.Repeat("/1", 100), 200)); got != OtherEndpoint {
		t.Errorf("a name that is too long is %s", got)
	}
}

// A million different ids are one name.
func TestIDsAreOneName(t *testing.T) {
	n := newNamesOf()
	for i := range 10_000 {
		if got := n.name(requestOf(1, fmt.Sprintf("/products/%d/prices", i), 200)); got != "/products/{id}/prices" {
			t.Fatalf("product %d is named %s", i, got)
		}
	}
}

func BenchmarkEndpointName(b *testing.B) {
	n, e := newNamesOf(), requestOf(1, "/stores/123/products/550e8400-e29b-41d4-a716-446655440000", 200)
	for b.Loop() {
		n.name(e)
	}
}
