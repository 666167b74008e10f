package oauth

import (
	"context"
	"net/url"

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
