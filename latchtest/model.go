package latchtest

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/latchward/latchward"
)

// RunModel runs random sequences of operations on a store and on a reference, and fails at the first step after which
// they do not agree, with the shortest such sequence that it finds and the seed that repeats it. Records are compared
// by the order in which they were made: stores may number them as they like, as long as numbers grow.
//
// newReference returns an empty store that is known to be right. newStore returns an empty store to compare with it
// and closes it by way of t.Cleanup, which here means after each sequence.
//
// It runs 10 sequences, 1,000 with LATCHWARD_SCALE=full, or what -rapid.checks says.
func RunModel(t *testing.T, newReference func() latchward.Store, newStore func(t testing.TB) latchward.Store) {
	t.Helper()
	scaleSequences(t)
	rapid.Check(t, sequence(t, newReference, newStore))
}

// sequence returns what compares two fresh stores over one random sequence.
func sequence(
	t testing.TB, newReference func() latchward.Store, newStore func(t testing.TB) latchward.Store,
) func(rt *rapid.T) {
	return func(rt *rapid.T) {
		scope := &scope{TB: t}
		defer scope.end()
		m := &model{
			ctx: t.Context(), reference: newSide(newReference()), tested: newSide(newStore(scope)),
			offsets: map[string]latchward.JournalOffset{},
		}
		m.begin(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"":             m.checkAll,
			"Tx":           m.transact,
			"Tx again":     m.transact,
			"Tx and again": m.transact,
			"AddUsage":     m.addUsage,
			"ForgetUsage":  m.forgetUsage,
			"PruneUsage":   m.pruneUsage,
			"Tokens":       m.readTokens,
			"IdleTokens":   m.readIdleTokens,
			"Users":        m.readUsers,
			"Groups":       m.readGroups,
			"AuditEntries": m.readAuditEntries,
			"UsageCells":   m.readUsageCells,
			"UsageEvents":  m.readUsageEvents,
			"TokenCounts":  m.readTokenCounts,
		})
	}
}

// scaleSequences sets how many sequences rapid tries, unless somebody has said so already.
func scaleSequences(t *testing.T) {
	t.Helper()
	said := os.Getenv("RAPID_CHECKS") != ""
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "rapid.checks" })
	if said {
		return
	}
	n := 10
	if os.Getenv("LATCHWARD_SCALE") == "full" {
		n = 1000
	}
	checks := flag.Lookup("rapid.checks").Value
	before := checks.String()
	if err := checks.Set(strconv.Itoa(n)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = checks.Set(before) })
}

// scope is a test that ends before the test does.
type scope struct {
	testing.TB
	cleanups []func()
}

func (s *scope) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

func (s *scope) end() {
	for _, f := range slices.Backward(s.cleanups) {
		f()
	}
}

// model is two stores that were told the same.
type model struct {
	ctx               context.Context
	reference, tested *side

	secrets    int               // how many were made
	keys       []latchward.KeyID // that were ever used, also in transactions that failed
	moments    []time.Time       // of events that were made
	requestIDs []string          // that both sides know of, or both do not
	offsets    map[string]latchward.JournalOffset
	pruned     bool
	position   latchward.Position // of the store under test
}

// side is one of the two stores and how it numbers records. Outside of it a record's number is its place among all
// that were made: 1 for the first.
type side struct {
	store latchward.Store
	numbers
}

type numbers struct {
	tokens   []latchward.TokenID
	users    []latchward.UserID
	roles    []latchward.RoleID // begin with the built-in ones
	groups   []latchward.GroupID
	licenses []latchward.LicenseID
	entries  []int64
}

func newSide(store latchward.Store) *side {
	s := &side{store: store}
	for _, r := range latchward.BuiltInRoles() {
		s.roles = append(s.roles, r.ID)
	}
	return s
}

// added returns ids with one more, and leaves alone what others know of ids.
func added[ID any](ids []ID, id ID) []ID { return append(ids[:len(ids):len(ids)], id) }

// both does the same on both sides and fails unless they give the same answer or the same kind of error.
func (m *model) both(rt *rapid.T, what string, do func(s *side) (any, error)) (answer any, err error) {
	want, wantErr := do(m.reference)
	got, gotErr := do(m.tested)
	if errorText(gotErr) != errorText(wantErr) {
		rt.Fatalf("%s: error %v, want %v", what, gotErr, wantErr)
	}
	if wantErr == nil {
		if diff := difference(got, want); diff != "" {
			rt.Fatalf("%s: (-want +got)\n%s", what, diff)
		}
	}
	return want, wantErr
}

// errorText tells all that matters about an error.
func errorText(err error) string {
	return string(latchward.ErrorCode(err)) + " " + latchward.ErrorField(err)
}

// pick returns a record's number, mostly of one that was made, 0 when there are none. The next to be made is one of
// them now and then: it does not exist.
func pick(rt *rapid.T, label string, made int) int {
	return rapid.IntRange(min(1, made), made+1).Draw(rt, label)
}

// tokenID returns the id that the side gave to a token; one that nobody has for 0 or what is not made yet.
func (s *side) tokenID(n int) latchward.TokenID {
	return numbered(s.tokens, n)
}

func numbered[ID ~int64](ids []ID, n int) ID {
	if n < 1 || n > len(ids) {
		return 1 << 40
	}
	return ids[n-1]
}

func (s *side) userID(n int) latchward.UserID {
	return numbered(s.users, n)
}

// owner returns a user as an owner, or, for -n, the group n.
func (s *side) owner(n int) latchward.Owner {
	if n < 0 {
		return latchward.Owner{Type: latchward.OwnerGroup, ID: int64(numbered(s.groups, -n))}
	}
	return latchward.Owner{Type: latchward.OwnerUser, ID: int64(s.userID(n))}
}

// tokenNumber returns the number of the token with the side's id; 0 stays 0, and an unknown id becomes -1.
func (s *side) tokenNumber(id latchward.TokenID) latchward.TokenID {
	return latchward.TokenID(number(s.tokens, id))
}

func (s *side) userNumber(id latchward.UserID) latchward.UserID {
	return latchward.UserID(number(s.users, id))
}

func (s *side) userNumbers(ids []latchward.UserID) []latchward.UserID {
	var numbers []latchward.UserID
	for _, id := range ids {
		numbers = append(numbers, s.userNumber(id))
	}
	return numbers
}

func number[ID ~int64](ids []ID, id ID) int {
	if i := slices.Index(ids, id); i >= 0 {
		return i + 1
	}
	if id == 0 {
		return 0
	}
	return -1
}

// plainToken returns what both sides must agree on about a token.
func (s *side) plainToken(t *latchward.Token) *latchward.Token {
	if t == nil {
		return nil
	}
	plain := *t
	plain.ID = s.tokenNumber(t.ID)
	if t.Owner.Type == latchward.OwnerGroup {
		plain.Owner.ID = int64(number(s.groups, latchward.GroupID(t.Owner.ID)))
	} else {
		plain.Owner.ID = int64(s.userNumber(latchward.UserID(t.Owner.ID)))
	}
	plain.Roles, plain.Groups = numbersOf(s.roles, t.Roles), numbersOf(s.groups, t.Groups)
	plain.Licenses = numbersOf(s.licenses, t.Licenses)
	return &plain
}

func (s *side) plainTokens(tokens []*latchward.Token) []*latchward.Token {
	var plain []*latchward.Token
	for _, t := range tokens {
		plain = append(plain, s.plainToken(t))
	}
	return plain
}

func (s *side) plainUser(u *latchward.User) *latchward.User {
	if u == nil {
		return nil
	}
	plain := *u
	plain.ID = s.userNumber(u.ID)
	plain.Roles, plain.Groups = numbersOf(s.roles, u.Roles), numbersOf(s.groups, u.Groups)
	plain.Licenses = numbersOf(s.licenses, u.Licenses)
	return &plain
}

// someText is a text of those that are easily confused.
func someText(rt *rapid.T, label string) string {
	return rapid.SampledFrom([]string{"a", "A", "b", "a%", "a_b", `a\b`, `"`, " é🐝 "}).Draw(rt, label)
}

// someTime is one of a few moments around epoch, or none.
func someTime(rt *rapid.T, label string) time.Time {
	n := rapid.IntRange(-1, 2).Draw(rt, label)
	if n == 2 {
		return time.Time{}
	}
	return epoch().Add(time.Duration(n) * 12 * time.Hour)
}

// momentAround is one of the moments of someTime, or just before or after.
func momentAround(rt *rapid.T, label string) time.Time {
	n := rapid.IntRange(-1, 1).Draw(rt, label)
	ms := rapid.IntRange(-1, 1).Draw(rt, label+" and so many ms")
	return epoch().Add(time.Duration(n)*12*time.Hour + time.Duration(ms)*time.Millisecond)
}

// newKeyID returns a key id that was not used before, or, seldom, one that was.
func (m *model) newKeyID(rt *rapid.T) latchward.Credential {
	m.secrets++
	c := latchward.Credential{}
	copy(c.KeyID[:], fmt.Sprintf("%c%010d", "123"[m.secrets%3], m.secrets))
	copy(c.Digest[:], fmt.Sprintf("digest %d", m.secrets))
	if len(m.keys) > 0 && rapid.IntRange(0, 9).Draw(rt, "key id in use") == 9 {
		c.KeyID = rapid.SampledFrom(m.keys).Draw(rt, "key id")
	} else {
		m.keys = append(m.keys, c.KeyID)
	}
	return c
}
