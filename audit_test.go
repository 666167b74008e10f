package latchward_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
)

// person returns a context in which somebody acts of whom there is something to erase.
func person(id latchward.UserID, administrator bool) context.Context {
	return latchward.WithPrincipal(context.Background(), latchward.Principal{
		Type: latchward.PrincipalUser, ID: int64(id), Name: "Erika Mustermann", Administrator: administrator,
		Origin: latchward.Origin{Address: netip.MustParseAddr("192.0.2.66"), UserAgent: "agent-of-erika", RequestID: "r-1"},
	})
}

// intact checks that the whole log is as it was written.
func (f *fixture) intact(t *testing.T, anchors ...latchward.AuditAnchor) latchward.AuditReport {
	t.Helper()
	report, err := f.VerifyAudit(f.ctx, anchors)
	if err != nil || report.Bad != nil {
		t.Fatalf("report %+v, %+v, error %v", report, report.Bad, err)
	}
	return report
}

func (f *fixture) entries(t *testing.T, filter latchward.AuditFilter) []*latchward.AuditEntry {
	t.Helper()
	entries, err := f.AuditEntries(f.ctx, filter)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// bar 132: who is removed is nowhere in the log any more, and the log still proves itself.
func TestErasedPeopleLeaveTheChain(t *testing.T) {
	f := newFixture(t, nil)
	erika, err := f.CreateUser(f.ctx, latchward.NewUser{
		Name: "Erika Mustermann", Email: "erika@example.com", ExternalID: "idp|erika",
	})
	if err != nil {
		t.Fatal(err)
	}
	name := "Erika M."
	if _, err := f.UpdateUser(person(erika.ID, true), erika.ID, latchward.UserUpdate{Name: &name}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.CreateToken(person(erika.ID, false), latchward.NewToken{Name: "Sensor"}); err != nil {
		t.Fatal(err)
	}
	if err := f.RemoveUser(person(erika.ID, false), f.owner); err == nil {
		t.Fatal("a member removed somebody")
	}
	before := f.intact(t)
	if err := f.RemoveUser(person(erika.ID, true), erika.ID); err != nil { // herself
		t.Fatal(err)
	}
	after := f.intact(t)
	if before.Erased != 0 || after.Erased != after.Entries-1 { // all but the one about the owner
		t.Errorf("%d of %d entries were erased, then %d of %d", before.Erased, before.Entries, after.Erased, after.Entries)
	}
	text, err := json.Marshal(f.entries(t, latchward.AuditFilter{}))
	if err != nil {
		t.Fatal(err)
	}
	for _, trace := range []string{"Erika", "erika", "Mustermann", "192.0.2.66"} {
		if bytes.Contains(text, []byte(trace)) {
			t.Errorf("the log still holds %q", trace)
		}
	}
	pseudonym := f.entries(t, latchward.AuditFilter{ActorType: latchward.PrincipalUser, ActorID: int64(erika.ID)})
	if len(pseudonym) != 5 || pseudonym[0].Action != latchward.ActionUserRemove || pseudonym[0].Actor.Origin.RequestID != "r-1" {
		t.Errorf("%d entries by the pseudonym", len(pseudonym))
	}
}

// Dropping a server key takes nothing from the log: later seals vouch for earlier entries.
func TestChainOutlivesServerKeys(t *testing.T) {
	f := newFixture(t, nil)
	f.create(t, latchward.NewToken{})
	old := f.Keys().Current()
	first, err := f.AuditAnchor(f.ctx)
	f.must(t, err, "")
	ring, err := f.Keys().Rotate(latchtest.Seeded(9), f.clock())
	if err == nil {
		err = f.UseKeys(f.ctx, ring)
	}
	if err != nil {
		t.Fatal(err)
	}
	f.create(t, latchward.NewToken{})
	before, err := f.AuditAnchor(f.ctx)
	f.must(t, err, "")
	ring, err = ring.Drop(old)
	f.must(t, err, "")
	f.must(t, f.UseKeys(f.ctx, ring), "")
	if report := f.intact(t, first, before); report.Unproven != 0 || report.Entries != 5 || report.Anchors != 1 {
		t.Errorf("%+v", report)
	}
	_, err = f.VerifyAudit(f.ctx, []latchward.AuditAnchor{first})
	f.must(t, err, latchward.CodeInvalid)
}

// Whoever has the database but not the server key can make a chain of right hashes, but no seals.
func TestForgedEntriesAreFound(t *testing.T) {
	f := newFixture(t, nil)
	f.create(t, latchward.NewToken{})
	f.intact(t)
	newest := f.entries(t, latchward.AuditFilter{Limit: 1})[0]
	for version := range 3 { // 0 is none, 1 is in the ring, 2 is not
		forged := &latchward.AuditEntry{At: f.clock(), Action: latchward.ActionUserRemove, TargetType: "user", TargetID: 1}
		if err := forged.Chain(latchward.AuditHead{ID: newest.ID, Hash: newest.Proof.Hash}, latchtest.Seeded(3)); err != nil {
			t.Fatal(err)
		}
		forged.Proof.KeyVersion = version
		g := &appended{Store: f.store, entry: forged}
		forger, err := latchward.New(f.ctx, latchward.Options{Store: g, Keys: f.Keys(), Now: f.clock})
		if err != nil {
			t.Fatal(err)
		}
		g.on = true
		report, err := forger.VerifyAudit(f.ctx, nil)
		if err != nil || report.Bad == nil || report.Bad.ID != forged.ID {
			t.Errorf("key version %d: %+v, %+v, %v", version, report, report.Bad, err)
		}
	}
}

// appended is a store whose log has one more entry than was written.
type appended struct {
	latchward.Store
	entry *latchward.AuditEntry
	on    bool
}

func (a *appended) AuditEntries(ctx context.Context, f latchward.AuditFilter) ([]*latchward.AuditEntry, error) {
	entries, err := a.Store.AuditEntries(ctx, f)
	if a.on && f.Oldest {
		entries = append(entries, a.entry)
	}
	return entries, err
}

// bar 128: what is cut off the end is noticed through an anchor that was kept elsewhere.
func TestAnchors(t *testing.T) {
	var log bytes.Buffer
	f := newFixture(t, func(o *latchward.Options) { o.Logger = slog.New(slog.NewJSONHandler(&log, nil)) })
	f.create(t, latchward.NewToken{})
	for range 3 { // of which the log needs to hear once
		if err := f.Anchor(f.ctx); err != nil {
			t.Fatal(err)
		}
	}
	f.create(t, latchward.NewToken{})
	if err := f.Anchor(f.ctx); err != nil {
		t.Fatal(err)
	}
	anchors := latchward.AuditAnchors(log.Bytes())
	if len(anchors) != 2 || anchors[0].ID != 2 || anchors[1].ID != 3 || !anchors[0].At.Equal(f.clock()) {
		t.Fatalf("anchors %+v in the log %s", anchors, &log)
	}
	if report := f.intact(t, anchors[1], anchors[0]); report.Anchors != 2 {
		t.Errorf("%+v", report)
	}
	again := latchward.AuditAnchors([]byte("x " + anchors[0].String() + " y"))
	if len(again) != 1 || !reflect.DeepEqual(again[0], anchors[0]) {
		t.Errorf("read %+v, want %+v", again, anchors[0])
	}
	forged := latchward.AuditAnchors([]byte(strings.Replace(anchors[1].String(), ":3:", ":4:", 1)))
	if _, err := f.VerifyAudit(f.ctx, forged); latchward.ErrorCode(err) != latchward.CodeInvalid {
		t.Errorf("a forged anchor: %v", err)
	}
	cut := newFixture(t, nil) // the same keys, and fewer entries
	report, err := cut.VerifyAudit(cut.ctx, anchors[1:])
	if err != nil || report.Bad == nil || report.Bad.ID != 2 {
		t.Errorf("a log that was cut: %+v, %v", report, err)
	}
	cut.create(t, latchward.NewToken{})
	cut.create(t, latchward.NewToken{})
	report, err = cut.VerifyAudit(cut.ctx, anchors)
	if err != nil || report.Bad == nil || report.Bad.ID != 2 {
		t.Errorf("a log that was cut and written on: %+v, %v", report, err)
	}
}

// Of a flood of denials the log keeps a few and a number.
func TestDenialsAreFolded(t *testing.T) {
	f := newFixture(t, nil)
	const attempts = 5000
	for range attempts {
		if err := f.DeleteRole(person(f.owner, false), 7); latchward.ErrorCode(err) != latchward.CodeForbidden {
			t.Fatal(err)
		}
	}
	f.must(t, f.RemoveGroup(person(f.owner, false), 7), latchward.CodeForbidden)
	denied := latchward.AuditFilter{Outcome: latchward.OutcomeDenied}
	if got := len(f.entries(t, denied)); got != 11 {
		t.Errorf("%d entries for %d denials and another one", got, attempts)
	}
	f.must(t, f.FlushDenials(f.ctx), "")
	if got := len(f.entries(t, denied)); got != 11 {
		t.Errorf("the count was written before its time")
	}
	f.advance(time.Minute)
	f.must(t, f.FlushDenials(f.ctx), "")
	folded := f.entries(t, denied)[0]
	if folded.After["times"] != float64(attempts-10) || folded.Action != "role.delete" || folded.TargetID != 7 ||
		folded.Actor.ID != int64(f.owner) {
		t.Errorf("folded: %+v", folded)
	}
	// Who goes on for a day leaves little more.
	for range 24 * 60 {
		f.advance(time.Minute)
		for range 20 {
			f.must(t, f.DeleteRole(person(f.owner, false), 7), latchward.CodeForbidden)
		}
		f.must(t, f.FlushDenials(f.ctx), "")
	}
	if got := len(f.entries(t, denied)); got > 24*11+100 {
		t.Errorf("%d entries after a day", got)
	}
	if stats := f.Stats(); stats.Denied != attempts+1+24*60*20 || stats.Anonymous != 0 {
		t.Errorf("stats: %d denied, %d anonymous", stats.Denied, stats.Anonymous)
	}
	f.intact(t)
}

func (f *fixture) must(t *testing.T, err error, code latchward.Code) {
	t.Helper()
	if latchward.ErrorCode(err) != code {
		t.Fatalf("error %v, want code %q", err, code)
	}
}

// What is counted when the program stops is written then.
func TestDenialsAreWrittenAtTheEnd(t *testing.T) {
	f := newFixture(t, nil)
	for range 12 {
		f.must(t, f.DeleteRole(person(f.owner, false), 7), latchward.CodeForbidden)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := f.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if e := f.entries(t, latchward.AuditFilter{})[0]; e.After["times"] != 2.0 {
		t.Errorf("%+v", e)
	}
}

// Nobody in particular leaves no entry, only a count.
func TestAnonymousRefusalsAreCounted(t *testing.T) {
	f := newFixture(t, nil)
	before := len(f.entries(t, latchward.AuditFilter{}))
	f.must(t, f.DeleteRole(context.Background(), 7), latchward.CodeUnauthenticated)
	if after := len(f.entries(t, latchward.AuditFilter{})); after != before || f.Stats().Anonymous != 1 {
		t.Errorf("%d entries, then %d; stats %+v", before, after, f.Stats())
	}
}

// A refusal is on record although whoever asked has hung up.
func TestHangingUpHidesNothing(t *testing.T) {
	f := newFixture(t, nil)
	ctx, cancel := context.WithCancel(person(f.owner, false))
	cancel()
	f.must(t, f.DeleteRole(ctx, 7), latchward.CodeForbidden)
	if e := f.entries(t, latchward.AuditFilter{})[0]; e.Outcome != latchward.OutcomeDenied || e.TargetID != 7 {
		t.Errorf("%+v", e)
	}
}

// harmless are the methods of Service that change nothing for which anybody could lack a right: they read, or serve the
// program itself. RotateHeld has nobody who acts but the holder of a token, see TestRotateHeld.
const harmless = `Account Anchor AuditAnchor AuditEntries BeginSetup ConfirmSignIn CountUsers Explain Find FlushDenials FlushUsage Group Groups Inventory KeyStatus
	Keys License Licenses Members Names Passkeys PendingSignIn Permissions Policies Policy Ready Reauthenticate Record RecordDenial ReportLeaks Role Roles Run Sessions
	SetUp SetupOpen SignIn SignInIdentity SignInPasskey SignInPassword SignOut Stats StreamEnded SweepIdle Token TokenPolicy TokenRights
	TokenUsage Tokens UsageOverview UsePasswordCode UseSession User UserByEmail UserByExternalID UserRights Users Verify VerifyAudit
	HeldToken HeldUsage Introspect RevokeHeld PublicKeys SigningKeys DeriveToken StatusList SettleKeys RotateHeld AuditSince`

// bar 127: every method that changes something leaves an entry when whoever calls it may not. A method that is new
// fails here until it defers noteDenial, or is harmless.
func TestEveryMethodNotesDenials(t *testing.T) {
	methods := reflect.TypeFor[*latchward.Service]()
	for i := range methods.NumMethod() {
		name := methods.Method(i).Name
		if slices.Contains(strings.Fields(harmless), name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, nil)
			bob, err := f.CreateUser(f.ctx, latchward.NewUser{Name: "bob"})
			f.must(t, err, "")
			f.create(t, latchward.NewToken{})
			before := len(f.entries(t, latchward.AuditFilter{}))
			ctx := person(bob.ID, false)
			if name == "Rename" || name == "EndSession" || name == "BulkTokens" { // which every person may do to themselves, and no token
				ctx = latchward.WithPrincipal(ctx, latchward.Principal{Type: latchward.PrincipalToken, ID: int64(bob.ID)})
			}
			err = f.call(ctx, name)
			newest := f.entries(t, latchward.AuditFilter{})[0]
			if err == nil || newest.Outcome != latchward.OutcomeDenied || newest.Actor.ID != int64(bob.ID) ||
				len(f.entries(t, latchward.AuditFilter{})) != before+1 {
				t.Errorf("error %v, newest entry %s %s", err, newest.Outcome, newest.Action)
			}
		})
	}
}

// call calls a method with the context and what there is: the first of everything.
func (f *fixture) call(ctx context.Context, name string) error {
	method := reflect.ValueOf(f.Service).MethodByName(name)
	args := []reflect.Value{reflect.ValueOf(ctx)}
	for i := 1; i < method.Type().NumIn(); i++ {
		arg := reflect.New(method.Type().In(i)).Elem()
		switch arg.Interface().(type) {
		case *latchward.KeyRing:
			ring, err := f.Keys().Rotate(latchtest.Seeded(9), f.clock())
			if err != nil {
				return err
			}
			arg.Set(reflect.ValueOf(ring))
		case latchward.NewToken:
			owner := latchward.Owner{Type: latchward.OwnerUser, ID: int64(f.owner)}
			arg.Set(reflect.ValueOf(latchward.NewToken{Owner: &owner}))
		case latchward.Permission:
			arg.Set(reflect.ValueOf(latchward.Permission{Name: "docs.read"}))
		case string:
			arg.SetString("keys.drop")
		default:
			if arg.CanInt() {
				arg.SetInt(1)
			}
		}
		args = append(args, arg)
	}
	for _, result := range method.Call(args) {
		if err, ok := result.Interface().(error); ok {
			return err
		}
	}
	return nil
}

// bar 129: secrets are not in entries, and what comes from outside is cut.
func TestEntriesAreBounded(t *testing.T) {
	f := newFixture(t, nil)
	huge := strings.Repeat("\r\n\x1b[31m\u2028\"}{\x00\xff", 100_000)
	ctx := latchward.WithPrincipal(context.Background(), latchward.Principal{
		Type: latchward.PrincipalUser, ID: int64(f.owner), Name: huge, Administrator: true,
		Origin: latchward.Origin{UserAgent: huge, RequestID: huge},
	})
	issued, err := f.CreateToken(ctx, latchward.NewToken{})
	f.must(t, err, "")
	_, err = f.CreateRole(person(f.owner, false), latchward.NewRole{Name: huge})
	f.must(t, err, latchward.CodeForbidden)
	f.intact(t)
	for _, e := range f.entries(t, latchward.AuditFilter{Limit: 2}) {
		text, err := json.Marshal(e)
		if err != nil || len(text) > 16<<10 || bytes.ContainsAny(text, "\r\n\x1b\u2028\xff") {
			t.Errorf("an entry of %d bytes, error %v", len(text), err)
		}
		if bytes.Contains(text, []byte(issued.Secret.Expose())) {
			t.Errorf("the log holds a secret")
		}
		if len(fmt.Sprint(e.Actor.Origin.UserAgent)) > latchward.MaxUserAgentLength {
			t.Errorf("a user agent of %d bytes", len(e.Actor.Origin.UserAgent))
		}
	}
}
