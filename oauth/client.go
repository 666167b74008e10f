package oauth

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"github.com/latchward/latchward"
)

// Poster sends a form to an endpoint of a server and decodes the JSON of the answer. The client of package rest is one.
type Poster interface {
	PostForm(ctx context.Context, path string, form url.Values, reply any) error
}

// Introspect asks a server what a token is good for; by must be allowed to, see [IntrospectPath]. One that is no good is
// no error: of it, Active is false. Errors are those of by.
func Introspect(ctx context.Context, by Poster, token latchward.Secret) (told Introspection, err error) {
	told.Restrictions = &Restrictions{}
	err = by.PostForm(ctx, IntrospectPath, url.Values{"token": {token.Expose()}}, &told)
	return told, err
}

// Derivation says what a derived token is to be. What is left out is as with the API token.
type Derivation struct {
	Audience    []string      // for whom; empty = Latchward itself
	Permissions []string      // empty = all that the API token holds
	Endpoints   []string      // patterns; empty = those of the API token
	Lifetime    time.Duration // whole seconds; 0 = as long as the server lets it
}

// Derive exchanges an API token for a JWT that holds the same or less, for a few minutes (B-11). It is a request of the
// API token. The token itself is what it takes: by needs no credential, and presents none if it is a client without one.
func Derive(ctx context.Context, by Poster, token latchward.Secret, d Derivation) (reply TokenReply, err error) {
	form := url.Values{
		"grant_type": {GrantExchange}, "subject_token": {token.Expose()}, "subject_token_type": {TypeAccessToken},
		"requested_token_type": {TypeJWT}, "audience": d.Audience, paramEndpoint: d.Endpoints,
	}
	if len(d.Permissions) > 0 {
		form.Set("scope", scopeOf(d.Permissions))
	}
	if d.Lifetime > 0 {
		form.Set(paramExpiresIn, strconv.FormatInt(int64(d.Lifetime/time.Second), 10))
	}
	err = by.PostForm(ctx, TokenPath, form, &reply)
	return reply, err
}
