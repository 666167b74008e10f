package latchward

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestLimitValidate(t *testing.T) {
	good := Limit{Name: "per minute", N: 1, Window: time.Minute}
	edit := func(f func(*Limit)) Limit {
		l := good
		f(&l)
		return l
	}
	for _, test := range []struct {
		limit Limit
		field string
	}{
		{good, ""},
		{edit(func(l *Limit) { l.Name = strings.Repeat("~", 64) }), ""},
		{edit(func(l *Limit) { l.N = MaxLimitN }), ""},
		{edit(func(l *Limit) { l.Window = MinLimitWindow }), ""},
		{edit(func(l *Limit) { l.Window = MaxLimitWindow }), ""},
		{edit(func(l *Limit) { l.Name = "" }), "name"},
		{edit(func(l *Limit) { l.Name = strings.Repeat("a", 65) }), "name"},
		{edit(func(l *Limit) { l.Name = `say "n"` }), "name"},
		{edit(func(l *Limit) { l.Name = `a\b` }), "name"},
		{edit(func(l *Limit) { l.Name = "tab\t" }), "name"},
		{edit(func(l *Limit) { l.Name = "é" }), "name"},
		{edit(func(l *Limit) { l.N = 0 }), "limit"},
		{edit(func(l *Limit) { l.N = -1 }), "limit"},
		{edit(func(l *Limit) { l.N = MaxLimitN + 1 }), "limit"},
		{edit(func(l *Limit) { l.Window = 0 }), "window"},
		{edit(func(l *Limit) { l.Window = MinLimitWindow - 1 }), "window"},
		{edit(func(l *Limit) { l.Window = MaxLimitWindow + 1 }), "window"},
	} {
		checkLimitField(t, fmt.Sprintf("%+v", test.limit), test.limit.Validate(), test.field)
	}
}

func TestBudgetValidate(t *testing.T) {
	minute := Limit{Name: "minute", N: 10, Window: time.Minute}
	hour := Limit{Name: "hour", N: 100, Window: time.Hour}
	key := BudgetKey{Kind: BudgetToken, ID: 1}
	var many []Limit
	for i := range MaxLimits + 1 {
		many = append(many, Limit{Name: fmt.Sprint(i), N: 1, Window: time.Second * time.Duration(i+1)})
	}
	for _, test := range []struct {
		budget Budget
		field  string
	}{
		{Budget{Key: key}, ""},
		{Budget{Key: key, Limits: []Limit{minute, hour}, MaxInFlight: 1}, ""},
		{Budget{Key: key, Limits: many[:MaxLimits]}, ""},
		{Budget{Key: BudgetKey{Kind: BudgetGroup, ID: 1<<56 - 1}}, ""},
		{Budget{}, "budget"},
		{Budget{Key: BudgetKey{Kind: BudgetGroup + 1, ID: 1}}, "budget"},
		{Budget{Key: BudgetKey{Kind: BudgetOwner, ID: -1}}, "budget"},
		{Budget{Key: BudgetKey{Kind: BudgetOwner, ID: 1 << 56}}, "budget"},
		{Budget{Key: key, MaxInFlight: -1}, "max_in_flight"},
		{Budget{Key: key, Limits: many}, "limits"},
		{Budget{Key: key, Limits: []Limit{minute, {Name: "x", N: 0, Window: time.Hour}}}, "limits[1].limit"},
		{Budget{Key: key, Limits: []Limit{minute, {Name: "minute", N: 5, Window: time.Hour}}}, "limits[1].name"},
		{Budget{Key: key, Limits: []Limit{minute, hour, {Name: "x", N: 5, Window: time.Minute}}}, "limits[2].window"},
	} {
		checkLimitField(t, fmt.Sprintf("%+v", test.budget), test.budget.Validate(), test.field)
	}
}

// checkLimitField fails unless err is of code invalid about field, or nil for "".
func checkLimitField(t *testing.T, what string, err error, field string) {
	t.Helper()
	if field == "" {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		return
	}
	if ErrorCode(err) != CodeInvalid || ErrorField(err) != field || ErrorMessage(err) == "" {
		t.Errorf("%s: got error %v, want code invalid and field %s", what, err, field)
	}
}

func TestBudgetKeyOrder(t *testing.T) {
	keys := []BudgetKey{
		{BudgetToken, 0}, {BudgetToken, 1}, {BudgetToken, maxBudgetID}, {BudgetOwner, 0}, {BudgetOwner, 5}, {BudgetGroup, 1},
	}
	for i, a := range keys {
		for j, b := range keys {
			if got, want := a.Compare(b), sign(i-j); got != want {
				t.Errorf("%v.Compare(%v) = %d, want %d", a, b, got, want)
			}
		}
	}
	if got := fmt.Sprint(keys[1], keys[4], keys[5], BudgetKind(9)); got != "token:1 owner:5 group:1 BudgetKind(9)" {
		t.Error(got)
	}
}

func sign(i int) int { return min(1, max(-1, i)) }

// S2-13: retry_after is the time to Reset rounded up to seconds, at least 1.
func TestLimitStateRetryAfter(t *testing.T) {
	for _, test := range []struct {
		wait time.Duration
		want int64
	}{
		{0, 1}, {1, 1}, {time.Second, 1}, {time.Second + 1, 2}, {59*time.Second + 1, 60}, {time.Minute, 60}, {-time.Hour, 1},
	} {
		s := LimitState{Reset: Instant(time.Hour).Add(test.wait)}
		if got := s.RetryAfter(Instant(time.Hour)); got != test.want {
			t.Errorf("%v before Reset: %d, want %d", test.wait, got, test.want)
		}
	}
	if got := Instant(5).Sub(Instant(7)); got != -2 {
		t.Error(got)
	}
}
