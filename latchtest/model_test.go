//go:build !race

// Nothing runs at the same time here: the race detector would only make it slow.

package latchtest

import (
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/memory"
)

// quiet is a test that remembers that it failed instead of failing.
type quiet struct {
	testing.TB
	failure string
}

func (q *quiet) Logf(string, ...any)               {}
func (q *quiet) Log(...any)                        {}
func (q *quiet) Errorf(format string, args ...any) { q.failure += fmt.Sprintf(format, args...) }
func (q *quiet) Error(args ...any)                 { q.failure += fmt.Sprint(args...) }
func (q *quiet) Fail()                             { q.failure += "failed" }
func (q *quiet) Failed() bool                      { return q.failure != "" }
func (q *quiet) FailNow()                          { q.Fail(); runtime.Goexit() }
func (q *quiet) Fatal(args ...any)                 { q.Error(args...); runtime.Goexit() }

func (q *quiet) Fatalf(format string, args ...any) {
	q.Errorf(format, args...)
	runtime.Goexit()
}

// setFlag sets a flag until the test ends.
func setFlag(t *testing.T, name, value string) {
	t.Helper()
	f := flag.Lookup(name).Value
	before := f.String()
	if err := f.Set(value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Set(before) })
}

// beyondModel names promises that the model does not look at: it makes no goroutines, panics or failing callbacks,
// writes no awkward texts and looks for few, scribbles on nothing that it was given, saves nothing under an id that was not given out,
// cannot see how a store goes about removing rows, and does nothing with accounts, sessions, signing keys, derived
// tokens and foreign secrets.
func beyondModel() []string {
	return []string{
		"Tx/KeepsNothingWhenFPanics", "Tx/PositionsGrowInOneHistory", "Store/SafeForConcurrentUse", "Ping/ReturnsNil",
		"Token/KeepsTextsAsTheyAre", "StopsAtAnError", "ReturnsACopy", "ReturnsCopies", "KeyFingerprints/ReturnsWhatWasSaved",
		"OwnerFacts/UnknownIsNotFound", "UsageCells/SumsAreExact", "ForgetUsage/RemovesAllInBoundedSteps",
		"PruneUsage/RemovesUpToLimit", "AddUsage/LastUsedAtHasMilliseconds", "Tx.SaveToken/UnknownIsNotFound",
		"Tx.SaveUser/UnknownIsNotFound", "Tx.SaveRole/UnknownIsNotFound", "Tx.SaveGroup/UnknownIsNotFound",
		"Tx.SaveLicense/UnknownIsNotFound", "AuditEntries/ByText",
		"Account/", "Accounts/", "AccountByIdentity/", "SaveAccount/", "Session/", "Sessions/",
		"Policy", "Policies", "Tx.Tokens/", "Tokens/ByNeverUsed", "Tokens/ByIdleBefore", "Tokens/ByRotationDue",
		"Tokens/ByCreation", "Tokens/ByRevokeReason",
		"SigningKeys/", "SigningKey/", "DerivedTokens/", "DerivedToken/",
		"ForeignForm", "ForeignSecret", "TokenOfSecret",
	}
}

// TestModelNotices runs the model on stores that are right but for one thing, always with the same random numbers.
func TestModelNotices(t *testing.T) {
	for name, value := range map[string]string{
		"rapid.seed": "1", "rapid.checks": "400", "rapid.shrinktime": "0s", "rapid.nofailfile": "true",
	} {
		setFlag(t, name, value)
	}
	for _, m := range mutants() {
		if slices.ContainsFunc(beyondModel(), func(what string) bool { return strings.Contains(m.breaks, what) }) {
			continue
		}
		q := &quiet{TB: t}
		done := make(chan struct{})
		go func() {
			defer close(done)
			rapid.Check(q, sequence(q,
				func() latchward.Store { return memory.New() },
				func(testing.TB) latchward.Store { return newAltered(m.alter) },
			))
		}()
		<-done
		if q.failure == "" {
			t.Errorf("the model does not notice a store that %s (%s)", m.what, m.breaks)
		}
	}
}
