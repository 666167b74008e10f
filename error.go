package latchward

import (
	"errors"
	"fmt"
)

// Code classifies an [Error]. The set is closed: every transport has one table from Code to its own status, and a
// test fails when a code is missing from a table. Act upon the code, never upon the message.
type Code string

// The codes, each with the HTTP status that goes with it.
const (
	CodeInvalid         Code = "invalid"         // 400: the input breaks a rule; Field names the member
	CodeUnauthenticated Code = "unauthenticated" // 401: nobody is known to be asking
	CodeForbidden       Code = "forbidden"       // 403: the principal may not do this
	CodeNotFound        Code = "not_found"       // 404: no such thing, or none that the principal may know of
	CodeConflict        Code = "conflict"        // 409: the state of the thing does not allow this now
	CodeExhausted       Code = "exhausted"       // 429: a limit is used up; the same call may succeed later
	CodeUnavailable     Code = "unavailable"     // 503: could not decide or store; a change may or may not have happened
	CodeInternal        Code = "internal"        // 500: a fault of ours
)

// Codes lists every code, for tables that must be complete.
func Codes() []Code {
	return []Code{
		CodeInvalid, CodeUnauthenticated, CodeForbidden, CodeNotFound,
		CodeConflict, CodeExhausted, CodeUnavailable, CodeInternal,
	}
}

// Error is a failure that somebody outside may be told about: Message and Field are for the caller, Err is for the
// operator's log and never leaves the process.
type Error struct {
	Code    Code
	Message string // what was wrong and what to do, in one sentence; never holds a secret
	Field   string // the member of the input at fault, as the caller spelled it; "" when none
	Err     error  // the cause; may be nil
}

// Error returns the text for logs: code, field, message and cause.
func (e *Error) Error() string {
	text := string(e.Code) + ": "
	if e.Field != "" {
		text += e.Field + ": "
	}
	text += e.Message
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf returns an Error with the given code; a %w verb in format sets its cause for errors.Is and errors.As, and
// shows in Message, so wrap only what an outsider may read.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Err: errors.Unwrap(err)}
}

// Invalid returns an Error of code invalid about one member of the input.
func Invalid(field, format string, args ...any) *Error {
	return &Error{Code: CodeInvalid, Field: field, Message: fmt.Sprintf(format, args...)}
}

// ErrorCode returns the code of the first Error in err's chain, [CodeInternal] for any other error and "" for nil.
func ErrorCode(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}

// ErrorMessage returns what an outsider may read about err: the message of the first Error in its chain, and a
// fixed sentence for any other error.
func ErrorMessage(err error) string {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e) && e.Code != CodeInternal:
		return e.Message
	default:
		return "Internal error."
	}
}

// ErrorField returns the field of the first Error in err's chain, or "".
func ErrorField(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Field
	}
	return ""
}
