package scim

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

// scimType says more exactly what is wrong with a request (RFC 7644 §3.12, table 9).
type scimType string

const (
	invalidFilter scimType = "invalidFilter"
	tooMany       scimType = "tooMany"
	uniqueness    scimType = "uniqueness"
	mutability    scimType = "mutability"
	invalidSyntax scimType = "invalidSyntax"
	invalidPath   scimType = "invalidPath"
	noTarget      scimType = "noTarget"
	invalidValue  scimType = "invalidValue"
	sensitive     scimType = "sensitive"
)

// fault is a refusal that is about SCIM rather than about the rules of the service.
type fault struct {
	status int
	kind   scimType // "" = none
	text   string
	allow  string // methods, of a 405
}

// Error implements error.
func (f *fault) Error() string { return fmt.Sprintf("%d %s: %s", f.status, f.kind, f.text) }

func bad(kind scimType, format string, args ...any) error {
	return &fault{status: http.StatusBadRequest, kind: kind, text: fmt.Sprintf(format, args...)}
}

func notImplemented(text string) error { return &fault{status: http.StatusNotImplemented, text: text} }

// errorBody is what every refusal and failure is answered with (RFC 7644 §3.12).
type errorBody struct {
	Schemas []string `json:"schemas"`
	Status  string   `json:"status"`
	Type    scimType `json:"scimType,omitempty"`
	Detail  string   `json:"detail"`
}

func newErrorBody(status int, kind scimType, detail string) errorBody {
	return errorBody{[]string{errorSchema}, strconv.Itoa(status), kind, detail}
}

// unique are the fields of ours that no two records share.
var unique = []string{"external_id", "email", "user_name", "name"}

// faultOf returns how SCIM says what err says.
func faultOf(err error) *fault {
	var known *fault
	if errors.As(err, &known) {
		return known
	}
	code := latchward.ErrorCode(err)
	f := &fault{status: httpauth.StatusOfCode(code), text: latchward.ErrorMessage(err)}
	switch {
	case errors.Is(err, latchward.ErrChanged):
		f.status = http.StatusPreconditionFailed
	case code == latchward.CodeConflict && slices.Contains(unique, latchward.ErrorField(err)):
		f.kind = uniqueness
	case code == latchward.CodeInvalid:
		f.kind = invalidValue
	case code == latchward.CodeUnavailable:
		f.text = "Temporarily unavailable"
	}
	if field := latchward.ErrorField(err); code == latchward.CodeInvalid && field != "" {
		f.text = nameOfField(field) + " " + f.text
	}
	return f
}

// nameOfField returns what SCIM calls a field of ours.
func nameOfField(field string) string {
	switch field {
	case "external_id", "directory_id":
		return "externalId"
	case "user_name":
		return "userName"
	case "given_name":
		return "name.givenName"
	case "family_name":
		return "name.familyName"
	case "email":
		return "emails"
	case "name", "title":
		return "displayName"
	}
	return field
}
