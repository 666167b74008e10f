package rest

import (
	"net/http"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/internal/shape"
)

// RouteInfo is what tests need to know about a route.
type RouteInfo struct {
	Method, Path, ID         string
	Public, Persons, Holders bool
	Body, Lines, Reply       bool
	Permission               string // that lets a service token in
}

// Routes lists the routes of a handler.
func Routes(h http.Handler) []RouteInfo {
	var list []RouteInfo
	for _, r := range h.(*handler).routes() {
		list = append(list, RouteInfo{
			Method: r.method, Path: r.path, ID: r.id, Public: r.public(), Persons: r.access == persons,
			Holders: r.access == holders,
			Body:    r.body != nil, Lines: r.lines != nil, Reply: r.reply != nil, Permission: r.permission,
		})
	}
	return list
}

// Question reads a VerifyRequest by hand, as the handler does.
func Question(text []byte) (r latchward.VerifyRequest, record bool, err error) {
	s := shape.NewScanner(text)
	var q question
	if err := readQuestion(&s, &q, &queries{}); err != nil {
		return r, false, err
	}
	return q.VerifyRequest, q.record, s.End()
}

// Decode reads text into value, a pointer to a wire struct, as the handlers do.
func Decode[T any](text []byte, value *T) error { return shapeFor[T]().Decode(text, value) }

// AppendVerdict encodes a verdict by hand, as the handler does.
func AppendVerdict(v *latchward.Verdict) ([]byte, error) { return appendVerdict(nil, v, true) }

// AppendTime encodes a time by hand, as the handler does.
var AppendTime = appendTime

// VerdictOf is what the client makes of an encoded verdict.
var VerdictOf = verdictOf

// KnownQueries returns how many parsed queries a handler remembers.
func KnownQueries(h http.Handler) int { return len(h.(*handler).queries.known) }
