package leak_test

import (
	"bytes"
	"context"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/leak"
)

// reporter takes those for ours that begin with "real", and counts.
type reporter struct {
	calls int
	leaks []latchward.Leak
	err   error
}

func (r *reporter) ReportLeaks(_ context.Context, _ string, leaks []latchward.Leak) ([]bool, error) {
	r.calls, r.leaks = r.calls+1, leaks
	ours := make([]bool, len(leaks))
	for i, l := range leaks {
		ours[i] = strings.HasPrefix(l.Secret.Expose(), "real")
	}
	return ours, r.err
}

type report struct {
	t        *testing.T
	receiver http.Handler
	signer   signer
}

func newReport(t *testing.T, to leak.Reporter) report {
	s, pem := newSigner(t, "current", elliptic.P256())
	return report{t, leak.Receiver(&leak.GitHub{Keys: newKeyServer(t, map[string]string{"current": pem}).URL}, to, nil), s}
}

func (r report) send(body string, edit func(*http.Request)) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodPost, leak.GitHubPath, strings.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set(leak.GitHubKeyHeader, r.signer.id)
	request.Header.Set(leak.GitHubSignatureHeader, base64.StdEncoding.EncodeToString(r.signer.sign(r.t, body)))
	if edit != nil {
		edit(request)
	}
	answer := httptest.NewRecorder()
	r.receiver.ServeHTTP(answer, request)
	return answer
}

func hashOf(text string) string {
	hash := sha256.Sum256([]byte(text))
	return hex.EncodeToString(hash[:])
}

// bar 64: GitHub is told of each match whether it is real, by its hash.
func TestReceiver(t *testing.T) {
	to := &reporter{}
	answer := newReport(t, to).send(`[{"token":"real one","type":"latchward","url":"https://github.com/a/b","source":"commit"},
		{"token":"another","type":"latchward","url":"","source":"content"}]`, nil)
	if answer.Code != http.StatusOK || answer.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("status %d %s", answer.Code, answer.Body)
	}
	var labels []map[string]string
	if err := json.Unmarshal(answer.Body.Bytes(), &labels); err != nil || len(labels) != 2 {
		t.Fatalf("answer %s", answer.Body)
	}
	for i, want := range []map[string]string{
		{"token_hash": hashOf("real one"), "token_type": "latchward", "label": "true_positive"},
		{"token_hash": hashOf("another"), "token_type": "latchward", "label": "false_positive"},
	} {
		for name, value := range want {
			if labels[i][name] != value || len(labels[i]) != len(want) {
				t.Errorf("label %d is %v, want %v", i, labels[i], want)
			}
		}
	}
	if to.leaks[0].Address != "https://github.com/a/b" || to.leaks[0].Source != "commit" || to.calls != 1 {
		t.Errorf("reported %+v", to.leaks[0])
	}
	if empty := newReport(t, to).send(`[]`, nil); empty.Code != 200 || strings.TrimSpace(empty.Body.String()) != "[]" {
		t.Errorf("an empty report: %d %s", empty.Code, empty.Body)
	}
}

// bar 63, bar 64: what GitHub did not sign touches nothing.
func TestReceiverRefuses(t *testing.T) {
	const body = `[{"token":"real","type":"latchward","url":"u"}]`
	for name, c := range map[string]struct {
		body   string
		edit   func(*http.Request)
		status int
	}{
		"no signature":      {body, func(r *http.Request) { r.Header.Del(leak.GitHubSignatureHeader) }, 401},
		"no key":            {body, func(r *http.Request) { r.Header.Del(leak.GitHubKeyHeader) }, 401},
		"an unknown key":    {body, func(r *http.Request) { r.Header.Set(leak.GitHubKeyHeader, "other") }, 401},
		"another body":      {body, func(r *http.Request) { r.Body = http.NoBody }, 401},
		"by GET":            {body, func(r *http.Request) { r.Method = http.MethodGet }, 400},
		"another media":     {body, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 400},
		"an object":         {`{"token":"marked"}`, nil, 400},
		"no JSON":           {`[{"token":"marked`, nil, 400},
		"more than allowed": {strings.Repeat(" ", leak.MaxReport) + "[]", nil, 400},
	} {
		to := &reporter{}
		answer := newReport(t, to).send(c.body, c.edit)
		if answer.Code != c.status || to.calls != 0 || bytes.Contains(answer.Body.Bytes(), []byte("marked")) {
			t.Errorf("%s: %d %s, %d reports dealt with; want %d and none", name, answer.Code, answer.Body, to.calls, c.status)
		}
	}
}

// When nothing could be done GitHub is told so, and sends the report again.
func TestReceiverFails(t *testing.T) {
	to := &reporter{err: latchward.Errorf(latchward.CodeUnavailable, "the store is away")}
	answer := newReport(t, to).send(`[{"token":"real"}]`, nil)
	if answer.Code != http.StatusServiceUnavailable || strings.Contains(answer.Body.String(), "label") {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
}
