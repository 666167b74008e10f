package rest

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/latchward/latchward"
)

// PostForm sends parameters as a form, which is how OAuth endpoints take them, and decodes the JSON that comes back into
// reply. Path is that of the endpoint, such as "/oauth/introspect".
func (c *Client) PostForm(ctx context.Context, path string, form url.Values, reply any) error {
	text, err := call[json.RawMessage](ctx, c, http.MethodPost, path, nil, form)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, reply); err != nil {
		return latchward.Errorf(latchward.CodeUnavailable, "the answer of %s is not what was expected: %w", path, err)
	}
	return nil
}

// content returns a body as it is sent, and its media type.
func content(body any) (text []byte, media string, err error) {
	switch body := body.(type) {
	case nil:
		return nil, "", nil
	case url.Values:
		return []byte(body.Encode()), "application/x-www-form-urlencoded", nil
	}
	text, err = json.Marshal(body)
	if err != nil {
		err = latchward.Errorf(latchward.CodeInternal, "encoding a request: %w", err)
	}
	return text, jsonType, err
}
