package httpauth

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/latchward/latchward"
)

// statusClientLeft is recorded when the client left before there was an answer. It is never sent.
const statusClientLeft = 499

// exchange is one request on its way through [Require]: everything that has to be remembered of it in one allocation.
type exchange struct {
	recording
	body     countedBody
	event    latchward.UsageEvent // of a tracked verdict; otherwise its Reason is ""
	returned bool                 // the handler did, rather than panic
}

func newExchange(w http.ResponseWriter, r *http.Request) *exchange {
	e := &exchange{}
	e.recording.ResponseWriter, e.recording.ctx, e.recording.request = w, r.Context(), &e.body
	e.body.ReadCloser, e.body.trailers[0] = r.Body, r
	return e
}

// requestWith returns the request as the handler gets it.
func (e *exchange) requestWith(ctx context.Context) *http.Request {
	r := e.body.trailers[0].WithContext(ctx)
	if r.Body != nil && r.Body != http.NoBody {
		e.body.trailers[1] = r
		r.Body = &e.body
	}
	return r
}

// describe notes what is known of the usage event before the request is served.
func (e *exchange) describe(r *http.Request, v *latchward.Verdict, path string, address netip.Addr) {
	e.event = EventOf(v)
	e.event.Endpoint, e.event.Method, e.event.Address, e.event.UserAgent = path, r.Method, address, r.UserAgent()
}

// EventOf returns the usage event of a tracked verdict, as far as the verdict tells: its reason, and whose credential it
// was.
func EventOf(v *latchward.Verdict) latchward.UsageEvent {
	if v.Token.ID != 0 {
		return latchward.UsageEvent{Reason: v.Reason, Credential: v.Credential(), TokenID: v.Token.ID}
	}
	return latchward.UsageEvent{
		Reason: v.Reason, Credential: v.Credential(), UserID: latchward.UserID(v.Subject.ID),
	}
}

// finish records the request. It is deferred, so that it sees every way in which a handler can end.
func (e *exchange) finish(h *required, arrived time.Time) {
	failure := recover()
	if h.options.Recorder != nil && e.event.Reason != "" {
		e.event.At = h.options.Now()
		e.event.Duration = e.event.At.Sub(arrived)
		e.event.Status = e.finalStatus(failure)
		e.event.RequestBytes = e.body.received.Load()
		if e.event.Method != http.MethodHead { // what is written is not sent
			e.event.ResponseBytes = e.sent.Load()
		}
		h.options.Recorder.Record(&e.event) // the recorder counts what it does not take
	}
	if failure != nil {
		panic(failure)
	}
}

// finalStatus returns the status to record. A panic is a failure of the request whatever was sent before; but
// http.ErrAbortHandler is how proxies say that a connection broke.
func (e *exchange) finalStatus(failure any) int {
	aborted, _ := failure.(error)
	switch {
	case !e.returned && !errors.Is(aborted, http.ErrAbortHandler):
		return http.StatusInternalServerError
	case e.status != 0:
		return e.status
	case e.clientLeft():
		return statusClientLeft
	case !e.returned:
		return http.StatusInternalServerError
	default:
		return http.StatusOK
	}
}
