package extauthz_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	health "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/extauthz"
	"github.com/latchward/latchward/httpauth"
)

// world is a Verifier that gives one verdict for the secret "good", and a Recorder.
type world struct {
	mu      sync.Mutex
	verdict latchward.Verdict
	err     error
	now     time.Time
	asked   []latchward.VerifyRequest
	events  chan latchward.UsageEvent
}

func newWorld() *world {
	w := &world{now: time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC), events: make(chan latchward.UsageEvent, 10)}
	w.verdict = latchward.Verdict{
		Reason: latchward.ReasonAllowed, At: w.now, Token: latchward.VerdictToken{ID: 7},
		Subject: latchward.Subject{Type: latchward.SubjectToken, ID: 7, Name: "Shop"},
		Limit:   latchward.LimitStatus{Name: "token", Limit: 60, Remaining: 59, Window: time.Minute, Reset: w.now},
		Rights: latchward.NewRights(latchward.RightsFacts{
			Permissions: []string{"health.read"}, Roles: []string{"clerk"}, Groups: []string{"store"},
		}),
	}
	return w
}

func (w *world) Verify(_ context.Context, r latchward.VerifyRequest) (latchward.Verdict, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, r)
	if r.Secret.Expose() != "good" {
		return latchward.Verdict{Reason: latchward.ReasonNotFound, At: w.now}, w.err
	}
	v := w.verdict
	if v.Allowed() && !v.Rights.Allows(r.Query) {
		v.Reason = latchward.ReasonInsufficientPermissions
	}
	return v, w.err
}

func (w *world) Record(e *latchward.UsageEvent) bool { w.events <- *e; return true }

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) requests() []latchward.VerifyRequest {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]latchward.VerifyRequest{}, w.asked...)
}

// service answers health checks with what it knows of the caller.
type service struct {
	health.UnimplementedHealthServer
	seen chan seen
	step chan struct{} // lets Watch send once more
}

type seen struct {
	verdict latchward.Verdict
	claims  []string
}

func look(ctx context.Context) seen {
	v, _ := latchward.VerdictFrom(ctx)
	md, _ := metadata.FromIncomingContext(ctx)
	return seen{v, md.Get("x-latchward-owner")}
}

func (s *service) Check(ctx context.Context, r *health.HealthCheckRequest) (*health.HealthCheckResponse, error) {
	s.seen <- look(ctx)
	switch r.Service {
	case "absent":
		return nil, status.Error(codes.NotFound, "absent")
	case "panic":
		panic("as asked")
	}
	return &health.HealthCheckResponse{Status: health.HealthCheckResponse_SERVING}, nil
}

func (s *service) Watch(
	_ *health.HealthCheckRequest, stream grpc.ServerStreamingServer[health.HealthCheckResponse],
) error {
	s.seen <- look(stream.Context())
	for range s.step {
		if err := stream.Send(&health.HealthCheckResponse{Status: health.HealthCheckResponse_SERVING}); err != nil {
			return err
		}
	}
	return nil
}

func start(t *testing.T, w *world, o extauthz.Options) (health.HealthClient, *service) {
	t.Helper()
	o.Verifier, o.Now = w, w.clock
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	recovering := func(
		ctx context.Context, r any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler,
	) (reply any, err error) {
		defer func() {
			if recover() != nil {
				err = status.Error(codes.Internal, "panicked")
			}
		}()
		return next(ctx, r)
	}
	server := grpc.NewServer(
		grpc.ChainUnaryInterceptor(recovering, extauthz.UnaryInterceptor(o)),
		grpc.StreamInterceptor(extauthz.StreamInterceptor(o)),
	)
	s := &service{seen: make(chan seen, 10), step: make(chan struct{})}
	health.RegisterHealthServer(server, s)
	go server.Serve(listener) //nolint:errcheck // ends with Stop
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return health.NewHealthClient(conn), s
}

func with(t *testing.T, secret string) context.Context {
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-latchward-owner", "user:1")
	if secret != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+secret)
	}
	return ctx
}

func check(ctx context.Context, c health.HealthClient, service string) (metadata.MD, error) {
	var header metadata.MD
	_, err := c.Check(ctx, &health.HealthCheckRequest{Service: service}, grpc.Header(&header))
	return header, err
}

const method = "/grpc.health.v1.Health/Check"

// B-17: what is asked, what the handler sees, what the caller is told and what is recorded of a unary call.
func TestUnary(t *testing.T) {
	w := newWorld()
	client, s := start(t, w, extauthz.Options{})
	header, err := check(with(t, "good"), client, "")
	if err != nil {
		t.Fatal(err)
	}
	if got := header.Get("x-ratelimit-remaining"); len(got) != 1 || got[0] != "59" {
		t.Errorf("header %v", header)
	}
	r := w.requests()[0]
	if r.Method != "POST" || r.Path != method || r.Address.String() != "127.0.0.1" || !r.Rights || r.Cost != 1 {
		t.Errorf("asked %+v", r)
	}
	if saw := <-s.seen; saw.verdict.Subject.Name != "Shop" || saw.claims != nil {
		t.Errorf("the handler saw %+v", saw)
	}
	e := <-w.events
	if e.TokenID != 7 || e.Endpoint != method || e.Method != "POST" || e.Status != 200 || e.ResponseBytes != 2 ||
		e.Address.String() != "127.0.0.1" || !strings.HasPrefix(e.UserAgent, "grpc-go/") {
		t.Errorf("recorded %+v", e)
	}
}

func TestUnaryRefused(t *testing.T) {
	w := newWorld()
	client, s := start(t, w, extauthz.Options{})
	for _, secret := range []string{"", "wrong"} {
		if _, err := check(with(t, secret), client, ""); status.Code(err) != codes.Unauthenticated {
			t.Errorf("%q: %v", secret, err)
		}
	}
	ctx := metadata.AppendToOutgoingContext(with(t, "good"), "authorization", "Bearer good")
	if _, err := check(ctx, client, ""); status.Code(err) != codes.InvalidArgument {
		t.Errorf("two credentials: %v", err)
	}
	w.change(func() { w.err = errors.New("the database is gone") })
	if _, err := check(with(t, "good"), client, ""); status.Code(err) != codes.Unavailable ||
		strings.Contains(err.Error(), "database") {
		t.Errorf("no verdict: %v", err)
	}
	if len(s.seen)+len(w.events) != 0 {
		t.Error("a refused call was served or recorded")
	}
	w.change(func() { w.err, w.verdict.Reason = nil, latchward.ReasonRateLimited })
	header, err := check(with(t, "good"), client, "")
	if status.Code(err) != codes.ResourceExhausted || header.Get("x-ratelimit-limit")[0] != "60" {
		t.Errorf("over the limit: %v %v", err, header)
	}
	var told []string
	for _, detail := range status.Convert(err).Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			told = append(told, detail.Domain+" "+detail.Reason)
		case *errdetails.RetryInfo:
			told = append(told, detail.RetryDelay.AsDuration().String())
		}
	}
	if strings.Join(told, ", ") != "latchward rate_limited, 1s" {
		t.Errorf("details %v", told)
	}
	if e := <-w.events; e.Status != 429 || e.Reason != latchward.ReasonRateLimited {
		t.Errorf("recorded %+v", e)
	}
}

// C-02: guessing is bounded, and no valid token suffers from it.
func TestGuard(t *testing.T) {
	client, _ := start(t, newWorld(), extauthz.Options{Guard: httpauth.NewGuard(2, nil)})
	for i, want := range []codes.Code{codes.Unauthenticated, codes.Unauthenticated, codes.ResourceExhausted} {
		if _, err := check(with(t, "wrong"), client, ""); status.Code(err) != want {
			t.Errorf("attempt %d: %v", i, err)
		}
	}
	if _, err := check(with(t, "good"), client, ""); err != nil {
		t.Error(err)
	}
}

// S5-09 over gRPC, X-10, S5-11
func TestNeeds(t *testing.T) {
	query := func(text string) latchward.PermissionQuery {
		q, err := latchward.ParsePermissionQuery("permissions", text)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	for _, c := range []struct {
		name, secret string
		needs        extauthz.Needs
		code         codes.Code
		message      string
	}{
		{"held", "good", extauthz.Needs{
			Query: query("health.read"), Roles: []string{"clerk"}, Groups: []string{"store"},
		}, codes.OK, ""},
		{"permission", "good", extauthz.Needs{Query: query("health.write")}, codes.PermissionDenied,
			"Insufficient permissions: Needs the permission health.write"},
		{"role", "good", extauthz.Needs{Roles: []string{"boss"}}, codes.PermissionDenied, "Needs the role boss"},
		{"group", "good", extauthz.Needs{Groups: []string{"office"}}, codes.PermissionDenied, "Needs the group office"},
		{"optional", "", extauthz.Needs{Optional: true}, codes.OK, ""},
		{"optional, bad", "wrong", extauthz.Needs{Optional: true}, codes.Unauthenticated, "Invalid token"},
		{"public", "wrong", extauthz.Needs{Public: true}, codes.OK, ""},
	} {
		client, s := start(t, newWorld(), extauthz.Options{Needs: func(string) extauthz.Needs { return c.needs }})
		_, err := check(with(t, c.secret), client, "")
		if status.Code(err) != c.code || status.Convert(err).Message() != c.message {
			t.Errorf("%s: %v", c.name, err)
		}
		if served := len(s.seen) == 1; served != (c.code == codes.OK) {
			t.Errorf("%s: served %v", c.name, served)
		}
		if len(s.seen) == 1 && len((<-s.seen).claims) != 0 {
			t.Errorf("%s: the handler saw a claimed identity", c.name)
		}
	}
}

func TestUnaryFailures(t *testing.T) {
	w := newWorld()
	client, _ := start(t, w, extauthz.Options{})
	for service, want := range map[string]int{"absent": 404, "panic": 500} {
		if _, err := check(with(t, "good"), client, service); err == nil {
			t.Errorf("%s: no error", service)
		}
		if e := <-w.events; e.Status != want || e.Reason != latchward.ReasonAllowed {
			t.Errorf("%s: recorded %+v", service, e)
		}
	}
}

// A stream is one call; it ends soon after its token was revoked.
func TestStream(t *testing.T) {
	w := newWorld()
	client, s := start(t, w, extauthz.Options{})
	stream, err := client.Watch(with(t, "good"), &health.HealthCheckRequest{Service: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if saw := <-s.seen; saw.verdict.Subject.Name != "Shop" || saw.claims != nil {
		t.Errorf("the handler saw %+v", saw)
	}
	for range 2 {
		s.step <- struct{}{}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
		w.change(func() { w.now = w.now.Add(999 * time.Millisecond) })
	}
	if header, err := stream.Header(); err != nil || header.Get("x-ratelimit-remaining")[0] != "59" {
		t.Errorf("header %v, %v", header, err)
	}
	w.change(func() { w.verdict.Reason = latchward.ReasonRevoked; w.now = w.now.Add(time.Millisecond) })
	s.step <- struct{}{}
	if _, err := stream.Recv(); status.Code(err) != codes.Unauthenticated {
		t.Errorf("after the revocation: %v", err)
	}
	if e := <-w.events; e.Status != 401 || e.ResponseBytes != 4 || e.RequestBytes != 3 {
		t.Errorf("recorded %+v", e)
	}
	if asked := w.requests(); len(asked) != 2 || asked[0].DryRun || !asked[1].DryRun {
		t.Errorf("asked %+v", asked)
	}
}

func TestStreamRefused(t *testing.T) {
	client, s := start(t, newWorld(), extauthz.Options{})
	stream, err := client.Watch(with(t, ""), &health.HealthCheckRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Unauthenticated || errors.Is(err, io.EOF) || len(s.seen) != 0 {
		t.Error(err)
	}
}
