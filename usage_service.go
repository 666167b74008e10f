package latchward

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
	"unicode/utf8"
)

// usagePipeline carries accepted events to the store: journal, then batches, each added exactly once.
type usagePipeline struct {
	journal UsageJournal
	mu      sync.Mutex // one flush at a time
	done    JournalOffset
	names   endpointNames
}

func (u *usagePipeline) load(ctx context.Context, store UsageStore) error {
	names, err := store.EndpointNames(ctx)
	if err != nil {
		return fmt.Errorf("reading the endpoints of usage: %w", err)
	}
	u.names = newEndpointNames(names)
	if u.done, err = store.UsageOffset(ctx, u.journal.Node()); err != nil {
		return fmt.Errorf("reading how much usage was stored: %w", err)
	}
	return nil
}

// Record implements [Recorder]. The event is cut to its bounds, kept in the journal and handed to the store within
// Options.FlushInterval; a read on this node sees it at once.
func (s *Service) Record(e *UsageEvent) bool {
	e.Method = cut(e.Method, MaxMethodLength)
	e.Endpoint = cut(s.hide(e.Endpoint), MaxEndpointLength)
	e.UserAgent = cut(s.hide(e.UserAgent), MaxUserAgentLength)
	e.RequestID = cut(s.hide(e.RequestID), MaxRequestIDLength)
	if !s.usage.journal.Append(e) {
		s.counters.usageRefused.Add(1)
		return false
	}
	s.counters.usageAccepted.Add(1)
	return true
}

// hide keeps secrets that somebody put where they do not belong out of the database (S1-12).
func (s *Service) hide(text string) string {
	if HoldsSecret(text, s.prefix) {
		return redactedText
	}
	return text
}

// cut returns at most n bytes of text, never half a character.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// FlushUsage hands to the store what was accepted so far. On failure nothing is lost: the next flush begins where
// this one stopped.
func (s *Service) FlushUsage(ctx context.Context) error {
	u := &s.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	for {
		err := u.journal.Read(ctx, u.done, func(events []UsageEvent, to JournalOffset) error {
			return s.addUsage(ctx, events, to)
		})
		if errors.Is(err, errResume) {
			continue
		}
		if err != nil {
			s.counters.usageFlushFails.Add(1)
			return fmt.Errorf("storing usage: %w", err)
		}
		return nil
	}
}

// errResume says that reading must begin again at usagePipeline.done.
var errResume = errors.New("usage was stored up to another point")

func (s *Service) addUsage(ctx context.Context, events []UsageEvent, to JournalOffset) error {
	u := &s.usage
	batch := UsageBatch{Node: u.journal.Node(), From: u.done, To: to, Events: events, Names: u.names.of(events)}
	err := s.store.AddUsage(ctx, batch)
	if ErrorCode(err) == CodeConflict {
		return s.resumeUsage(ctx, batch, err)
	}
	if err != nil {
		return err
	}
	return s.usageStored(to, len(events))
}

// resumeUsage settles a conflict: an earlier flush whose outcome was unknown did commit, and what it held is stored.
func (s *Service) resumeUsage(ctx context.Context, b UsageBatch, conflict error) error {
	stored, err := s.store.UsageOffset(ctx, b.Node)
	if err != nil {
		return err
	}
	if stored == b.From {
		return conflict // nothing to settle: the store contradicts itself
	}
	n := 0
	if stored == b.To {
		n = len(b.Events)
	}
	if err := s.usageStored(stored, n); err != nil {
		return err
	}
	return errResume
}

func (s *Service) usageStored(to JournalOffset, events int) error {
	s.counters.usageFlushed.Add(int64(events))
	s.usage.done = to
	return s.usage.journal.Release(to)
}

func (s *Service) lastFlush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, fillTimeout)
	defer cancel()
	err := s.FlushUsage(ctx)
	if err != nil && s.options.Journal != nil {
		return fmt.Errorf("usage waits in the journal for the next start, because it could not be stored: %w", err)
	}
	if err != nil {
		lost := s.counters.usageAccepted.Load() - s.counters.usageFlushed.Load()
		return fmt.Errorf("%d usage events could not be stored before stopping: %w", lost, err)
	}
	return nil
}

const pruneBatch = 5_000

func (s *Service) pruneUsage(ctx context.Context) error {
	now := s.timestamp()
	keep := UsageRetention{Events: now.Add(-s.options.KeepEvents), Hours: now.Add(-s.options.KeepHours)}
	for {
		forgotten, err := s.store.ForgetUsage(ctx, pruneBatch)
		if err != nil {
			return err
		}
		pruned, err := s.store.PruneUsage(ctx, keep, pruneBatch)
		if err != nil || forgotten+pruned == 0 {
			return err
		}
	}
}

// TokenUsage returns what a token did in the last days, 1 to MaxUsageDays (S2-26).
func (s *Service) TokenUsage(ctx context.Context, id TokenID, days int) (TokenUsage, error) {
	if err := validateDays(days); err != nil {
		return TokenUsage{}, err
	}
	if _, err := s.Token(ctx, id); err != nil { // also flushes
		return TokenUsage{}, err
	}
	return s.tokenUsage(ctx, id, days)
}

// tokenUsage is TokenUsage of what has been flushed.
func (s *Service) tokenUsage(ctx context.Context, id TokenID, days int) (TokenUsage, error) {
	from, to := s.period(days)
	usage := TokenUsage{}
	q := UsageQuery{From: from, To: to, Token: id, By: ByHour}
	err := s.store.UsageCells(ctx, q, func(k UsageKey, c UsageCell) error {
		usage.Hours = append(usage.Hours, HourlyUsage{Hour: k.Hour, UsageCell: c})
		return nil
	})
	if err != nil {
		return TokenUsage{}, err
	}
	slices.SortFunc(usage.Hours, func(a, b HourlyUsage) int { return b.Hour.Compare(a.Hour) })
	if usage.Endpoints, err = s.endpoints(ctx, UsageQuery{From: from, To: to, Token: id}); err != nil {
		return TokenUsage{}, err
	}
	events := UsageEventQuery{Token: id, From: from, Limit: MaxRecentRequests}
	err = s.store.UsageEvents(ctx, events, func(e *UsageEvent) error {
		usage.Recent = append(usage.Recent, *e)
		return nil
	})
	return usage, err
}

func validateDays(days int) error {
	if days < 1 || days > MaxUsageDays {
		return Invalid("days", "must be a whole number from 1 to %d", MaxUsageDays)
	}
	return nil
}

// period returns the hours that the last days touch.
func (s *Service) period(days int) (from, to time.Time) {
	now := s.timestamp()
	return now.AddDate(0, 0, -days).Truncate(time.Hour), now.Add(time.Hour)
}

func (s *Service) endpoints(ctx context.Context, q UsageQuery) ([]EndpointUsage, error) {
	q.By = ByEndpoint
	var endpoints []EndpointUsage
	err := s.store.UsageCells(ctx, q, func(k UsageKey, c UsageCell) error {
		endpoints = append(endpoints, EndpointUsage{Endpoint: k.Endpoint, Method: k.Method, UsageCell: c})
		return nil
	})
	slices.SortFunc(endpoints, func(a, b EndpointUsage) int {
		return cmp.Or(cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.Endpoint, b.Endpoint), cmp.Compare(a.Method, b.Method))
	})
	return endpoints, err
}

const topCount = 10

// UsageOverview returns what all tokens together did in the last days (S2-27): all of them for an administrator, the
// principal's own for everybody else.
func (s *Service) UsageOverview(ctx context.Context, days int) (UsageOverview, error) {
	p, err := tokenActor(ctx, PermissionTokensRead)
	if err != nil {
		return UsageOverview{}, err
	}
	if err := validateDays(days); err != nil {
		return UsageOverview{}, err
	}
	if err := s.FlushUsage(ctx); err != nil {
		return UsageOverview{}, err
	}
	active := TokenFilter{Status: StatusActive}
	if err := s.restrict(p, &active); err != nil {
		return UsageOverview{}, err
	}
	from, to := s.period(days)
	return s.overview(ctx, active, UsageQuery{From: from, To: to, Owners: active.Owners})
}

func (s *Service) overview(ctx context.Context, active TokenFilter, q UsageQuery) (UsageOverview, error) {
	var o UsageOverview
	var err error
	if o.ActiveTokens, err = s.store.CountTokens(ctx, active); err != nil {
		return o, err
	}
	q.By = ByToken | ByCredential
	places := map[TokenID]int{} // in TopTokens: a token is used by its secret and by what is derived from it
	err = s.store.UsageCells(ctx, q, func(k UsageKey, c UsageCell) error {
		o.Total.Add(c)
		if k.Credential == CredentialJWT {
			o.JWT.Add(c)
		} else if at, known := places[k.Token]; known {
			o.TopTokens[at].Add(c)
		} else {
			places[k.Token] = len(o.TopTokens)
			o.TopTokens = append(o.TopTokens, RankedToken{ID: k.Token, Name: k.TokenName, UsageCell: c})
		}
		return nil
	})
	if err != nil {
		return o, err
	}
	slices.SortFunc(o.TopTokens, func(a, b RankedToken) int {
		return cmp.Or(cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.ID, b.ID))
	})
	o.TopTokens = o.TopTokens[:min(topCount, len(o.TopTokens))]
	o.TopEndpoints, err = s.endpoints(ctx, q)
	o.TopEndpoints = o.TopEndpoints[:min(topCount, len(o.TopEndpoints))]
	return o, err
}
