package latchward

import (
	"context"
	"net/netip"
	"time"
)

// Bounds of usage.
const (
	MaxEndpointLength  = 255 // bytes of an endpoint as recorded; the rest is cut (S2-31)
	MaxMethodLength    = 32  // bytes of a method as recorded; the rest is cut
	MaxUserAgentLength = 255 // bytes of a user agent as recorded; the rest is cut
	MaxRequestIDLength = 64  // bytes
	MaxRecentRequests  = 50  // S2-42
	MaxUsageDays       = 365 // S2-29
	OtherEndpoint      = "other"
)

// CredentialType says what a caller presented.
type CredentialType string

// The types of credential that usage tells apart (S2-41).
const (
	CredentialToken CredentialType = "token"
	CredentialJWT   CredentialType = "jwt"
	// CredentialDerived is a derived token; the event has the id of the API token, which accounts for it.
	CredentialDerived CredentialType = "derived"
)

// UsageEvent is one request, as S2-30 asks for it.
type UsageEvent struct {
	At            time.Time // when the request ended
	TokenID       TokenID   // 0 for a JWT
	UserID        UserID    // the person of a JWT; 0 for a token
	Credential    CredentialType
	Reason        Reason // why it was allowed or refused
	Endpoint      string // judged path, without query
	Method        string
	Status        int           // HTTP status of the answer; 499 when the client left before one
	Duration      time.Duration // from the arrival of the header to the last byte of the answer
	RequestBytes  int64         // of the body
	ResponseBytes int64         // of the body
	Address       netip.Addr    // of the client; invalid when unknown
	UserAgent     string
	RequestID     string // "" = none; an id that was counted already is not counted again
}

// Accepted reports whether the request was let through; only such requests move last_used_at.
func (e *UsageEvent) Accepted() bool { return e.Reason == ReasonAllowed }

// JournalOffset is a place in a [UsageJournal]. Offsets only grow.
type JournalOffset struct{ Segment, At int64 }

// UsageJournal keeps accepted events until a store has them.
type UsageJournal interface {
	// Node names the journal: offsets of different nodes are not comparable.
	Node() string
	// Append accepts a copy of the event or refuses it. It must not wait and must not allocate in the steady state.
	// False means refused because the journal is full.
	Append(e *UsageEvent) bool
	// Read calls f with the events accepted since from, oldest first, in batches, each with the offset behind it. The
	// batch is f's only until f returns.
	Read(ctx context.Context, from JournalOffset, f func(events []UsageEvent, to JournalOffset) error) error
	// Release says that everything before to is in the store.
	Release(to JournalOffset) error
}

// UsageKey says what a [UsageCell] counts. Members that were not asked for are zero.
type UsageKey struct {
	Hour       time.Time // start of the hour, UTC
	Token      TokenID
	TokenName  string // filled in by stores together with Token, also for deleted tokens
	Credential CredentialType
	Endpoint   string
	Method     string
	Class      int // first digit of the status: 1 to 5
}

// UsageCell is a sum over requests. Averages are made from it, so that merged cells never drift.
type UsageCell struct {
	Requests      int64
	Failed        int64 // status 400 and above
	Duration      time.Duration
	RequestBytes  int64
	ResponseBytes int64
}

// Add merges other into c.
func (c *UsageCell) Add(other UsageCell) {
	c.Requests += other.Requests
	c.Failed += other.Failed
	c.Duration += other.Duration
	c.RequestBytes += other.RequestBytes
	c.ResponseBytes += other.ResponseBytes
}

// AverageMilliseconds returns the mean duration, rounded to whole milliseconds; 0 when there were no requests.
func (c *UsageCell) AverageMilliseconds() int64 {
	if c.Requests == 0 {
		return 0
	}
	half := time.Duration(c.Requests) * time.Millisecond / 2
	return int64((c.Duration + half) / (time.Duration(c.Requests) * time.Millisecond))
}

// UsageBatch is what one flush hands to a store: events and their sums, taken from a journal between two offsets.
type UsageBatch struct {
	Node     string
	From, To JournalOffset
	Events   []UsageEvent
	// Names[i] is the endpoint under which Events[i] is rolled up; Events[i].Endpoint is what raw rows keep.
	Names []string
}

// UsageDimension is a set of members of [UsageKey] to group by.
type UsageDimension uint8

// The dimensions.
const (
	ByHour UsageDimension = 1 << iota
	ByToken
	ByEndpoint // endpoint and method together (S2-28)
	ByCredential
	ByClass
)

// UsageQuery selects rollups. The zero value of a field does not filter.
type UsageQuery struct {
	From, To   time.Time // hours that start in [From, To)
	Token      TokenID
	Owners     []Owner // tokens that one of these has, or had when they were deleted; nil = everybody's
	Credential CredentialType
	By         UsageDimension
}

// UsageEventQuery selects raw events, newest first.
type UsageEventQuery struct {
	Token TokenID // 0 = every token that was not deleted, and JWTs
	From  time.Time
	Limit int
}

// TokenCounts are the counters of one token in a list (S2-21).
type TokenCounts struct{ Requests24h, Requests7d, Total int64 }

// UsageRetention says from when on details are kept; totals are kept for ever.
type UsageRetention struct {
	Events time.Time // raw events before this go
	Hours  time.Time // hourly rollups before this go
}

// UsageStore is what usage asks of a database.
type UsageStore interface {
	// UsageOffset returns the offset up to which the node's events were added; the zero offset for an unknown node.
	UsageOffset(ctx context.Context, node string) (JournalOffset, error)
	// AddUsage adds raw rows, hourly rollups and totals, and moves LastUsedAt of tokens with accepted events forward,
	// all in one transaction. It must return an Error of code conflict, and add nothing, when the node's offset is not
	// b.From. An event whose RequestID was added before is left out. Events of tokens that no longer exist must be
	// rolled up under the token's id and must not fail the batch.
	AddUsage(ctx context.Context, b UsageBatch) error
	// UsageCells calls f once for each group, in no particular order. Rollups of deleted tokens must be included.
	UsageCells(ctx context.Context, q UsageQuery, f func(UsageKey, UsageCell) error) error
	// UsageEvents calls f for each matching event, newest first. Events of a deleted token must not be returned.
	UsageEvents(ctx context.Context, q UsageEventQuery, f func(*UsageEvent) error) error
	// TokenCounts returns the counters of the given tokens at now; tokens without usage may be missing. The hour in which
	// a window of 24 hours or 7 days begins counts whole.
	TokenCounts(ctx context.Context, ids []TokenID, now time.Time) (map[TokenID]TokenCounts, error)
	// EndpointNames returns every endpoint that rollups name, each once, in no particular order.
	EndpointNames(ctx context.Context) ([]string, error)
	// ForgetUsage removes up to limit raw events of tokens that were deleted and returns how many it removed.
	ForgetUsage(ctx context.Context, limit int) (int, error)
	// PruneUsage removes up to limit rows of each kind that r lets go and returns how many it removed.
	PruneUsage(ctx context.Context, r UsageRetention, limit int) (int, error)
}

// HourlyUsage is one hour of a token or of all (S2-26).
type HourlyUsage struct {
	Hour time.Time
	UsageCell
}

// EndpointUsage is one endpoint and method.
type EndpointUsage struct {
	Endpoint, Method string
	UsageCell
}

// RankedToken is one token of [UsageOverview].
type RankedToken struct {
	ID   TokenID
	Name string
	UsageCell
}

// TokenUsage answers what one token did.
type TokenUsage struct {
	Hours     []HourlyUsage   // newest first; hours without requests are left out
	Endpoints []EndpointUsage // most requests first
	Recent    []UsageEvent    // newest first, at most MaxRecentRequests
}

// UsageOverview answers what all tokens that the principal may see did.
type UsageOverview struct {
	ActiveTokens int64
	Total        UsageCell
	JWT          UsageCell // the part of Total that came with JWTs (S2-41)
	TopTokens    []RankedToken
	TopEndpoints []EndpointUsage
}

// Recorder takes usage. It must not block: false means that the event was not accepted, because a bounded buffer is
// full, and was counted.
type Recorder interface {
	Record(e *UsageEvent) bool
}
