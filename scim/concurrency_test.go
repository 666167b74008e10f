package scim_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
)

// bar 109: of all who change what they have seen, one does; the others are told.
func TestConditionalPatches(t *testing.T) {
	w := newWorld(t)
	path := "/Users/" + w.newUser("ada").id()
	for round := range 50 {
		seen := w.do("GET", path, "").header.Get("ETag")
		var won atomic.Int64
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				body := patchOf(fmt.Sprintf(`{"op":"replace","path":"displayName","value":"%d of %d"}`, i, round))
				switch a := w.do("PATCH", path, body, "If-Match", seen); a.status {
				case http.StatusOK:
					won.Add(1)
				case http.StatusPreconditionFailed:
				default:
					t.Errorf("status %d: %s", a.status, a.text)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 {
			t.Fatalf("round %d: %d of 4 won", round, won.Load())
		}
	}
}

// Without a condition nothing is lost either: changes of different things all happen.
func TestUnconditionalPatches(t *testing.T) {
	w := newWorld(t)
	const writers = 6
	path := "/Users/" + w.newUser("ada").id()
	for i := range writers {
		w.newUser(fmt.Sprint("user", i))
	}
	group := "/Groups/" + w.newGroup("press").id()
	var all sync.WaitGroup
	for i, operation := range []string{
		`{"op":"replace","path":"displayName","value":"Ada"}`, `{"op":"replace","path":"externalId","value":"1"}`,
		`{"op":"add","path":"emails[type eq \"work\"].value","value":"a@x.y"}`, `{"op":"replace","path":"name.familyName","value":"L"}`,
		`{"op":"replace","path":"active","value":false}`, `{"op":"replace","path":"userName","value":"lovelace"}`,
	} {
		all.Go(func() {
			for w.patch(path, operation).status == http.StatusServiceUnavailable {
			}
			w.patch(group, fmt.Sprintf(`{"op":"add","path":"members","value":[{"value":"%d"}]}`, i+2)).want(http.StatusNoContent)
		})
	}
	all.Wait()
	w.do("GET", path, "").is("displayName", "Ada", "externalId", "1", "emails.0.value", "a@x.y", "name.familyName", "L",
		"active", false, "userName", "lovelace")
	if got := w.members("2"); got != "2 3 4 5 6 7" {
		t.Errorf("members %q", got)
	}
}

// A request that is sent twice at once makes one.
func TestSameTwice(t *testing.T) {
	w := newWorld(t)
	for i := range 20 {
		var made atomic.Int64
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				switch a := w.do("POST", "/Users", fmt.Sprintf(`{%s,"userName":"user %d"}`, userURN, i)); a.status {
				case http.StatusCreated:
					made.Add(1)
				case http.StatusConflict:
				default:
					t.Errorf("status %d: %s", a.status, a.text)
				}
			})
		}
		all.Wait()
		if made.Load() != 1 {
			t.Fatalf("%d users were made", made.Load())
		}
	}
}
