package latchward

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// Bounds of a limit, a budget and a call.
const (
	MaxLimitN      = 999_999_999_999_999 // the largest integer a header can carry (RFC 9651 §3.3.1)
	MinLimitWindow = time.Millisecond
	MaxLimitWindow = 366 * 24 * time.Hour
	MaxLimits      = 8 // limits of one budget
	MaxBudgets     = 8 // budgets of one call
)

const (
	maxLimitName = 64                 // characters
	maxInstant   = Instant(1)<<62 - 1 // 146 years: an instant plus any window is still an instant
	budgetIDBits = 56                 // with the kind above them an ID makes one word
	maxBudgetID  = int64(1)<<budgetIDBits - 1
)

// Instant is a reading of the process's monotonic clock: nanoseconds since an origin of the process's choosing, from 0
// to 2^62-1. It knows nothing of wall time, so steps of the wall clock change no decision.
type Instant int64

// Add returns the instant d later.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d) }

// Sub returns the time from j to i.
func (i Instant) Sub(j Instant) time.Duration { return time.Duration(i - j) }

// BudgetKind says whose budget it is. The order of the kinds is the order in which budgets are locked.
type BudgetKind uint8

// The kinds of budgets.
const (
	BudgetToken BudgetKind = iota + 1 // of one token
	BudgetOwner                       // shared by all tokens of one owner
	BudgetGroup                       // shared by all tokens of all members of one group
)

// String returns "token", "owner" or "group".
func (k BudgetKind) String() string {
	switch k {
	case BudgetToken:
		return "token"
	case BudgetOwner:
		return "owner"
	case BudgetGroup:
		return "group"
	default:
		return fmt.Sprintf("BudgetKind(%d)", uint8(k))
	}
}

// BudgetKey names a budget. Keys are comparable and totally ordered: by kind, then by ID.
type BudgetKey struct {
	Kind BudgetKind
	ID   int64 // the token's, owning user's or group's, from 0 to 2^56-1
}

// Compare returns -1, 0 or +1 as k comes before, equals or comes after o.
func (k BudgetKey) Compare(o BudgetKey) int { return cmp.Compare(k.word(), o.word()) }

// String returns kind and ID, such as "token:42".
func (k BudgetKey) String() string { return fmt.Sprintf("%s:%d", k.Kind, k.ID) }

// word packs the key into one number, because maps of numbers are the fastest.
func (k BudgetKey) word() uint64 { return uint64(k.Kind)<<budgetIDBits ^ uint64(k.ID) }

// Limit allows N units in any interval of one Window's length.
type Limit struct {
	Name   string        // what headers call it: 1 to 64 printable ASCII characters, neither " nor \
	N      int64         // units, 1 to MaxLimitN
	Window time.Duration // length of the sliding window, MinLimitWindow to MaxLimitWindow
}

// Validate returns an error of code invalid whose Field is name, limit or window, or nil.
func (l Limit) Validate() error {
	switch {
	case !validLimitName(l.Name):
		return Invalid("name", "A limit needs a name of 1 to %d printable ASCII characters without \" and \\.", maxLimitName)
	case l.N < 1 || l.N > MaxLimitN:
		return Invalid("limit", "A limit must be an integer from 1 to %d.", int64(MaxLimitN))
	case l.Window < MinLimitWindow || l.Window > MaxLimitWindow:
		return Invalid("window", "A limit's window must be from %v to %v.", MinLimitWindow, MaxLimitWindow)
	default:
		return nil
	}
}

func validLimitName(name string) bool {
	for i := range len(name) {
		if c := name[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return name != "" && len(name) <= maxLimitName
}

// Budget is everything that bounds the calls of one token, owner or group. Budgets are immutable once a limiter has
// seen them, and then safe for concurrent use; a changed budget is a new one with the same key.
type Budget struct {
	Key         BudgetKey
	Limits      []Limit // at most MaxLimits, no two with the same name or window; empty: no rate is limited
	MaxInFlight int32   // calls taken and not yet settled; 0: not limited
}

// Validate returns an error of code invalid whose Field is budget, limits, limits[i].<field of the limit> or
// max_in_flight, or nil.
func (b Budget) Validate() error {
	switch {
	case b.Key.Kind < BudgetToken || b.Key.Kind > BudgetGroup || b.Key.ID < 0 || b.Key.ID > maxBudgetID:
		return Invalid("budget", "A budget belongs to a token, owner or group with an ID from 0 to %d.", maxBudgetID)
	case b.MaxInFlight < 0:
		return Invalid("max_in_flight", "The number of concurrent calls must be 1 or more, or 0 for no cap.")
	case len(b.Limits) > MaxLimits:
		return Invalid("limits", "A budget has at most %d limits.", MaxLimits)
	}
	for i, l := range b.Limits {
		field := fmt.Sprintf("limits[%d].", i)
		if err := l.Validate(); err != nil {
			return Invalid(field+ErrorField(err), "%s", ErrorMessage(err))
		}
		for _, other := range b.Limits[:i] {
			if other.Name == l.Name {
				return Invalid(field+"name", "Another limit of this budget has the same name.")
			}
			if other.Window == l.Window {
				return Invalid(field+"window", "Another limit of this budget has the same window: keep the smaller.")
			}
		}
	}
	return nil
}

// bounds tells whether the budget limits anything at all.
func (b *Budget) bounds() bool { return len(b.Limits) > 0 || b.MaxInFlight > 0 }

// LimitState describes one limit at the instant of a decision (S2-13, S2-14).
//
// An admitted call is described by the first limit of its first budget (the token's own); when that has none, by the
// limit with the fewest units remaining. A refused call is described by the violated limit with the latest Reset.
type LimitState struct {
	Admitted  bool    // false: this limit refuses the call, and so nothing was booked anywhere
	InFlight  bool    // it is the cap on calls in flight, not a limit: N is MaxInFlight, Limit is -1, Reset is now
	Budget    int     // index into the budgets of the call; -1 when none of them limits a rate
	Limit     int     // index into the limits of that budget; -1 for InFlight or when none limits a rate
	N         int64   // units the window allows
	Used      int64   // units counted in the window, those of this call included once it is booked
	Current   int64   // Used, and on a refusal also the refused cost: limit + 1 for cost 1
	Remaining int64   // N - Used, never negative
	Reset     Instant // admitted: when the oldest counted unit leaves, or now; refused: when this cost would pass
}

// RetryAfter returns the whole seconds from now to Reset, rounded up, at least 1: what a refused caller is told to wait
// (S2-13, RFC 9110 §10.2.3).
func (s LimitState) RetryAfter(now Instant) int64 {
	return max(1, int64((s.Reset.Sub(now)+time.Second-1)/time.Second))
}

// Receipt is what an admitted call holds until it is settled. It is a value: copies of it are the same receipt. The
// receipt of a refused call is the zero Receipt, and settling it does nothing.
type Receipt struct {
	At   Instant // the instant the call was booked at: not before the clock reading it brought
	Cost int64   // units booked on every limit
	ID   uint64  // the limiter's own name for the call; 0 only in the zero Receipt
}

// Limiter decides whether a call fits into budgets. All methods are safe for concurrent use.
//
// now is a reading of the caller's monotonic clock, taken once per call, and may be older than the readings of calls
// decided before. A call has at most MaxBudgets budgets, all with different keys; budgets without limits and cap are
// passed over. An error of code invalid says that the arguments can never be right, any other error that the limiter
// could not decide; neither books anything the caller may use.
type Limiter interface {
	// Take books cost on every limit of every budget, or on none; a refusal is a LimitState, not an error.
	//
	// NeverOver: for every instant t, the cost admitted in (t-Window, t] is at most the N in force at the newest of
	// those admissions, where a call counts at its Receipt.At.
	// StaleReading: this holds for clock readings that arrive out of order, too.
	// NeverNeedlessly: a call is refused only if admitting it would break NeverOver. Implementations may count units up
	// to Window/256 longer where N exceeds a bound they document, or did within the window.
	// Steady: calls of one cost that divides N, spread evenly over the window from any phase, are never refused.
	// Concurrent: of any number of concurrent calls exactly as many are admitted as fit, and each sees its own Remaining.
	// RefusalIsFree: a refused call changes no later decision, in no budget.
	// AllOrNothing: a call refused by one limit, budget or cap is booked on no other.
	// ResetIsTrue: a refused call repeated at Reset, with no competitor, is admitted; in an exact window not 1 ns earlier.
	// Described: the LimitState returned is the one its type promises, with exact numbers.
	// LimitReadAtEachCall: raising and lowering N decide from the next call on, with everything counted so far.
	// InFlightCap: at most MaxInFlight calls of a budget are taken and not settled.
	// CostOutOfRange: a cost below 1 or above the N of a limit is an error of code invalid with field cost.
	// DuplicateBudget: two budgets with the same key are an error of code invalid with field budgets.
	// IdleChangesNothing: a budget forgotten because it was idle decides as one that was kept.
	Take(ctx context.Context, now Instant, cost int64, budgets []Budget) (LimitState, Receipt, error)

	// Settle ends a call: actual units were used of those booked, and its place in flight becomes free. It takes the
	// budgets of the Take. A receipt that is never settled keeps its full charge.
	//
	// ReturnsUnused: from then on the call counts with actual units, at the same instant.
	// OnlyLowers: an actual below 0 or above Receipt.Cost is an error of code invalid with field actual; the call then
	// keeps its full charge, and its place in flight becomes free all the same.
	// Once: a receipt settles once; settling it again changes nothing.
	// FreesSlot: a place in flight becomes free, whatever was used and however late.
	// AfterWindow: settling a call that has left the window changes nothing in it.
	Settle(ctx context.Context, now Instant, r Receipt, budgets []Budget, actual int64) error

	// Peek tells what Take would decide.
	//
	// AnswersLikeTake: it admits, refuses and fails exactly when Take would, with the same limit and Reset on a refusal.
	// BooksNothing: it changes no later decision; the cost is in no number of an admitting LimitState.
	Peek(ctx context.Context, now Instant, cost int64, budgets []Budget) (LimitState, error)

	// States appends the state of every limit to dst, in the order of budgets and limits, and books nothing.
	//
	// ListsAll: one entry per limit (none for caps), each Admitted or not as if it were the only one.
	States(ctx context.Context, now Instant, cost int64, budgets []Budget, dst []LimitState) ([]LimitState, error)
}
