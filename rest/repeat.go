package rest

import (
	"net/http"
	"strings"

	"github.com/latchward/latchward"
)

// RequestKey goes with a request as its Idempotency-Key: whoever repeats a request that made a secret, because the
// answer never came, gets another secret for the same token, and nothing else happens twice (B-04).
type RequestKey struct {
	RequestKey string `json:"-"`
}

func (k RequestKey) requestKey() string { return k.RequestKey }

const headerRequestKey = "Idempotency-Key"

// repeatable marks an operation that understands Idempotency-Key.
func repeatable(o operation) operation {
	o.repeatable = true
	return o
}

// requestKey returns the Idempotency-Key of r, without quotes if it has them; "" when there is none. Operations that do
// not understand it do without: they are as safe to repeat as without it.
func (o *operation) requestKey(r *http.Request) (string, error) {
	keys := r.Header.Values(headerRequestKey)
	if !o.repeatable || len(keys) == 0 {
		return "", nil
	}
	key := keys[0]
	if inner := strings.TrimSuffix(strings.TrimPrefix(key, `"`), `"`); len(inner) == len(key)-2 {
		key = inner
	}
	if len(keys) > 1 || key == "" {
		return "", latchward.Invalid(headerRequestKey, "must be there once, and not be empty")
	}
	return key, nil
}
