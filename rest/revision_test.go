package rest_test

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

// revised are the records that have a revision, each with a change.
var revised = map[string]struct{ target, change string }{
	"token":   {"/api/api-tokens/2", `{"description":"%s"}`},
	"user":    {"/api/latchward/users/2", `{"name":"%s"}`},
	"role":    {"/api/latchward/roles/4", `{"title":"%s"}`},
	"group":   {"/api/latchward/groups/1", `{"title":"%s"}`},
	"license": {"/api/latchward/licenses/1", `{"title":"%s"}`},
}

func (w *world) put(target, bearer, ifMatch, body string) (status int, etag, text string) {
	r := newRequest(http.MethodPut, target, body)
	r.Header.Set("Authorization", "Bearer "+bearer)
	if ifMatch != "" {
		r.Header.Set("If-Match", ifMatch)
	}
	answer := w.serve(r)
	return answer.Code, answer.Header().Get("ETag"), answer.Body.String()
}

// bar 109: GET sends a tag, PUT honours it, and works without one.
func TestRevisions(t *testing.T) {
	strong := regexp.MustCompile(`^"[-_0-9A-Za-z]{22}"$`)
	for name, c := range revised {
		t.Run(name, func(t *testing.T) {
			w := newPopulated(t)
			first := w.do(http.MethodGet, c.target, adminJWT, "").Header().Get("ETag")
			if again := w.do(http.MethodGet, c.target, adminJWT, "").Header().Get("ETag"); !strong.MatchString(first) ||
				again != first {
				t.Fatalf("ETag %s, then %s", first, again)
			}
			status, second, text := w.put(c.target, adminJWT, first, fmt.Sprintf(c.change, "a"))
			if status != http.StatusOK || second == first { // within the same millisecond
				t.Errorf("fresh: status %d, ETag %s: %s", status, second, text)
			}
			if shown := w.do(http.MethodGet, c.target, adminJWT, "").Header().Get("ETag"); shown != second {
				t.Errorf("PUT answers with the ETag %s, GET then with %s", second, shown)
			}
			for ifMatch, want := range map[string]int{
				first: 412, `"other"`: 412, "W/" + second: 412, `"x", ` + first: 412,
				"x": 400, `"`: 400, `""`: 400, `"a" "b"`: 400, second + ",": 400, "*,": 400,
			} {
				status, tag, text := w.put(c.target, adminJWT, ifMatch, fmt.Sprintf(c.change, "lost"))
				if status != want || tag != "" {
					t.Errorf("If-Match: %s: status %d, want %d: %s", ifMatch, status, want, text)
				}
			}
			if shown := w.do(http.MethodGet, c.target, adminJWT, "").Header().Get("ETag"); shown != second {
				t.Errorf("a refused change changed something")
			}
			for i, ifMatch := range []string{second, "", "*"} {
				if status, _, text := w.put(c.target, adminJWT, ifMatch, fmt.Sprintf(c.change, fmt.Sprint(i))); status != 200 {
					t.Errorf("If-Match: %s: status %d: %s", ifMatch, status, text)
				}
			}
			_, tag, _ := w.put(c.target, adminJWT, "", fmt.Sprintf(c.change, "b"))
			if status, _, text := w.put(c.target, adminJWT, `"other", `+tag, fmt.Sprintf(c.change, "c")); status != 200 {
				t.Errorf("one of two: status %d: %s", status, text)
			}
		})
	}
}

// The refusal is a problem that names no field, and a conflict to the Go client.
func TestRevisionsOfTheClient(t *testing.T) {
	w := newPopulated(t)
	ctx, c := context.Background(), w.adminClient()
	read, err := c.Role(ctx, 4)
	must(t, err)
	change := rest.RoleChange{Title: rest.Some("Mine"), Revision: read.Revision}
	changed, err := c.UpdateRole(ctx, 4, change)
	must(t, err)
	_, err = c.UpdateRole(ctx, 4, change)
	wantCode(t, err, latchward.CodeConflict, "")
	change.Revision = changed.Revision
	_, err = c.UpdateRole(ctx, 4, change)
	must(t, err)
	r := newRequest(http.MethodPut, "/api/latchward/roles/4", `{}`)
	r.Header.Set("Authorization", "Bearer "+adminJWT)
	r.Header.Set("If-Match", `"old"`)
	if p := problem(t, w.serve(r)); p.Status != http.StatusPreconditionFailed || p.Code != "conflict" || p.Field != "" {
		t.Errorf("%+v", p)
	}
}

// A condition that nothing looks at is refused, so that nobody believes that it held.
func TestConditionsElsewhere(t *testing.T) {
	w := newPopulated(t)
	for method, target := range map[string]string{
		http.MethodDelete: "/api/api-tokens/2", http.MethodPost: "/api/api-tokens/2/rotate",
		http.MethodPut: "/api/latchward/groups/1/members/2",
	} {
		r := newRequest(method, target, "")
		r.Header.Set("Authorization", "Bearer "+adminJWT)
		r.Header.Set("If-Match", "*")
		if p := problem(t, w.serve(r)); p.Status != http.StatusBadRequest || p.Field != "If-Match" {
			t.Errorf("%s %s: %+v", method, target, p)
		}
	}
}

// bar 109: two administrators who both send what they read lose nothing of each other's changes.
func TestNoLostUpdate(t *testing.T) {
	const rounds, target = 1000, "/api/latchward/roles/4"
	w := newPopulated(t)
	add := func(mine string) {
		for range rounds {
			for status := 0; status != http.StatusOK; {
				read := w.do(http.MethodGet, target, adminJWT, "")
				reply := decode[rest.RoleReply](t, read, http.StatusOK)
				text := mine
				if reply.Role.Description != nil {
					text += *reply.Role.Description
				}
				status, _, _ = w.put(target, adminJWT, read.Header().Get("ETag"), `{"description":"`+text+`"}`)
				if status != http.StatusOK && status != http.StatusPreconditionFailed {
					t.Errorf("status %d", status)
					return
				}
			}
		}
	}
	var both sync.WaitGroup
	both.Go(func() { add("a") })
	both.Go(func() { add("b") })
	both.Wait()
	role, err := w.service.Role(asAdmin(), 4)
	must(t, err)
	if a, b := strings.Count(role.Description, "a"), strings.Count(role.Description, "b"); a != rounds || b != rounds {
		t.Errorf("%d and %d of %d changes are left", a, b, rounds)
	}
}
