package oauth

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/latchward/latchward"
)

// Grant types and token types.
const (
	GrantExchange = "urn:ietf:params:oauth:grant-type:token-exchange" // RFC 8693 §2.1

	TypeAccessToken = "urn:ietf:params:oauth:token-type:access_token" // RFC 8693 §3
	TypeJWT         = "urn:ietf:params:oauth:token-type:jwt"          // RFC 8693 §3
	// TypeSession is the secret of a session of the sign-in pages, as its cookie has it.
	TypeSession = "urn:latchward:params:oauth:token-type:session"
)

// ScopeOffline asks for a token that outlives the moment: without it a token expires after Options.TokenLifetime at the
// latest (S3-02, S3-03).
const ScopeOffline = "offline_access"

// DefaultTokenLifetime is how long a token lives that was asked for without [ScopeOffline], unless configured.
const DefaultTokenLifetime = time.Hour

// Parameters of ours (RFC 6749 §8.2 asks for a prefix).
const (
	paramName      = "latchward_name"
	paramExpiresIn = "latchward_expires_in"
	paramEndpoint  = "latchward_endpoint" // repeatable
)

const bearer = "Bearer"

// TokenReply is what a token is exchanged for (RFC 8693 §2.2.1).
type TokenReply struct {
	AccessToken string `json:"access_token"`
	IssuedType  string `json:"issued_token_type"`
	TokenType   string `json:"token_type"`           // Bearer
	ExpiresIn   int64  `json:"expires_in,omitempty"` // seconds; 0 = it does not expire
	Scope       string `json:"scope"`                // what it holds
	// TokenID is what the management API calls the token; 0 for one that it does not know.
	TokenID latchward.TokenID `json:"token_id,omitempty"`
}

// token answers the token endpoint (RFC 6749 §3.2).
func (h *handler) token(w http.ResponseWriter, r *http.Request) error {
	f, err := readForm(w, r, "resource", "audience", paramEndpoint)
	if err != nil {
		return err
	}
	if err := publicClient(r, f); err != nil {
		return err
	}
	switch f.get("grant_type") {
	case "":
		return invalidRequest("grant_type is missing")
	case GrantExchange:
	default:
		return &fault{code: codeUnsupportedGrant, text: "The only grant_type here is " + GrantExchange}
	}
	reply, err := h.exchange(r, f)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, reply)
	return nil
}

// exchange gives what was asked for in exchange for the subject token.
func (h *handler) exchange(r *http.Request, f form) (TokenReply, error) {
	switch {
	case f.get("actor_token") != "" || f.get("actor_token_type") != "":
		return TokenReply{}, invalidRequest("actor_token: nobody acts for somebody else here")
	case f.get("subject_token") == "":
		return TokenReply{}, invalidRequest("subject_token is missing")
	}
	token := latchward.SecretFromText(f.get("subject_token"))
	switch wanted, ours := f.get("requested_token_type"), h.isOurs(f.get("subject_token_type"), token); {
	case ours && wanted == TypeJWT:
		return h.derive(r, f, token)
	case ours:
		return TokenReply{}, invalidRequest("subject_token: an API token makes no other API token (only a person does); " +
			"it is exchanged for requested_token_type=" + TypeJWT)
	case wanted != "" && wanted != TypeAccessToken:
		return TokenReply{}, invalidRequest("requested_token_type: a person's credential is exchanged for " + TypeAccessToken)
	}
	return h.issue(r, f, token)
}

// issue makes an API token for a person, as POST /api/api-tokens does.
func (h *handler) issue(r *http.Request, f form, token latchward.Secret) (TokenReply, error) {
	ctx, p, err := h.person(r, f.get("subject_token_type"), token)
	if err != nil {
		return TokenReply{}, err
	}
	asked, offline, err := h.wanted(ctx, f, p)
	if err != nil {
		return TokenReply{}, err
	}
	if asked.RequestKey, err = requestKey(r); err != nil {
		return TokenReply{}, err
	}
	issued, err := h.service.CreateToken(ctx, asked)
	if err != nil {
		return TokenReply{}, blame(err, offline)
	}
	i, err := h.service.Introspect(ctx, issued.Secret)
	if err != nil {
		return TokenReply{}, err
	}
	reply := TokenReply{
		AccessToken: issued.Secret.Expose(), IssuedType: TypeAccessToken, TokenType: bearer, TokenID: issued.Token.ID,
		Scope: scopeOf(i.Rights.Grants()), ExpiresIn: h.secondsUntil(issued.Token.ExpiresAt),
	}
	if offline {
		reply.Scope = strings.TrimSpace(reply.Scope + " " + ScopeOffline)
	}
	return reply, nil
}

// secondsUntil returns the whole seconds until at, at least 1; 0 for the zero time.
func (h *handler) secondsUntil(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return max(1, int64(at.Sub(h.now())/time.Second))
}

// wanted reads what the token is to be.
func (h *handler) wanted(
	ctx context.Context, f form, p latchward.Principal,
) (n latchward.NewToken, offline bool, err error) {
	n.Name = f.get(paramName)
	if n.Permissions, offline, err = parseScope(f.get("scope")); err != nil {
		return n, offline, err
	}
	if err = h.mayGive(ctx, p, n.Permissions); err != nil {
		return n, offline, err
	}
	if n.AllowedEndpoints, err = h.target(f); err != nil {
		return n, offline, err
	}
	if patterns := f[paramEndpoint]; len(patterns) > 0 {
		if n.AllowedEndpoints != nil {
			return n, offline, invalidRequest(paramEndpoint + " and resource both say what the token may call; send one of them")
		}
		n.AllowedEndpoints = patterns
	}
	life := h.TokenLifetime
	if text := f.get(paramExpiresIn); text != "" {
		asked, err := strconv.ParseInt(text, 10, 64)
		if err != nil || asked < 1 || asked > maxLifetimeSeconds {
			return n, offline, invalidRequest(paramExpiresIn + " must be a whole number of seconds, at least 1")
		}
		if life = time.Duration(asked) * time.Second; !offline {
			life = min(life, h.TokenLifetime)
		}
	} else if offline {
		return n, offline, nil
	}
	n.ExpiresAt = h.now().Add(life)
	return n, offline, nil
}

const maxLifetimeSeconds = 100 * 365 * 24 * 3600

// parseScope returns the permissions of a scope; nil = none was named, which asks for all that the person holds.
func parseScope(text string) (permissions []string, offline bool, err error) {
	if text == "" {
		return nil, false, nil
	}
	for i, item := range strings.Split(text, " ") {
		switch {
		case item == ScopeOffline:
			offline = true
		case latchward.ValidateGrants("scope", []string{item}) != nil: // it is not repeated: it may be anything
			return nil, false, &fault{code: codeInvalidScope, text: "scope: word " + strconv.Itoa(i+1) +
				" is neither " + ScopeOffline + " nor a permission like orders.read"}
		case !slices.Contains(permissions, item):
			permissions = append(permissions, item)
		}
	}
	return permissions, offline, nil
}

// mayGive refuses permissions that would come to nothing in a token of this person's. A token is bound by what its
// owner holds anyhow; but who asks by OAuth is to learn at once what they will not get. What the identity provider says
// about one sign-in does not count: it is not there when the token is used.
func (h *handler) mayGive(ctx context.Context, p latchward.Principal, permissions []string) error {
	if len(permissions) == 0 {
		return nil
	}
	held, err := h.service.UserRights(ctx, latchward.UserID(p.ID))
	if err != nil {
		return err
	}
	own := latchward.NewRights(latchward.RightsFacts{Permissions: permissions}) // holds nothing over Latchward itself
	for _, grant := range permissions {
		if !held.Rights.Covers(grant) || !own.Covers(grant) {
			return &fault{code: codeInvalidScope, text: "scope: " + grant + " is not yours to give to a token"}
		}
	}
	return nil
}

// target returns the endpoints that the token is for; nil = all. Each resource is the URL of something below the API
// (RFC 8707 §2), which narrows the token to that; an audience can only be the API as a whole (RFC 8693 §2.1).
func (h *handler) target(f form) ([]string, error) {
	for _, audience := range f["audience"] {
		if h.Issuer == "" || strings.TrimSuffix(audience, "/") != h.Issuer {
			return nil, &fault{code: codeInvalidTarget, text: "audience: tokens are for the issuer of this server alone"}
		}
	}
	var endpoints []string
	all := len(f["resource"]) == 0
	for _, resource := range f["resource"] {
		path, err := h.resourcePath(resource)
		if err != nil {
			return nil, err
		}
		all = all || path == "/"
		endpoints = append(endpoints, path, path+"/**")
	}
	if all {
		return nil, nil
	}
	return endpoints, nil
}

// resourcePath returns the judged path of a resource.
func (h *handler) resourcePath(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || h.Issuer == "" || u.Scheme+"://"+u.Host != h.Issuer || u.User != nil ||
		u.Fragment != "" || u.RawQuery != "" || strings.ContainsAny(text, "#?*") {
		return "", &fault{code: codeInvalidTarget, text: "resource: must be a URL below the issuer of this server, " +
			"without a query and a fragment"}
	}
	if u.Path == "" || u.Path == "/" {
		return "/", nil
	}
	path, _ := latchward.CanonicalPath(u.EscapedPath()) // "", which is under nothing, for one that has no such form
	judged, under := latchward.JudgedPath(path, h.Base)
	if !under {
		return "", &fault{code: codeInvalidTarget, text: "resource: there is nothing for tokens at that path"}
	}
	if judged != "/" {
		judged = strings.TrimSuffix(judged, "/")
	}
	return judged, nil
}

// blame says what a refusal to make the token is about.
func blame(err error, offline bool) error {
	field := latchward.ErrorField(err)
	switch latchward.ErrorCode(err) {
	case latchward.CodeInvalid, latchward.CodeForbidden:
	default:
		return err
	}
	switch text := latchward.ErrorMessage(err); {
	case strings.HasPrefix(field, "permissions"), offline && field == "expires_at":
		return &fault{code: codeInvalidScope, text: "scope: " + text}
	case strings.HasPrefix(field, "allowed_endpoints"):
		return invalidRequest(paramEndpoint + ": " + text)
	case field == "name":
		return invalidRequest(paramName + ": " + text)
	}
	return err
}

// scopeOf returns permissions as a scope.
func scopeOf(permissions []string) string { return strings.Join(permissions, " ") }
