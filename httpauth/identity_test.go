package httpauth_test

import (
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

// bar 90, 91: no spelling of a managed header gets past, and nothing else is lost
func TestStripIdentity(t *testing.T) {
	managed := []string{
		httpauth.HeaderTokenID, httpauth.HeaderSubject, httpauth.HeaderOwner, httpauth.HeaderPermissions,
		httpauth.HeaderAssertion, "X-Latchward-Anything", "X-Latchward-", "x-latchward-subject", "X_Latchward_Subject",
		"X.Latchward.Subject", "x_latchward-Token.id", "X-LATCHWARD~SUBJECT", "X!Latchward#Owner", "X-Latchward_Subject",
		"X|Latchward*Subject",
	}
	kept := []string{
		"X-Latchward", "Latchward-Subject", "X-Latchwards-Subject", "Xx-Latchward-Subject", "X--Latchward-Subject",
		"X-Forwarded-For", "Authorization", "X", "", "Xlatchwardsubject", "Xalatchwardbsubject",
	}
	h := http.Header{}
	for _, name := range slices.Concat(managed, kept) {
		h[name] = []string{"user:1"}
	}
	httpauth.StripIdentity(h)
	got := slices.Sorted(maps.Keys(h))
	slices.Sort(kept)
	if !slices.Equal(got, kept) {
		t.Errorf("left %q, want %q", got, kept)
	}
	httpauth.StripIdentity(nil) // as Request.Trailer may be
}

// bar 94: who is asking, and nothing of the secret
func TestSetIdentity(t *testing.T) {
	token := latchward.VerdictToken{
		ID: 7, Owner: latchward.Owner{Type: latchward.OwnerUser, ID: 3, Name: "Ada\r\nX: y"},
		Permissions: []string{"orders.read", "orders.write"},
	}
	person := latchward.Subject{Type: latchward.SubjectUser, ID: 3, Name: "Ada"}
	inherited, none := token, token
	inherited.Permissions, none.Permissions = nil, []string{}
	tests := map[string]struct {
		verdict latchward.Verdict
		want    map[string]string
	}{
		"personal token": {latchward.Verdict{Token: inherited, Subject: person}, map[string]string{
			httpauth.HeaderTokenID: "7", httpauth.HeaderSubject: "user:3", httpauth.HeaderOwner: "user:3",
		}},
		"service token": {
			latchward.Verdict{Token: token, Subject: latchward.Subject{Type: latchward.SubjectToken, ID: 7}},
			map[string]string{
				httpauth.HeaderTokenID: "7", httpauth.HeaderSubject: "token:7", httpauth.HeaderOwner: "user:3",
				httpauth.HeaderPermissions: "orders.read orders.write",
			},
		},
		"token without rights": {latchward.Verdict{Token: none, Subject: person}, map[string]string{
			httpauth.HeaderTokenID: "7", httpauth.HeaderSubject: "user:3", httpauth.HeaderOwner: "user:3",
			httpauth.HeaderPermissions: "",
		}},
		"JWT":     {latchward.Verdict{Subject: person}, map[string]string{httpauth.HeaderSubject: "user:3"}},
		"nobody":  {latchward.Verdict{}, map[string]string{}},
		"unknown": {latchward.Verdict{Reason: latchward.ReasonMissing}, map[string]string{}},
	}
	for name, test := range tests {
		h := http.Header{"Accept": {"*/*"}, "X_Latchward_Subject": {"user:1"}, httpauth.HeaderOwner: {"a", "b"}}
		httpauth.SetIdentity(h, &test.verdict)
		if h.Get("Accept") != "*/*" || len(h) != len(test.want)+1 {
			t.Errorf("%s: %v", name, h)
		}
		for header, want := range test.want {
			if got := h.Values(header); len(got) != 1 || got[0] != want {
				t.Errorf("%s: %s is %q", name, header, got)
			}
		}
	}
}
