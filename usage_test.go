package latchward_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
	"github.com/latchward/latchward/memory"
)

func (f *fixture) event(id latchward.TokenID, endpoint string, status int) *latchward.UsageEvent {
	return &latchward.UsageEvent{
		At: f.clock(), TokenID: id, Credential: latchward.CredentialToken, Reason: latchward.ReasonAllowed,
		Endpoint: endpoint, Method: "GET", Status: status, Duration: 20 * time.Millisecond,
		RequestBytes: 10, ResponseBytes: 100, Address: netip.MustParseAddr("192.0.2.1"), UserAgent: "test/1",
	}
}

// S2-26, S2-28, S2-30, S2-31: what was recorded is in the next answer, and the sums agree.
func TestUsageIsVisibleAtOnce(t *testing.T) {
	f := newFixture(t, nil)
	id := f.create(t, latchward.NewToken{Name: "shop"}).Token.ID
	for i := range 30 {
		status := 200
		if i%10 == 9 {
			status = 500
		}
		f.Record(f.event(id, "/products", status))
		f.advance(time.Minute)
	}
	usage, err := f.TokenUsage(f.ctx, id, 7)
	if err != nil {
		t.Fatal(err)
	}
	if len(usage.Hours) != 1 || usage.Hours[0].Requests != 30 || usage.Hours[0].Failed != 3 ||
		usage.Hours[0].AverageMilliseconds() != 20 || !usage.Hours[0].Hour.Equal(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)) {
		t.Errorf("hours: %+v", usage.Hours)
	}
	if len(usage.Endpoints) != 1 || usage.Endpoints[0].Endpoint != "/products" || usage.Endpoints[0].Requests != 30 {
		t.Errorf("endpoints: %+v", usage.Endpoints)
	}
	if len(usage.Recent) != 30 || !usage.Recent[0].At.After(usage.Recent[1].At) || usage.Recent[0].UserAgent != "test/1" {
		t.Errorf("%d recent, newest %+v", len(usage.Recent), usage.Recent[0])
	}
	page, err := f.Tokens(f.ctx, latchward.TokenFilter{})
	if err != nil {
		t.Fatal(err)
	}
	if c := page.Counts[id]; c.Requests24h != 30 || c.Requests7d != 30 || c.Total != 30 {
		t.Errorf("counts: %+v", c)
	}
	if last := page.Tokens[0].LastUsedAt; !last.Equal(f.clock().Add(-time.Minute)) {
		t.Errorf("last used %s", last)
	}
}

func TestOverview(t *testing.T) { // S2-27, S2-41, X-09
	f := newFixture(t, nil)
	bob, err := f.CreateUser(f.ctx, latchward.NewUser{Name: "bob"})
	if err != nil {
		t.Fatal(err)
	}
	mine := f.create(t, latchward.NewToken{Name: "mine"}).Token.ID
	his := f.create(t, latchward.NewToken{Name: "his", Owner: &latchward.Owner{Type: latchward.OwnerUser, ID: int64(bob.ID)}}).Token.ID
	for range 3 {
		f.Record(f.event(mine, "/products", 200))
	}
	f.Record(f.event(his, "/stores", 404))
	jwt := f.event(0, "/products", 200)
	jwt.Credential, jwt.UserID = latchward.CredentialJWT, bob.ID
	f.Record(jwt)
	all, err := f.UsageOverview(f.ctx, 7)
	if err != nil {
		t.Fatal(err)
	}
	if all.ActiveTokens != 2 || all.Total.Requests != 5 || all.Total.Failed != 1 || all.JWT.Requests != 1 ||
		len(all.TopTokens) != 2 || all.TopTokens[0].Name != "mine" || all.TopEndpoints[0].Endpoint != "/products" {
		t.Errorf("administrator sees %+v", all)
	}
	own, err := f.UsageOverview(as(bob.ID, false), 7)
	if err != nil {
		t.Fatal(err)
	}
	if own.ActiveTokens != 1 || own.Total.Requests != 1 || len(own.TopTokens) != 1 || own.TopTokens[0].ID != his {
		t.Errorf("bob sees %+v", own)
	}
	if err := f.DeleteToken(f.ctx, mine); err != nil {
		t.Fatal(err)
	}
	after, err := f.UsageOverview(f.ctx, 7)
	if err != nil || after.Total.Requests != 5 || after.TopTokens[0].Name != "mine" {
		t.Errorf("after deleting a token totals shrank (X-13): %+v, %v", after, err)
	}
	for _, days := range []int{0, -1, 366} {
		if _, err := f.UsageOverview(f.ctx, days); latchward.ErrorField(err) != "days" { // S2-29
			t.Errorf("days %d: %v", days, err)
		}
	}
}

// refusals are recorded and do not count as use.
func TestRefusalsDoNotMoveLastUsed(t *testing.T) {
	f := newFixture(t, nil)
	id := f.create(t, latchward.NewToken{}).Token.ID
	refused := f.event(id, "/orders", 403)
	refused.Reason = latchward.ReasonEndpointNotAllowed
	f.Record(refused)
	token, err := f.Token(f.ctx, id)
	if err != nil || !token.LastUsedAt.IsZero() {
		t.Errorf("last used %s, %v", token.LastUsedAt, err)
	}
	usage, err := f.TokenUsage(f.ctx, id, 1)
	if err != nil || len(usage.Recent) != 1 || usage.Recent[0].Status != 403 {
		t.Errorf("recorded: %+v, %v", usage.Recent, err)
	}
}

// bar 99: invented paths cannot grow the rollups.
func TestEndpointNamesAreBounded(t *testing.T) {
	f := newFixture(t, nil)
	id := f.create(t, latchward.NewToken{}).Token.ID
	const accepted, missing = 3000, 500
	word := func(i int) string { return strings.Repeat(string(rune('a'+i%26)), 2+i/26) }
	path := func(i int) string { return "/" + word(i%60) + "/" + word(i/60%60) }
	for i := range missing {
		f.Record(f.event(id, "/missing"+path(i), 404))
	}
	for i := range accepted {
		f.Record(f.event(id, "/made-up"+path(i), 200))
	}
	f.Record(f.event(id, "/"+strings.Repeat("x", 5000), 404))
	usage, err := f.TokenUsage(f.ctx, id, 1)
	if err != nil {
		t.Fatal(err)
	}
	var total int64
	var vain int
	for _, e := range usage.Endpoints {
		total += e.Requests
		if strings.HasPrefix(e.Endpoint, "/missing") {
			vain++
		}
	}
	if len(usage.Endpoints) != 501 || total != accepted+missing+1 || vain != 200 {
		t.Errorf("%d names, %d of them lead nowhere, %d requests in all", len(usage.Endpoints), vain, total)
	}
	if usage.Endpoints[0].Endpoint != latchward.OtherEndpoint {
		t.Errorf("the rest counts as %q", usage.Endpoints[0].Endpoint)
	}
	if n := len(usage.Recent[0].Endpoint); n > latchward.MaxEndpointLength {
		t.Errorf("a recorded path of %d bytes", n)
	}
}

// flaky is a store whose AddUsage fails, before or after it has committed.
type flaky struct {
	latchward.Store
	mu     sync.Mutex
	before error
	after  error
}

func (s *flaky) AddUsage(ctx context.Context, b latchward.UsageBatch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.before != nil {
		return s.before
	}
	if err := s.Store.AddUsage(ctx, b); err != nil {
		return err
	}
	return s.after
}

func (s *flaky) set(before, after error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before, s.after = before, after
}

// S2-31: a store that fails delays usage; one whose commit has an unknown outcome neither loses nor doubles it.
func TestUsageSurvivesAFailingStore(t *testing.T) {
	down := &latchward.Error{Code: latchward.CodeUnavailable, Message: "down", Err: errors.New("disk")}
	for name, outcome := range map[string][2]error{"not committed": {down, nil}, "committed, answer lost": {nil, down}} {
		t.Run(name, func(t *testing.T) {
			store := &flaky{Store: memory.New()}
			f := newFixture(t, func(o *latchward.Options) { o.Store = store })
			id := f.create(t, latchward.NewToken{}).Token.ID
			store.set(outcome[0], outcome[1])
			for range 12_000 {
				if !f.Record(f.event(id, "/products", 200)) {
					t.Fatal("refused")
				}
			}
			for range 3 {
				if err := f.FlushUsage(f.ctx); latchward.ErrorCode(err) != latchward.CodeUnavailable {
					t.Fatalf("flush: %v", err)
				}
				f.Record(f.event(id, "/products", 200))
			}
			store.set(nil, nil)
			page, err := f.Tokens(f.ctx, latchward.TokenFilter{})
			if err != nil || page.Counts[id].Total != 12_003 {
				t.Errorf("%d of 12003 requests counted, %v", page.Counts[id].Total, err)
			}
		})
	}
}

// Nothing is dropped silently: a full journal says no, and counts.
func TestFullJournalRefuses(t *testing.T) {
	f := newFixture(t, func(o *latchward.Options) { o.UsageBuffer = 100 })
	id := f.create(t, latchward.NewToken{}).Token.ID
	accepted := 0
	for range 150 {
		if f.Record(f.event(id, "/products", 200)) {
			accepted++
		}
	}
	if s := f.Stats(); accepted != 100 || s.UsageAccepted != 100 || s.UsageRefused != 50 {
		t.Errorf("%d accepted; stats %d accepted, %d refused", accepted, s.UsageAccepted, s.UsageRefused)
	}
	if err := f.FlushUsage(f.ctx); err != nil {
		t.Fatal(err)
	}
	if !f.Record(f.event(id, "/products", 200)) {
		t.Error("refused after the flush made room")
	}
}

// Run flushes within a second without anybody asking, and once more when it stops.
func TestRunFlushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		ctx := latchtest.Local(context.Background())
		s, err := latchward.New(ctx, latchward.Options{Store: store, Keys: ring(t)})
		if err != nil {
			t.Fatal(err)
		}
		running, stop := context.WithCancel(ctx)
		stopped := make(chan error, 1)
		go func() { stopped <- s.Run(running) }()
		event := &latchward.UsageEvent{At: time.Now(), TokenID: 1, Reason: latchward.ReasonAllowed, Endpoint: "/x", Method: "GET", Status: 200}
		s.Record(event)
		time.Sleep(time.Second)
		synctest.Wait()
		if flushed := s.Stats().UsageFlushed; flushed != 1 {
			t.Errorf("%d events flushed within a second", flushed)
		}
		s.Record(event)
		stop()
		if err := <-stopped; err != nil || s.Stats().UsageFlushed != 2 {
			t.Errorf("after stopping: %d flushed, %v", s.Stats().UsageFlushed, err)
		}
	})
}

// S1-12, bar 4: a secret in a path or user agent is refused where it is judged, and hidden where it is recorded.
func TestSecretsInOddPlacesAreHidden(t *testing.T) {
	f := newFixture(t, nil)
	issued := f.create(t, latchward.NewToken{})
	text := issued.Secret.Expose()
	for path, want := range map[string]latchward.Reason{
		"/products/" + text: latchward.ReasonBadRequest, "/a-" + text + "-b/c": latchward.ReasonBadRequest,
		"/products/" + text[:len(text)-1]: latchward.ReasonAllowed, "/lw_/lw_1": latchward.ReasonAllowed,
	} {
		v, err := f.Verify(f.ctx, latchward.VerifyRequest{Secret: issued.Secret, Method: "GET", Path: path})
		if err != nil || v.Reason != want {
			t.Errorf("a path of %d characters: %s, %v", len(path), v.Reason, err)
		}
	}
	event := f.event(issued.Token.ID, "/products/"+text, 200)
	event.UserAgent, event.RequestID = "curl "+text, text
	f.Record(event)
	usage, err := f.TokenUsage(f.ctx, issued.Token.ID, 1)
	if err != nil || len(usage.Recent) != 1 {
		t.Fatalf("%d events, %v", len(usage.Recent), err)
	}
	if seen := fmt.Sprintf("%+v", usage); strings.Contains(seen, text) {
		t.Error("a secret was recorded")
	}
}

func TestAverages(t *testing.T) {
	var c latchward.UsageCell
	if c.AverageMilliseconds() != 0 { // S2-42: no data, 0
		t.Error("average of nothing")
	}
	c.Add(latchward.UsageCell{Requests: 2, Duration: 3 * time.Millisecond})
	if c.AverageMilliseconds() != 2 { // 1.5 rounds up
		t.Errorf("average %d", c.AverageMilliseconds())
	}
}
