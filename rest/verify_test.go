package rest_test

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
	"github.com/latchward/latchward/latchtest"
	"github.com/latchward/latchward/memory"
	"github.com/latchward/latchward/rest"
)

const verifyPath = "/api/latchward/verify"

// What a verdict says, with everything that may be in it.
func TestVerdict(t *testing.T) {
	w := newPopulated(t)
	issued := w.issue(latchward.NewToken{
		Name: `Sensor "9" <é>`, RateLimit: 2, Metadata: map[string]any{"hive": 9}, Permissions: []string{"orders.read"},
		Owner: &latchward.Owner{Type: latchward.OwnerUser, ID: int64(w.member.ID)},
	})
	caller := w.tokens[3].Secret.Expose()
	body := `{"token":"` + issued.Secret.Expose() + `","method":"GET","path":"/products/%31","address":"192.0.2.1"}`
	r := w.do(http.MethodPost, verifyPath, caller, body)
	const token = `"token":{"id":4,"name":"Sensor \"9\" <é>","kind":"personal","metadata":{"hive":9},
"owner":{"type":"user","id":2,"name":"Max"},"permissions":["orders.read"]},
"subject":{"type":"user","id":2,"name":"Max"},`
	wantSource(t, r.Body, `{"allowed":true,"reason":"allowed",`+token+`"limits":[{"name":"rate_limit","limit":2,
"remaining":1,"reset":"2025-01-15T10:31:00.000Z","current":1,"window":60}],"at":"2025-01-15T10:30:00.000Z"}`)
	w.clock.advance(500*time.Millisecond + 300*time.Microsecond)
	w.do(http.MethodPost, verifyPath, caller, body)
	r = w.do(http.MethodPost, verifyPath, caller, body)
	if r.Code != http.StatusOK {
		t.Errorf("status %d", r.Code)
	}
	wantSource(t, r.Body, `{"allowed":false,"reason":"rate_limited",`+token+`"limits":[{"name":"rate_limit","limit":2,
"remaining":0,"reset":"2025-01-15T10:31:00.000Z","current":3,"window":60}],"retry_after":60,
"at":"2025-01-15T10:30:00.500Z"}`)
	usage, err := w.service.TokenUsage(asAdmin(), issued.Token.ID, 1)
	must(t, err)
	if len(usage.Recent) != 3 { // one event for each verdict
		t.Fatalf("usage %+v", usage.Recent)
	}
	e := usage.Recent[0]
	if e.Status != 429 || e.Reason != latchward.ReasonRateLimited || e.Endpoint != "/products/1" || e.Method != "GET" ||
		e.Address != netip.MustParseAddr("192.0.2.1") || e.RequestBytes != 0 || e.ResponseBytes != 0 ||
		!e.At.Equal(w.clock.Now()) {
		t.Errorf("event %+v", e)
	}
}

// Each reason is told precisely to the caller, who is not the holder, and with 200.
func TestVerdictReasons(t *testing.T) {
	w := newPopulated(t)
	caller := w.tokens[3].Secret.Expose()
	text := func(s latchward.Secret) string { return `"` + s.Expose() + `"` }
	issued := func(n latchward.NewToken) string { return text(w.issue(n).Secret) }
	revoked := w.issue(latchward.NewToken{})
	_, err := w.service.RevokeToken(asAdmin(), revoked.Token.ID, latchward.Revocation{})
	must(t, err)
	deleted := w.issue(latchward.NewToken{})
	must(t, w.service.DeleteToken(asAdmin(), deleted.Token.ID))
	pinned := issued(latchward.NewToken{AllowedNetworks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	narrow := issued(latchward.NewToken{AllowedEndpoints: []string{"GET /a"}})
	const unproven = `,"token":null,"subject":null,"limits":[]}`
	none := `,"path":null,"method":null,"address":null,"permissions":null,"cost":null,"record":null,"dry_run":null`
	for body, want := range map[string]string{
		`""`:                 `missing"` + unproven,
		`"garbage"`:          `malformed"` + unproven,
		`"a.b.c"`:            `malformed"` + unproven,
		text(deleted.Secret): `not_found"` + unproven,
		text(revoked.Secret): `revoked","token":{"id":4}}`,
		issued(latchward.NewToken{ExpiresAt: start.Add(-time.Hour)}): `expired"}`,
		issued(latchward.NewToken{NotBefore: start.Add(time.Hour)}):  `not_yet_valid"}`,
		pinned:                                      `address_not_allowed"}`, // what is not told fails
		pinned + `,"address":"10.255.0.1"`:          `allowed"}`,
		pinned + `,"address":"::ffff:10.0.0.1"`:     `allowed"}`,
		pinned + `,"address":"11.0.0.1"`:            `address_not_allowed"}`,
		narrow:                                      `endpoint_not_allowed"}`,
		narrow + none:                               `endpoint_not_allowed"}`,
		narrow + `,"path":"/a"`:                     `endpoint_not_allowed"}`,
		narrow + `,"path":"/a","method":"POST"`:     `endpoint_not_allowed"}`,
		narrow + `,"path":"/a","method":"GET"`:      `allowed"}`,
		narrow + `,"path":"/b/../a","method":"GET"`: `bad_request"}`,
		narrow + `,"path":"/a","method":"get"`:      `bad_request"}`,
		narrow + `,"path":"/a","method":"GET","permissions":["x.y"]`:                 `allowed"}`,
		narrow + `,"path":"/a","method":"GET","permissions":["x.y","tokens.verify"]`: `insufficient_permissions"}`,
	} {
		r := w.do(http.MethodPost, verifyPath, caller, `{"token":`+body+`}`)
		if r.Code != http.StatusOK {
			t.Errorf("%s: status %d", body, r.Code)
			continue
		}
		if strings.Contains(r.Body.String(), "lw_") {
			t.Errorf("%s: the token is repeated", body)
		}
		allowed := strconv.FormatBool(strings.HasPrefix(want, "allowed"))
		wantSource(t, r.Body, `{"allowed":`+allowed+`,"reason":"`+want)
	}
}

// bar 39: what no cost can be is refused by name, and nothing is charged.
func TestVerifyInvalid(t *testing.T) {
	w := newPopulated(t)
	secret, caller := w.tokens[1].Secret, w.tokens[3].Secret.Expose()
	for member, field := range map[string]string{
		`"cost":0`: "cost", `"cost":-1`: "cost", `"cost":1.5`: "cost", `"cost":"1"`: "cost", `"cost":true`: "cost",
		`"cost":9223372036854775808`: "cost", `"cost":1e0`: "cost", `"cost":101`: "cost", `"cost":[1]`: "cost",
		`"address":"192.0.2.01"`: "address", `"address":"0xcb.0.113.5"`: "address", `"address":"fe80::1%eth0"`: "address",
		`"address":"192.0.2.1:80"`: "address", `"address":1`: "address", `"path":7`: "path", `"method":{}`: "method",
		`"permissions":"a.b"`: "permissions", `"permissions":[1]`: "permissions[0]",
		`"permissions":["a.b",null]`: "permissions[1]",
		`"record":"no"`:              "record", `"record":0`: "record", `"dry_run":1`: "dry_run", `"token":"x"`: "token",
		`"secret":"x"`:                  "secret",
		`"method":"GET","method":"PUT"`: "method",
	} {
		body := `{"token":"` + secret.Expose() + `",` + member + `}`
		r := w.do(http.MethodPost, verifyPath, caller, body)
		if p := problem(t, r); p.Status != http.StatusBadRequest || p.Field != field || strings.Contains(r.Body.String(),
			"lw_") {
			t.Errorf("%s: %s", member, r.Body)
		}
		if strings.Contains(member, "101") {
			continue // only judging tells, and in a batch that is one verdict
		}
		r = w.do(http.MethodPost, verifyPath+"/batch", caller, `{"requests":[{"token":"`+secret.Expose()+`"},`+body+`]}`)
		if p := problem(t, r); p.Status != http.StatusBadRequest || p.Field != "requests[1]."+field ||
			strings.Contains(r.Body.String(), "lw_") {
			t.Errorf("%s in a batch: %s", member, r.Body)
		}
	}
	if r := w.do(http.MethodPost, verifyPath+"?path=/a", caller, `{"token":"x"}`); r.Code != http.StatusBadRequest {
		t.Errorf("with a query: status %d", r.Code)
	}
	v, err := w.service.Verify(context.Background(), latchward.VerifyRequest{Secret: secret, DryRun: true})
	must(t, err)
	if v.Limit.Remaining != 100 {
		t.Errorf("refused requests cost %d", 100-v.Limit.Remaining)
	}
	body := `{"token":"` + secret.Expose() + `","cost":60}`
	for _, want := range []string{`{"allowed":true,"limits":[{"remaining":40}]}`,
		`{"allowed":false,"limits":[{"remaining":40}]}`} {
		wantSource(t, w.do(http.MethodPost, verifyPath, caller, body).Body, want)
	}
}

func TestVerifyBatch(t *testing.T) {
	w := newPopulated(t)
	secret, caller := w.tokens[1].Secret.Expose(), w.tokens[3].Secret.Expose()
	r := w.do(http.MethodPost, verifyPath+"/batch", caller, `{"requests":[{"token":"`+secret+`","cost":2},{"token":"none"},
{"token":"`+secret+`","cost":101},{"token":"`+secret+`","record":false}]}`)
	wantSource(t, r.Body, `{"verdicts":[{"allowed":true,"reason":"allowed","token":{"id":1},"limits":[{"remaining":98}]},
{"allowed":false,"reason":"malformed","token":null},
{"allowed":false,"token":null,"subject":null,"limits":[],"code":"invalid","field":"cost"},
{"allowed":true,"limits":[{"remaining":97}]}]}`)
	usage, err := w.service.TokenUsage(asAdmin(), 1, 1)
	must(t, err)
	if len(usage.Recent) != 1 {
		t.Errorf("%d events", len(usage.Recent))
	}
	many := strings.Repeat(`{"token":"x"},`, rest.MaxBatch-1) + `{"token":"x"}`
	if list := decode[rest.VerdictList](t, w.do(http.MethodPost, verifyPath+"/batch", caller, `{"requests":[`+many+`]}`),
		200); len(list.Verdicts) != rest.MaxBatch {
		t.Errorf("%d verdicts", len(list.Verdicts))
	}
	if p := problem(t, w.do(http.MethodPost, verifyPath+"/batch", caller,
		`{"requests":[{"token":"x"},`+many+`]}`)); p.Field != "requests" {
		t.Errorf("one too many: %+v", p)
	}
}

// The caller's own limit and restrictions hold for its calls, one for a batch; its last use is kept up to date, and
// its calls are not counted beside those it asks about.
func TestCallers(t *testing.T) {
	w := newWorld(t, nil)
	caller := w.issue(latchward.NewToken{
		Kind: latchward.KindService, RateLimit: 3, Permissions: []string{latchward.PermissionVerify},
		AllowedEndpoints: []string{"POST /latchward/verify*"},
		AllowedNetworks:  []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
	})
	bearer := caller.Secret.Expose()
	for _, status := range []int{200, 200, 200, 429} {
		r := w.do(http.MethodPost, verifyPath+"/batch", bearer, `{"requests":[{"token":"x"},{"token":"y"}]}`)
		if r.Code != status {
			t.Errorf("status %d, want %d", r.Code, status)
		}
		if status == 429 && problem(t, r).RetryAfter != 60 {
			t.Errorf("%s", r.Body)
		}
	}
	if p := problem(t, w.do(http.MethodPost, "/api/latchward/usage", bearer, `{}`)); p.Status != 403 ||
		p.Code != "endpoint_not_allowed" {
		t.Errorf("%+v", p)
	}
	list := decode[rest.TokenList](t, w.do(http.MethodGet, "/api/api-tokens", adminJWT, ""), 200)
	if got := list.Tokens[0]; got.TotalRequests != 3 || !got.LastUsedAt.Equal(start) { // one call, and two refusals
		t.Errorf("%d requests, last used %v", got.TotalRequests, got.LastUsedAt)
	}
	w.clock.advance(2 * time.Minute)
	w.do(http.MethodPost, verifyPath, bearer, `{"token":"x"}`)
	list = decode[rest.TokenList](t, w.do(http.MethodGet, "/api/api-tokens", adminJWT, ""), 200)
	if got := list.Tokens[0]; !got.LastUsedAt.Equal(w.clock.Now()) {
		t.Errorf("last used %v", got.LastUsedAt)
	}
}

// A dry run charges and records nothing.
func TestVerifyDryRun(t *testing.T) {
	w := newPopulated(t)
	body := `{"token":"` + w.tokens[1].Secret.Expose() + `","dry_run":true}`
	for range 3 {
		wantSource(t, w.do(http.MethodPost, verifyPath, w.tokens[3].Secret.Expose(), body).Body,
			`{"allowed":true,"limits":[{"remaining":100}]}`)
	}
	usage, err := w.service.TokenUsage(asAdmin(), 1, 1)
	must(t, err)
	if len(usage.Recent) != 0 {
		t.Errorf("%d events", len(usage.Recent))
	}
}

// An administrator on the Unix socket needs no token; nobody else may go without.
func TestLocalVerifier(t *testing.T) {
	w := newPopulated(t)
	for administrator, status := range map[bool]int{true: 200, false: 403} {
		r := newRequest(http.MethodPost, verifyPath, `{"token":"x"}`)
		p := latchward.Principal{Type: latchward.PrincipalLocal, Administrator: administrator}
		if answer := w.serve(r.WithContext(latchward.WithPrincipal(r.Context(), p))); answer.Code != status {
			t.Errorf("status %d, want %d", answer.Code, status)
		}
	}
}

// The hand-made encoding says what the wire type says, for every verdict there can be.
func TestVerdictEncoding(t *testing.T) {
	at := time.Date(2025, 1, 15, 10, 30, 0, 123456789, time.FixedZone("", 3600))
	tokens := []latchward.VerdictToken{{}, {ID: 1, Name: "a", Kind: latchward.KindService, Permissions: []string{},
		Owner: latchward.Owner{Type: latchward.OwnerUser, ID: 1}}, {
		ID: math.MaxInt64, Name: "\u2028 </script>\x01\"\\", Kind: latchward.KindPersonal,
		Metadata: map[string]any{"ü": []any{1.5, nil}},
		Owner:    latchward.Owner{Type: latchward.OwnerUser, ID: 3, Name: "ö"}, Permissions: []string{"a.b", "c.d"},
		MethodMatters: true,
	}}
	limits := []latchward.LimitStatus{{}, {Name: "rate_limit", Limit: 5, Window: time.Hour, Remaining: 0, Current: 6,
		Reset: at.Add(1001 * time.Millisecond)}}
	subjects := []latchward.Subject{{}, {Type: latchward.SubjectUser, ID: 4, Name: "n\n"}}
	nothing := latchward.NewRights(latchward.RightsFacts{})
	held := []*latchward.Rights{nil, nothing, latchward.NewRights(latchward.RightsFacts{
		Permissions: []string{"a.*"}, Reserved: true, Roles: []string{"r"}, Groups: []string{"g"},
		Licenses: []latchward.HeldLicense{{Name: "pro", From: start, Until: start.Add(time.Hour)}, {Name: "free"}},
		Bound: latchward.NewRights(latchward.RightsFacts{
			Permissions: []string{"a.b"}, Bound: latchward.NewRights(latchward.RightsFacts{Permissions: []string{"*"}}),
		}),
	})}
	for _, reason := range latchward.Reasons() {
		for i := range 3 * 2 * 2 {
			v := latchward.Verdict{
				Reason: reason, Token: tokens[i%3], Limit: limits[i/3%2], Subject: subjects[i/6], At: at, Rights: held[i%3],
			}
			text, err := rest.AppendVerdict(&v)
			must(t, err)
			var wire rest.Verdict
			must(t, rest.Decode(text, &wire))
			again := jsonOf(t, wire)
			if compact := jsonOf(t, json.RawMessage(text)); again != compact {
				t.Fatalf("by hand: %s\nby type: %s", compact, again)
			}
			back := rest.VerdictOf(&wire)
			if back.Reason != v.Reason || back.RetryAfter() != v.RetryAfter() || back.Subject != v.Subject ||
				!reflect.DeepEqual(back.Token, v.Token) || !sameRights(back.Rights, v.Rights) {
				t.Errorf("%+v came back as %+v", v, back)
			}
		}
	}
	for _, at := range []time.Time{at, {}, start, time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC),
		time.Date(987, 6, 5, 4, 3, 2, 1e6, time.UTC)} {
		if got, want := string(rest.AppendTime(nil, at)), `"`+httpauth.FormatTime(at)+`"`; got != want {
			t.Errorf("time %s, want %s", got, want)
		}
	}
}

func sameRights(a, b *latchward.Rights) bool {
	if a == nil || b == nil {
		return a == b
	}
	f, g := a.Facts(), b.Facts()
	return slices.Equal(f.Permissions, g.Permissions) && slices.Equal(f.Roles, g.Roles) &&
		slices.Equal(f.Groups, g.Groups) && slices.Equal(f.Licenses, g.Licenses) && f.Reserved == g.Reserved &&
		sameRights(f.Bound, g.Bound)
}

// S2-13: however milliseconds are rounded, a remote caller is told to wait as long as a local one.
func TestRetryAfterSurvives(t *testing.T) {
	for i := range 5000 {
		at := start.Add(time.Duration(i*7919) * time.Microsecond)
		wait := time.Duration(1+i%3)*time.Second - time.Duration(i%50)*100*time.Microsecond
		v := latchward.Verdict{Reason: latchward.ReasonRateLimited, At: at, Limit: latchward.LimitStatus{
			Name: "rate_limit", Limit: 1, Window: time.Minute, Reset: at.Add(wait),
		}}
		text, err := rest.AppendVerdict(&v)
		must(t, err)
		var wire rest.Verdict
		must(t, json.Unmarshal(text, &wire))
		if back := rest.VerdictOf(&wire); back.RetryAfter() != v.RetryAfter() {
			t.Fatalf("retry after %v came back as %v", v.RetryAfter(), back.RetryAfter())
		}
	}
}

// The decision table holds for the verify API and its client, as it does for the service.
func TestVerifyTable(t *testing.T) {
	newStore := func(*testing.T) latchward.Store { return memory.New() }
	latchtest.RunVerifyTable(t, "../testdata/verify", newStore, func(t *testing.T, s *latchward.Service,
		now func() time.Time) latchtest.Surface {
		return latchtest.Surface{Verify: remote(t, s, now)}
	})
}

// remote returns a Verify that asks through the client, as a local administrator.
func remote(t *testing.T, s *latchward.Service, now func() time.Time) func(context.Context,
	latchward.VerifyRequest) (latchward.Reason, int64, error) {
	handler := rest.Handler(rest.Options{Service: s, Now: now})
	client, err := rest.NewClient("http://local",
		rest.ClientOptions{HTTPClient: &http.Client{Transport: inMemory{handler}}, Now: now})
	must(t, err)
	return func(ctx context.Context, r latchward.VerifyRequest) (latchward.Reason, int64, error) {
		v, err := client.Verify(ctx, r)
		if v.Limit.Name == "" {
			return v.Reason, -1, err
		}
		return v.Reason, v.Limit.Remaining, err
	}
}

// FuzzQuestion compares the two decoders of a VerifyRequest: they must accept the same texts and read the same.
func FuzzQuestion(f *testing.F) {
	for _, seed := range []string{
		"{\"token\":\"a\nb\"}", "{\"token\":\"a\\t\nb\"}", `{"token":"x"}`,
		`{"token":"\u006c\"w","method":"GET","path":"/a","address":"::1","permissions":["a.b"],
"cost":3,"record":false,"dry_run":true}`,
		`{"token":"x","query":"a.b OR c.d","licenses":["pro",""],"rights":true}`, `{"token":"x","query":null,"rights":null}`,
		`{"token":"x","query":"a.b OR"}`, `{"token":"x","query":7}`, `{"token":"x","rights":1,"licenses":"a"}`,
		`{"token":"x","cost":0}`, `{"token":"x","cost":1.0}`, `{"token":"x","path":null}`, `{"token":"\ud83d\udc1d"}`,
		`{"token":"\ud83d"}`, ` {"token" : "" } `,
		`{"token":"x","token":"y"}`, `{"Token":"x"}`, `[]`, `{"token":"x"}{}`, `{"token":"x","permissions":[]}`,
		`{"token":"x","record":nul}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var wire rest.VerifyRequest
		slow := rest.Decode(text, &wire)
		if !json.Valid(text) && slow == nil {
			t.Fatal("the strict decoder accepts what is not JSON")
		}
		if slow != nil && strings.Contains(slow.Error(), "UTF-8") {
			return // checked before the hand-made decoder runs
		}
		fast, record, err := rest.Question(text)
		if latchward.ErrorField(err) == "address" && strings.Contains(err.Error(), "IP address") ||
			latchward.ErrorField(err) == "query" && !strings.Contains(err.Error(), "must be a text") {
			return // the wire type has a text there
		}
		if (err == nil) != (slow == nil) || latchward.ErrorField(err) != latchward.ErrorField(slow) {
			t.Fatalf("by hand: %v, by type: %v", err, slow)
		}
		if err != nil {
			return
		}
		if fast.Secret.Expose() != wire.Token.Expose() || fast.Method != wire.Method || fast.Path != wire.Path ||
			fast.Cost != wire.Cost ||
			!reflect.DeepEqual(fast.Permissions, wire.Permissions) || fast.DryRun != wire.DryRun ||
			!reflect.DeepEqual(fast.Licenses, wire.Licenses) || fast.Rights != wire.Rights ||
			!sameQuery(fast.Query, wire.Query) ||
			record != (wire.Record == nil || *wire.Record) {
			t.Fatalf("by hand: %+v %v, by type: %+v", fast, record, wire)
		}
	})
}

func sameQuery(q latchward.PermissionQuery, text string) bool {
	if text == "" {
		return q.IsZero()
	}
	again, err := latchward.ParsePermissionQuery("query", text)
	return err == nil && again.String() == q.String()
}

// FuzzTokenBody checks that whatever is accepted as a new token is JSON, and that nothing panics.
func FuzzTokenBody(f *testing.F) {
	for _, seed := range []string{sourceBody, `{"metadata":{"a":[{}]},"owner":{"id":1},"idle_timeout_days":null}`,
		`{"expires_at":"2026-12-31T00:00:00Z"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var n rest.NewToken
		err := rest.Decode(text, &n)
		if err == nil && !json.Valid(text) {
			t.Fatal("accepted what is not JSON")
		}
		if err != nil && latchward.ErrorCode(err) != latchward.CodeInvalid {
			t.Fatalf("code of %v", err)
		}
		if err == nil {
			var again rest.NewToken
			must(t, rest.Decode([]byte(jsonOf(t, n)), &again))
		}
	})
}
