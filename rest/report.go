package rest

import (
	"context"
	"net/netip"
	"strconv"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/internal/shape"
)

// UsageReport tells of requests that were served elsewhere. Either all events are well-formed or none is taken.
type UsageReport struct {
	Events []UsageReportEvent `json:"events" range:"1,1000"`
}

// UsageReportEvent is one request. An event is counted once, however often it is reported. One that ended longer ago
// than 24 hours, or later than in a minute, counts as that long ago or late.
type UsageReportEvent struct {
	RequestID     string           `json:"request_id" doc:"1 to 64 bytes, different for each request."`
	TokenID       int64            `json:"token_id,omitzero" range:"1," doc:"The token it came with."`
	UserID        int64            `json:"user_id,omitzero" range:"1," doc:"Its person, if it came with a JWT."`
	Path          string           `json:"path" doc:"Without base and query, with its escapes."`
	Method        string           `json:"method"`
	Status        int              `json:"status" range:"100,599" doc:"499 when the client left before one."`
	DurationMS    float64          `json:"duration_ms,omitzero" range:"0,86400000" doc:"May have a fraction."`
	RequestBytes  int64            `json:"request_bytes,omitzero" range:"0," doc:"Of the body."`
	ResponseBytes int64            `json:"response_bytes,omitzero" range:"0," doc:"Of the body."`
	Address       string           `json:"address,omitzero" doc:"IP address of the client."`
	UserAgent     string           `json:"user_agent,omitzero"`
	Reason        latchward.Reason `json:"reason,omitzero" doc:"That of the verdict; allowed when missing."`
	At            Time             `json:"at,omitzero" doc:"When it ended; now when missing."`
}

// UsageReceipt tells how many events were taken, those included that had been reported before.
type UsageReceipt struct {
	Accepted int `json:"accepted"`
}

// How far the clock of whoever reports may be from ours.
const (
	oldestReport = 24 * time.Hour
	latestReport = time.Minute
)

func (h *handler) reportUsage(_ context.Context, in request[none, UsageReport]) (UsageReceipt, error) {
	now := h.now()
	events := make([]latchward.UsageEvent, len(in.Body.Events))
	for i := range in.Body.Events {
		if err := in.Body.Events[i].event(&events[i], now); err != nil {
			return UsageReceipt{}, shape.Within("events", shape.Within("["+strconv.Itoa(i)+"]", err))
		}
	}
	for i := range events {
		if !h.service.Record(&events[i]) {
			// What was taken before has its id and is not counted again when the report is repeated.
			return UsageReceipt{}, errTooMuchUsage
		}
	}
	return UsageReceipt{len(events)}, nil
}

var errTooMuchUsage error = &latchward.Error{
	Code: latchward.CodeUnavailable, Message: "Too much usage is waiting; report it again later",
}

// event fills e, or returns an error that names the member at fault.
func (u *UsageReportEvent) event(e *latchward.UsageEvent, now time.Time) (err error) {
	if u.RequestID == "" || len(u.RequestID) > latchward.MaxRequestIDLength {
		return latchward.Invalid("request_id", "must have 1 to %d bytes", latchward.MaxRequestIDLength)
	}
	if (u.TokenID == 0) == (u.UserID == 0) {
		return latchward.Invalid("token_id", "must be given, or user_id instead")
	}
	*e = latchward.UsageEvent{
		At: u.At.Time, TokenID: latchward.TokenID(u.TokenID), UserID: latchward.UserID(u.UserID),
		Credential: latchward.CredentialToken, Reason: u.Reason, Status: u.Status,
		Duration:     time.Duration(u.DurationMS * float64(time.Millisecond)),
		RequestBytes: u.RequestBytes, ResponseBytes: u.ResponseBytes, UserAgent: u.UserAgent, RequestID: u.RequestID,
	}
	if u.UserID != 0 {
		e.Credential = latchward.CredentialJWT
	}
	if e.Reason == "" {
		e.Reason = latchward.ReasonAllowed
	}
	if e.Reason.Unproven() {
		return latchward.Invalid("reason", "must be that of a request whose secret was proven")
	}
	if e.Endpoint, err = latchward.CanonicalPath(u.Path); err != nil {
		return err
	}
	if e.Method, err = latchward.CanonicalMethod(u.Method); err != nil {
		return err
	}
	if e.Address, err = parseAddress(u.Address); err != nil {
		return shape.Within("address", err)
	}
	e.At = plausible(e.At, now)
	return nil
}

// plausible returns the moment nearest to at that a report made now may tell of.
func plausible(at, now time.Time) time.Time {
	oldest, latest := now.Add(-oldestReport), now.Add(latestReport)
	switch {
	case at.IsZero():
		return now
	case at.Before(oldest):
		return oldest
	case at.After(latest):
		return latest
	default:
		return at
	}
}

// parseAddress reads the address of a client as a caller tells it; "" is none.
func parseAddress(text string) (netip.Addr, error) {
	if text == "" {
		return netip.Addr{}, nil
	}
	address, err := netip.ParseAddr(text)
	if err != nil || address.Zone() != "" {
		return netip.Addr{}, latchward.Invalid("", "must be an IP address")
	}
	return address.Unmap(), nil
}
