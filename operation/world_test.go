package operation_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/operation"
)

// world is a Verifier that knows a few secrets, and a Recorder.
type world struct {
	held map[string]*latchward.Rights // by secret

	mu     sync.Mutex
	asked  []latchward.VerifyRequest
	events []latchward.UsageEvent
}

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func newWorld() *world {
	return &world{held: map[string]*latchward.Rights{
		"bare": latchward.NewRights(latchward.RightsFacts{}),
		"full": latchward.NewRights(latchward.RightsFacts{
			Permissions: []string{"orders.*"}, Roles: []string{"clerk"}, Groups: []string{"store"},
			Licenses: []latchward.HeldLicense{{Name: "pro"}, {Name: "past", Until: noon}},
		}),
	}}
}

// Verify decides in the order of the service: credential, license, permissions, limit.
func (w *world) Verify(_ context.Context, r latchward.VerifyRequest) (latchward.Verdict, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, r)
	v := latchward.Verdict{Reason: latchward.ReasonNotFound, At: noon}
	rights, known := w.held[r.Secret.Expose()]
	if !known {
		return v, nil
	}
	v.Reason, v.Rights = latchward.ReasonAllowed, rights
	v.Token = latchward.VerdictToken{ID: 7, Kind: latchward.KindService}
	v.Subject = latchward.Subject{Type: latchward.SubjectToken, ID: 7, Name: r.Secret.Expose()}
	v.Limit = latchward.LimitStatus{Name: "token", Limit: 60, Window: time.Minute, Remaining: 59, Reset: noon}
	if !rights.Allows(r.Query) {
		v.Reason = latchward.ReasonInsufficientPermissions
	}
	for _, name := range r.Licenses {
		if !rights.HasLicense(name, noon) {
			v.Reason = latchward.ReasonLicenseMissing
		}
	}
	return v, nil
}

func (w *world) Record(e *latchward.UsageEvent) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, *e)
	return true
}

func newAPI(w *world) *operation.API {
	return operation.New(operation.Options{
		Verifier: w, Title: "Test", Version: "1.2.3", Base: "/api", Now: func() time.Time { return noon },
	})
}

// call sends a request and returns the status and the body, as JSON when it is.
func call(t *testing.T, h http.Handler, method, target, secret, body string) (*http.Response, map[string]any) {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if secret != "" {
		r.Header.Set("Authorization", "Bearer "+secret)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var answer map[string]any
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatalf("%s %s: not JSON: %s", method, target, w.Body)
		}
	}
	return w.Result(), answer
}
