package sqlite

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"time"
)

// How values are kept in columns: times as unix milliseconds, lists and objects as JSON, and NULL for what is not
// there.

// millisOrNull keeps a time; the zero time is none.
func millisOrNull(at time.Time) any {
	if at.IsZero() {
		return nil
	}
	return at.UnixMilli()
}

// textOrNull keeps a text; "" is none.
func textOrNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// listOrNull keeps a list as JSON; nil is none, an empty list is a list.
func listOrNull[T any](list []T) (any, error) {
	if list == nil {
		return nil, nil
	}
	text, err := json.Marshal(list)
	return string(text), err
}

// objectOrNull keeps a JSON object; nil is none.
func objectOrNull(object map[string]any) (any, error) {
	if object == nil {
		return nil, nil
	}
	text, err := json.Marshal(object)
	return string(text), err
}

// timeColumn reads what millisOrNull kept.
type timeColumn struct{ at *time.Time }

// Scan implements sql.Scanner.
func (c timeColumn) Scan(value any) error {
	switch value := value.(type) {
	case nil:
		*c.at = time.Time{}
	case int64:
		*c.at = time.UnixMilli(value).UTC()
	default:
		return fmt.Errorf("a time is kept as %T", value)
	}
	return nil
}

// textColumn reads what textOrNull kept.
type textColumn struct{ text *string }

// Scan implements sql.Scanner.
func (c textColumn) Scan(value any) error {
	switch value := value.(type) {
	case nil:
		*c.text = ""
	case string:
		*c.text = value
	default:
		return fmt.Errorf("a text is kept as %T", value)
	}
	return nil
}

// jsonColumn reads what listOrNull and objectOrNull kept.
func jsonColumn[T any](value *T) sql.Scanner { return jsonScanner[T]{value} }

type jsonScanner[T any] struct{ value *T }

// Scan implements sql.Scanner. What cannot be read is an error and not nothing: an unreadable list must not turn into
// one that allows everything.
func (c jsonScanner[T]) Scan(value any) error {
	switch value := value.(type) {
	case nil:
		return nil
	case string:
		return json.Unmarshal([]byte(value), c.value)
	}
	return fmt.Errorf("JSON is kept as %T", value)
}

// parsedColumn reads a text that parse understands; NULL is the zero value.
func parsedColumn[T any](value *T, parse func(string) (T, error)) sql.Scanner {
	return parsedScanner[T]{value, parse}
}

type parsedScanner[T any] struct {
	value *T
	parse func(string) (T, error)
}

// Scan implements sql.Scanner.
func (c parsedScanner[T]) Scan(value any) (err error) {
	switch value := value.(type) {
	case nil:
		return nil
	case string:
		*c.value, err = c.parse(value)
		return err
	}
	return fmt.Errorf("a text is kept as %T", value)
}
