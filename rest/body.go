package rest

import (
	"encoding/json"
	"net/url"

	"github.com/latchward/latchward/internal/shape"
)

// MaxBody is the most that a request body may have, in bytes.
const MaxBody = 1 << 20

// fault is a refusal that no [latchward.Code] stands for, because it is about HTTP alone.
type fault = shape.Fault

// queryOf is the other way round: the query that a client sends for v, a struct of parameters.
func queryOf(v any) (url.Values, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return nil, err
	}
	values := url.Values{}
	for name, literal := range members {
		var value string
		if json.Unmarshal(literal, &value) != nil {
			value = string(literal)
		}
		values.Set(name, value)
	}
	return values, nil
}
