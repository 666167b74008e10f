package extauthz

import (
	"context"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

// verdictAge is how old a verdict may be when a message passes on a stream.
const verdictAge = time.Second

// call is one call on its way.
type call struct {
	guard   *guard
	ctx     context.Context // as the handler sees it
	arrived time.Time
	limits  metadata.MD
	event   latchward.UsageEvent // of a tracked verdict; otherwise its Reason is ""

	judge   httpauth.Judge
	request *http.Request // nil = no verdict is asked for
	judged  atomic.Int64  // when that was last done, in nanoseconds since 1970

	bytesReceived, bytesSent atomic.Int64 // a stream may be read and written at the same time
}

func (c *call) describe(v *latchward.Verdict, path string, address netip.Addr, agent string) {
	header := http.Header{}
	httpauth.SetLimitHeaders(header, v)
	c.limits = metadata.MD{}
	for name, values := range header {
		c.limits.Set(name, values...) // in lower case
	}
	if v.Tracked() {
		c.event = httpauth.EventOf(v)
		c.event.Endpoint, c.event.Method, c.event.Address, c.event.UserAgent = path, http.MethodPost, address, agent
	}
}

// mayGoOn returns the status of a caller who may no longer make the call.
func (c *call) mayGoOn() error {
	last, now := c.judged.Load(), c.guard.Now()
	if c.request == nil || now.Sub(time.Unix(0, last)) < verdictAge || !c.judged.CompareAndSwap(last, now.UnixNano()) {
		return nil
	}
	v, err := c.judge.JudgeAgain(c.request)
	first, _ := latchward.VerdictFrom(c.ctx)
	switch {
	case err != nil:
		return failure(err)
	case v.Allowed() || v.Reason == first.Reason: // which was let through
		return nil
	default:
		return refusal(&v, c.judge.Missing(&v))
	}
}

// finish records the call. A handler that panicked has not finished: the panic goes on.
func (c *call) finish(err error, finished bool) {
	if c.guard.Recorder == nil || c.event.Reason == "" {
		return
	}
	c.event.At = c.guard.Now()
	c.event.Duration = c.event.At.Sub(c.arrived)
	c.event.Status = statusOfCode(status.Code(err))
	if !finished {
		c.event.Status = http.StatusInternalServerError
	}
	c.event.RequestBytes, c.event.ResponseBytes = c.bytesReceived.Load(), c.bytesSent.Load()
	c.guard.Recorder.Record(&c.event) // the recorder counts what it does not take
}

func (c *call) received(message any) { c.bytesReceived.Add(size(message)) }

func (c *call) sent(message any) { c.bytesSent.Add(size(message)) }

// size returns how long a message is, without what gRPC puts around it. Codecs other than protobuf are not known.
func size(message any) int64 {
	if m, ok := message.(proto.Message); ok {
		return int64(proto.Size(m))
	}
	return 0
}

// judgedStream is a stream whose handler sees the verdict, and no message once it does not hold any more.
type judgedStream struct {
	grpc.ServerStream
	call *call
}

// Context implements grpc.ServerStream.
func (s *judgedStream) Context() context.Context { return s.call.ctx }

// SendMsg implements grpc.ServerStream.
func (s *judgedStream) SendMsg(message any) error {
	err := s.call.mayGoOn()
	if err == nil {
		err = s.ServerStream.SendMsg(message)
	}
	if err == nil {
		s.call.sent(message)
	}
	return err
}

// RecvMsg implements grpc.ServerStream.
func (s *judgedStream) RecvMsg(message any) error {
	err := s.ServerStream.RecvMsg(message) // it may wait for long, so the verdict is looked at after
	if err == nil {
		err = s.call.mayGoOn()
	}
	if err == nil {
		s.call.received(message)
	}
	return err
}
