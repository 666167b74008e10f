package rest

import (
	"encoding/json"
	"reflect"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

// Optional is a JSON member that may be left out, null, or a value: three things that mean three things in a partial
// update (S2-23). The zero Optional is left out.
type Optional[T any] struct {
	Value T
	Set   bool // it is there, as Value or as null
	Null  bool
}

// Some returns a member with a value.
func Some[T any](value T) Optional[T] { return Optional[T]{Value: value, Set: true} }

// Null returns a member that is null.
func Null[T any]() Optional[T] { return Optional[T]{Set: true, Null: true} }

// IsZero reports whether the member is left out; fields of this type carry the omitzero option.
func (o Optional[T]) IsZero() bool { return !o.Set }

// MarshalJSON returns the value or null.
func (o Optional[T]) MarshalJSON() ([]byte, error) {
	if !o.Set || o.Null {
		return []byte("null"), nil
	}
	return json.Marshal(o.Value)
}

// UnmarshalJSON reads the value or null.
func (o *Optional[T]) UnmarshalJSON(text []byte) error {
	*o = Optional[T]{Set: true, Null: string(text) == "null"}
	if o.Null {
		return nil
	}
	return json.Unmarshal(text, &o.Value)
}

func (o Optional[T]) wraps() reflect.Type { return reflect.TypeFor[T]() }

// change returns what an update is told: nil to leave it, a pointer to the zero value to clear it, or the value.
func (o Optional[T]) change() *T {
	if !o.Set {
		return nil
	}
	return &o.Value
}

// Time is a moment in JSON: RFC 3339 in UTC with exactly three digits of milliseconds, and null when it is zero
// (S2-03). It reads any RFC 3339 form, and a date alone as its midnight in UTC (S2-04).
type Time struct{ time.Time }

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return []byte(`"` + httpauth.FormatTime(t.Time) + `"`), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Time) UnmarshalJSON(text []byte) error {
	*t = Time{}
	if string(text) == "null" {
		return nil
	}
	var moment string
	if err := json.Unmarshal(text, &moment); err != nil {
		return err
	}
	at, err := parseMoment(moment)
	t.Time = at
	return err
}

// parseMoment reads a date or an RFC 3339 time with a zone. The zero time, which means none elsewhere, is refused with
// everything else that lies before 1970.
func parseMoment(text string) (time.Time, error) {
	at, err := time.Parse(time.DateOnly, text)
	if err != nil {
		at, err = time.Parse(time.RFC3339, text)
	}
	if at = at.UTC(); err != nil || at.Year() < 1970 || at.Year() > 9999 {
		return time.Time{}, latchward.Invalid("", "must be a date like 2026-12-31 or a time like 2026-12-31T18:00:00Z")
	}
	return at, nil
}

// PlainSecret is a secret where it must be told: on its way to whoever asked for it to be made, or to whoever is asked
// about it. Unlike [latchward.Secret] it encodes to JSON as its text; everywhere else it prints as [redacted].
type PlainSecret struct{ latchward.Secret }

// MarshalJSON returns the plain text as a JSON string.
func (s PlainSecret) MarshalJSON() ([]byte, error) { return json.Marshal(s.Expose()) }

// UnmarshalJSON reads a JSON string.
func (s *PlainSecret) UnmarshalJSON(text []byte) error {
	var plain string
	err := json.Unmarshal(text, &plain)
	s.Secret = latchward.SecretFromText(plain)
	return err
}
