package signin

import (
	"context"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

// The names of cookies. The prefix __Host- makes browsers insist on Secure, no Domain and the path / (RFC 6265bis
// §4.1.3.2); over plain HTTP, which only loopback has, there can be none.
const (
	sessionCookie      = "__Host-latchward"
	localSessionCookie = "latchward_local"
	deviceSuffix       = "_device"
	flowSuffix         = "_flow"
	deviceAge          = 180 * 24 * time.Hour
)

// SessionService is what [Sessions] asks; [latchward.Service] is one.
type SessionService interface {
	UseSession(ctx context.Context, secret latchward.Secret) (latchward.Principal, latchward.Session, error)
}

// Sessions recognises people by the cookie of their session. It is safe for concurrent use.
type Sessions struct {
	service    SessionService
	proxies    *httpauth.Proxies
	name       string // of the cookie
	secure     bool
	protection *http.CrossOriginProtection
}

// NewSessions returns Sessions for pages that people reach at address, such as https://tokens.example.com. Proxies may
// be nil.
func NewSessions(service SessionService, address *url.URL, proxies *httpauth.Proxies) *Sessions {
	s := &Sessions{
		service: service, proxies: proxies, name: sessionCookie, secure: address.Scheme == "https",
		protection: http.NewCrossOriginProtection(),
	}
	if !s.secure {
		s.name = localSessionCookie
	}
	return s
}

// Middleware puts the person of a session's cookie into the context, where [latchward.PrincipalFrom] and
// [latchward.SessionFrom] find them. A request with an Authorization header is left alone, and one whose session has
// ended goes on as nobody's.
//
// What a cookie authenticates must come from our own pages: a request that changes something is answered with 403 when
// it comes from another origin, or has a body that is not application/json, which no foreign form can send (bar 114).
func (s *Sessions) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secret := s.cookie(r, s.name)
		if secret.IsZero() || len(r.Header["Authorization"]) > 0 {
			next.ServeHTTP(w, r)
			return
		}
		ctx, err := s.use(r, secret)
		if latchward.ErrorCode(err) == latchward.CodeUnauthenticated {
			next.ServeHTTP(w, r)
			return
		}
		if err == nil {
			err = s.guard(r, "application/json")
		}
		if err != nil {
			httpauth.WriteError(w, err)
			return
		}
		w.Header().Set("Cache-Control", "no-store") // it is for who has the cookie alone
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// use returns the context in which the person of a session acts.
func (s *Sessions) use(r *http.Request, secret latchward.Secret) (context.Context, error) {
	p, session, err := s.service.UseSession(r.Context(), secret)
	if err != nil {
		return nil, err
	}
	p.Origin = s.origin(r)
	return latchward.WithSession(latchward.WithPrincipal(r.Context(), p), session), nil
}

// guard refuses requests that change something and may have been made by somebody else's page.
func (s *Sessions) guard(r *http.Request, mediaType string) error {
	if isSafe(r.Method) {
		return nil
	}
	refused := latchward.Errorf(latchward.CodeForbidden, "This request came from another site.")
	if s.protection.Check(r) != nil {
		return refused
	}
	// A page that sends no referrers has "null" for its origin, and Sec-Fetch-Site was asked already.
	if origin := r.Header.Get("Origin"); origin != "" && origin != "null" {
		if u, err := url.Parse(origin); err != nil || u.Host != r.Host {
			return refused
		}
	}
	got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if (r.ContentLength != 0 || r.Header.Get("Content-Type") != "") && (err != nil || got != mediaType) {
		return latchward.Errorf(latchward.CodeForbidden, "With a session, send %s.", mediaType)
	}
	return nil
}

func isSafe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// origin is where r came from, for the audit log and the list of sessions.
func (s *Sessions) origin(r *http.Request) latchward.Origin {
	agent := r.UserAgent()
	agent = strings.ToValidUTF8(agent[:min(len(agent), latchward.MaxUserAgentLength)], "")
	return latchward.Origin{Address: s.address(r), UserAgent: agent}
}

func (s *Sessions) address(r *http.Request) netip.Addr { return s.proxies.ClientAddress(r) }

// cookie returns the one cookie of that name. Of several, one was planted by another host of the site.
func (s *Sessions) cookie(r *http.Request, name string) latchward.Secret {
	found := r.CookiesNamed(name)
	if len(found) != 1 || len(found[0].Value) > 128 {
		return latchward.Secret{}
	}
	return latchward.SecretFromText(found[0].Value)
}

// setCookie sets a cookie; a zero value deletes it. One without an age goes when the browser is closed.
func (s *Sessions) setCookie(w http.ResponseWriter, name string, value latchward.Secret, age time.Duration) {
	c := &http.Cookie{
		Name: name, Value: value.Expose(), Path: "/", HttpOnly: true, Secure: s.secure, SameSite: http.SameSiteLaxMode,
		MaxAge: int(age / time.Second),
	}
	if value.IsZero() {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// begin gives the browser the cookies of a session that has begun.
func (s *Sessions) begin(w http.ResponseWriter, begun *latchward.SignedIn) {
	s.setCookie(w, s.name, begun.Secret, 0)
	if !begun.Device.IsZero() {
		s.setCookie(w, s.name+deviceSuffix, begun.Device, deviceAge)
	}
}

// device returns what an earlier sign-in in this browser left.
func (s *Sessions) device(r *http.Request) latchward.Secret { return s.cookie(r, s.name+deviceSuffix) }

// old returns the session that the browser has.
func (s *Sessions) old(r *http.Request) latchward.Secret { return s.cookie(r, s.name) }
