package latchward

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Denial is an attempt at a change that the principal may not make.
type Denial struct {
	Action     string
	TargetType string
	TargetID   int64  // 0 for what was to be made
	TargetName string // as the principal called it
	Reason     string // what the principal was told
}

const (
	// denialsKept is how many denials of one principal and action are kept one by one before the rest are counted.
	denialsKept = 10
	// denialWindow is how long they are counted before the count is written. It doubles as long as there is something
	// to count, up to denialWindowMax: whoever asks for ever leaves 11 entries an hour.
	denialWindow    = time.Minute
	denialWindowMax = time.Hour
	// maxDenialWindows bounds how many principals and actions are counted at a time.
	maxDenialWindows = 10_000
)

// hiddenError is about something that is there, but not for whoever asked: to them it looks like the Error about
// a thing that is not there.
type hiddenError struct{ told *Error }

// Error implements error.
func (e hiddenError) Error() string { return e.told.Error() }

// Unwrap returns what the caller is told.
func (e hiddenError) Unwrap() error { return e.told }

func hidden(what string) error {
	return hiddenError{&Error{Code: CodeNotFound, Message: what + " not found"}}
}

// noteDenial is deferred by every method that changes something or exports the log, with the permission over everybody's
// that goes with it: when the method failed because the principal may not do that, it leaves an audit entry. Refusals of
// nobody in particular are only counted.
func (s *Service) noteDenial(ctx context.Context, permission string, id int64, name string, err *error) {
	if denies(*err) {
		action, kind := attempted(permission)
		s.RecordDenial(ctx, Denial{
			Action: action, TargetType: kind, TargetID: id, TargetName: name, Reason: ErrorMessage(*err),
		})
	}
}

// noteDeniedAccount is noteDenial for methods that change the account of a user; 0 is whoever acts.
func (s *Service) noteDeniedAccount(ctx context.Context, action string, user UserID, err *error) {
	if !denies(*err) {
		return
	}
	if p, _ := PrincipalFrom(ctx); user == 0 && p.Type == PrincipalUser {
		user = UserID(p.ID)
	}
	s.RecordDenial(ctx, Denial{Action: action, TargetType: "user", TargetID: int64(user), Reason: ErrorMessage(*err)})
}

// denies reports whether err tells a principal that they may not do something, or must first prove who they are.
func denies(err error) bool {
	var hidden hiddenError
	code := ErrorCode(err)
	return code == CodeForbidden || code == CodeUnauthenticated || errors.As(err, &hidden)
}

// attempted returns the action that a permission allows, and on what.
func attempted(permission string) (action, kind string) {
	resource, verb, _ := strings.Cut(permission, ".")
	kind = strings.TrimSuffix(resource, "s")
	if resource == "policies" {
		kind = "policy"
	}
	if verb == "delete" && (kind == "user" || kind == "group") {
		verb = "remove" // a tombstone stays
	}
	return kind + "." + verb, kind
}

// RecordDenial leaves an audit entry about something that the principal of ctx was refused outside of Service, such as
// by a transport; without one it only counts. Of a flood of denials the first few are kept one by one and the rest as
// a number. That the entry cannot be written is logged: the refusal stands. The entry is written even when ctx is
// done, so that hanging up hides nothing.
func (s *Service) RecordDenial(ctx context.Context, d Denial) {
	p, ok := PrincipalFrom(ctx)
	if !ok {
		s.counters.anonymous.Add(1)
		return
	}
	s.counters.denied.Add(1)
	if !s.denials.keep(p, d, s.timestamp()) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), denialTimeout)
	defer cancel()
	after := map[string]any{"reason": plainText(d.Reason, maxAuditName)}
	if err := s.writeDenial(ctx, p, d, after); err != nil {
		s.log.Error("No audit entry for a denied attempt.", "action", d.Action, "principal", p.String(), "error", err)
	}
}

// denialTimeout is how long a refusal waits for its entry.
const denialTimeout = 5 * time.Second

func (s *Service) writeDenial(ctx context.Context, p Principal, d Denial, after map[string]any) error {
	now := s.timestamp()
	return s.tx(ctx, func(tx Tx) error {
		name := d.TargetName
		if d.TargetID != 0 {
			name = nameOf(tx, d.TargetType, d.TargetID)
		} else if d.TargetType == "user" {
			name = "" // of somebody who is not here, and whom nobody could erase
		}
		return tx.AppendAudit(&AuditEntry{
			At: now, Actor: p, Action: d.Action, Outcome: OutcomeDenied,
			TargetType: d.TargetType, TargetID: d.TargetID, TargetName: name, After: after,
		})
	})
}

// nameOf returns the name of a target, or "" when there is none.
func nameOf(tx Tx, kind string, id int64) string {
	var name string
	switch kind {
	case "token":
		if t, err := tx.Token(TokenID(id)); err == nil {
			name = t.Name
		}
	case "user":
		if u, err := tx.User(UserID(id)); err == nil && !u.Removed() {
			name = u.DisplayName()
		}
	case "role":
		if r, err := tx.Role(RoleID(id)); err == nil {
			name = r.Name
		}
	case "group":
		if g, err := tx.Group(GroupID(id)); err == nil {
			name = g.Name
		}
	case "license":
		if l, err := tx.License(LicenseID(id)); err == nil {
			name = l.Name
		}
	case "policy":
		if p, err := tx.Policy(PolicyID(id)); err == nil {
			name = p.Name
		}
	case "key":
		name = fmt.Sprintf("v%d", id)
	}
	return name
}

// denials counts what was denied to whom, so that a flood of attempts does not fill the log.
type denials struct {
	mu      sync.Mutex
	windows map[denialKey]*denialCount
}

type denialKey struct {
	kind   PrincipalType
	id     int64
	action string
}

// denialCount is what one principal was denied within a window.
type denialCount struct {
	ends   time.Time
	length time.Duration
	kept   int
	folded int64
	who    Principal // of the latest that was folded
	what   Denial
}

// keep reports whether a denial gets an entry of its own; else it has been counted.
func (d *denials) keep(p Principal, what Denial, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := denialKey{p.Type, p.ID, what.Action}
	count := d.windows[key]
	if count == nil {
		if len(d.windows) >= maxDenialWindows {
			key = denialKey{action: "all others"} // thousands at once are counted together
			count = d.windows[key]
		}
		if count == nil {
			count = d.begin(key, denialWindow, now)
		}
	}
	if count.folded == 0 && !now.Before(count.ends) {
		count = d.begin(key, denialWindow, now)
	}
	if count.folded == 0 && count.kept < denialsKept {
		count.kept++
		return true
	}
	count.folded++
	count.who, count.what = p, what
	return false
}

func (d *denials) begin(key denialKey, length time.Duration, now time.Time) *denialCount {
	if d.windows == nil {
		d.windows = map[denialKey]*denialCount{}
	}
	count := &denialCount{ends: now.Add(length), length: length}
	d.windows[key] = count
	return count
}

// over takes the windows that have ended by now and returns those that counted something.
func (d *denials) over(now time.Time) []*denialCount {
	d.mu.Lock()
	defer d.mu.Unlock()
	var over []*denialCount
	for key, count := range d.windows {
		if now.Before(count.ends) {
			continue
		}
		delete(d.windows, key)
		if count.folded > 0 {
			over = append(over, count)
			d.begin(key, min(2*count.length, denialWindowMax), now)
		}
	}
	return over
}

// FlushDenials writes one entry for each principal and action with denials that were only counted, once the time for
// counting is over. [Service.Run] does it from time to time.
func (s *Service) FlushDenials(ctx context.Context) error {
	return s.writeCounts(ctx, s.denials.over(s.timestamp()))
}

// endDenials writes all counts, at the end of Run.
func (s *Service) endDenials(ctx context.Context) error {
	return s.writeCounts(ctx, s.denials.over(s.timestamp().Add(2*denialWindowMax)))
}

func (s *Service) writeCounts(ctx context.Context, counts []*denialCount) error {
	var failed error
	for _, c := range counts {
		after := map[string]any{"reason": plainText(c.what.Reason, maxAuditName), "times": c.folded}
		failed = errors.Join(failed, s.writeDenial(ctx, c.who, c.what, after))
	}
	return failed
}
