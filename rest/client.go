package rest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

// ClientOptions configures a [Client]. The zero value of every field is a default.
type ClientOptions struct {
	Token         latchward.Secret // a service token, to verify and report
	JWT           latchward.Secret // of a person, to manage; give this or Token. Neither is needed on a Unix socket
	HTTPClient    *http.Client     // nil = one that gives up after 30 s; its CheckRedirect is not used
	UsageBuffer   int              // events that wait to be reported; 0 = 10,000
	FlushInterval time.Duration    // between reports; 0 = 500 ms
	Now           func() time.Time // nil = time.Now
	Logger        *slog.Logger     // nil = nowhere
}

// Client talks to a server's API. It is a [latchward.Verifier] and a [latchward.Recorder], so the same middleware
// serves an embedded and a remote Latchward. All methods are safe for concurrent use.
//
// Errors are [latchward.Error]: what the server answered, with its code, message and field, and code unavailable when
// it did not answer. They never hold the client's credential.
type Client struct {
	base       string
	credential latchward.Secret
	http       http.Client
	now        func() time.Time
	log        *slog.Logger
	reports    reports
}

var (
	_ latchward.Verifier = (*Client)(nil)
	_ latchward.Recorder = (*Client)(nil)
)

// NewClient returns a client for the server at baseURL, such as "https://tokens.example.com": where /api is. It starts
// nothing; see [Client.Run]. The error is of code invalid.
func NewClient(baseURL string, o ClientOptions) (*Client, error) {
	address, err := url.Parse(baseURL)
	if err != nil || address.Scheme != "http" && address.Scheme != "https" || address.Host == "" ||
		address.User != nil || address.RawQuery != "" || address.Fragment != "" {
		// It is not repeated: it may hold a password.
		return nil, latchward.Invalid("base_url", "must be the address of a server, like https://tokens.example.com")
	}
	if !o.Token.IsZero() && !o.JWT.IsZero() {
		return nil, latchward.Invalid("jwt", "must not be given beside a token")
	}
	c := &Client{
		base: strings.TrimSuffix(address.String(), "/"), credential: o.Token, http: http.Client{Timeout: 30 * time.Second},
		now: o.Now, log: o.Logger,
	}
	if !o.JWT.IsZero() {
		c.credential = o.JWT
	}
	if o.HTTPClient != nil {
		c.http = *o.HTTPClient
	}
	// A redirect would carry tokens in bodies to an address that nobody gave.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if c.now == nil {
		c.now = time.Now
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.reports.init(&o)
	return c, nil
}

// maxReply is the most of a reply that is read, in bytes: far above the largest page.
const maxReply = 64 << 20

// call sends one request and decodes the reply.
func call[R any](ctx context.Context, c *Client, method, path string, query, body any) (R, error) {
	return callBy[R](ctx, c, &c.http, method, path, query, body)
}

// callBy is call by another HTTP client than c's.
func callBy[R any](ctx context.Context, c *Client, by *http.Client, method, path string, query, body any) (R, error) {
	request, err := c.request(ctx, method, path, query, body)
	if err != nil {
		var none R
		return none, err
	}
	return answerTo[R](c, by, request)
}

// answerTo sends a request and decodes the reply.
func answerTo[R any](c *Client, by *http.Client, request *http.Request) (R, error) {
	var reply R
	response, err := by.Do(request)
	if err != nil {
		return reply, c.unavailable(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxReply))
	if err != nil {
		return reply, c.unavailable(err)
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return reply, errorOf(response.StatusCode, text)
	}
	if err := json.Unmarshal(text, &reply); err != nil {
		return reply, &latchward.Error{
			Code: latchward.CodeUnavailable, Message: "What answered does not speak this API; check the address of the server.",
		}
	}
	if tagged, ok := any(&reply).(interface{ setRevision(string) }); ok {
		tagged.setRevision(response.Header.Get("ETag"))
	}
	return reply, nil
}

func (c *Client) request(ctx context.Context, method, path string, query, body any) (*http.Request, error) {
	address := c.base + path
	if query != nil {
		values, err := queryOf(query)
		if err != nil {
			return nil, latchward.Errorf(latchward.CodeInternal, "encoding a query: %w", err)
		}
		if len(values) > 0 {
			address += "?" + values.Encode()
		}
	}
	text, media, err := content(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(text))
	if err != nil {
		return nil, latchward.Errorf(latchward.CodeInternal, "making a request: %w", err)
	}
	if media != "" {
		request.Header.Set("Content-Type", media)
	}
	if !c.credential.IsZero() {
		request.Header.Set("Authorization", "Bearer "+c.credential.Expose())
	}
	request.Header.Set("Accept", jsonType)
	if tagged, ok := body.(interface{ revision() string }); ok && tagged.revision() != "" {
		request.Header.Set("If-Match", `"`+tagged.revision()+`"`)
	}
	if repeatable, ok := body.(interface{ requestKey() string }); ok && repeatable.requestKey() != "" {
		request.Header.Set(headerRequestKey, repeatable.requestKey())
	}
	return request, nil
}

func (c *Client) unavailable(err error) error {
	return &latchward.Error{
		Code: latchward.CodeUnavailable, Message: "The Latchward server at " + c.base + " did not answer.", Err: err,
	}
}

// errorOf returns the error that a reply with a status of 300 or above tells.
func errorOf(status int, text []byte) error {
	var p struct {
		httpauth.Problem
		Description string `json:"error_description"` // of the OAuth endpoints (RFC 6749 §5.2)
	}
	if json.Unmarshal(text, &p) != nil || p.Error == "" {
		p.Problem = httpauth.Problem{Error: "The server answered " + http.StatusText(status)}
	}
	e := &latchward.Error{Code: latchward.Code(p.Code), Message: cmp.Or(p.Description, p.Error), Field: p.Field}
	if !slices.Contains(latchward.Codes(), e.Code) { // it names the reason of a verdict on this client
		e.Code = codeOfStatus(status)
	}
	return e
}

// codeOfStatus is the other way round than [httpauth.StatusOfCode].
func codeOfStatus(status int) latchward.Code {
	for _, code := range latchward.Codes() {
		if httpauth.StatusOfCode(code) == status {
			return code
		}
	}
	switch {
	case status == http.StatusBadGateway || status == http.StatusGatewayTimeout:
		return latchward.CodeUnavailable
	case status >= http.StatusBadRequest && status < http.StatusInternalServerError:
		return latchward.CodeInvalid
	default:
		return latchward.CodeInternal
	}
}
