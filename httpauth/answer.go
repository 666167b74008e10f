package httpauth

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/latchward/latchward"
)

// What WWW-Authenticate says (RFC 6750 §3). A request without a credential gets no error code.
const (
	challenge             = `Bearer realm="latchward"`
	challengeBadRequest   = challenge + `, error="invalid_request"`
	challengeInvalidToken = challenge + `, error="invalid_token"`
	challengeScope        = challenge + `, error="insufficient_scope"`
)

// answer is how a reason is told to the holder of a credential.
type answer struct {
	status    int
	code      string // stable, for programs
	text      string // for people; part of the API
	detail    string // what to do about it
	challenge string // "" = none
	body      []byte // the whole problem; nil for limits, whose numbers differ
}

// answers is the one table from reasons to HTTP. Reasons of a secret that was not proven share one answer, so that it
// tells nobody which of them it was (bar 14).
var answers = newAnswers()

func newAnswers() map[latchward.Reason]*answer {
	const (
		bad, unauthorized  = http.StatusBadRequest, http.StatusUnauthorized
		forbidden, tooMany = http.StatusForbidden, http.StatusTooManyRequests

		askOwner = "Ask the owner of the token to change it, or use another token."
	)
	table := map[latchward.Reason]*answer{
		latchward.ReasonBadRequest: {status: bad, text: "Bad request", challenge: challengeBadRequest,
			detail: "Send one credential, in the Authorization header, and a path and method with one meaning."},
		latchward.ReasonMissing: {status: unauthorized, text: "Authentication required", challenge: challenge,
			detail: "Send an API token in the header Authorization: Bearer <token>."},
		latchward.ReasonDisabled: {status: unauthorized, text: "Token is disabled", challenge: challengeInvalidToken,
			detail: "The token was disabled, or was not used for too long. It works again once it is enabled."},
		latchward.ReasonOwnerDisabled: {status: unauthorized, text: "Token is disabled", challenge: challengeInvalidToken,
			detail: "The owner of the token may not act. It works again once the owner may."},
		latchward.ReasonExpired: {status: unauthorized, text: "Token has expired", challenge: challengeInvalidToken,
			detail: "The token works again once its expiry is moved; otherwise use another token."},
		latchward.ReasonNotYetValid: {status: unauthorized, text: "Token is not valid yet",
			challenge: challengeInvalidToken, detail: "Wait until the time from which the token is valid."},
		latchward.ReasonRotated: {status: unauthorized, text: "Token has been rotated", challenge: challengeInvalidToken,
			detail: "Use the secret that replaced this one."},
		latchward.ReasonAddressNotAllowed: {status: forbidden, text: "Address not allowed for this token", detail: askOwner},
		latchward.ReasonLicenseMissing:    {status: forbidden, text: "License required", detail: askOwner},
		latchward.ReasonEndpointNotAllowed: {
			status: forbidden, text: "Endpoint not allowed for this token", detail: askOwner},
		latchward.ReasonInsufficientPermissions: {status: forbidden, text: "Insufficient permissions",
			challenge: challengeScope, detail: askOwner},
		latchward.ReasonRateLimited:   {status: tooMany, text: "Rate limit exceeded"},
		latchward.ReasonQuotaExceeded: {status: tooMany, text: "Rate limit exceeded"},
		latchward.ReasonTooManyConcurrent: {
			status: tooMany, text: "Rate limit exceeded"},
	}
	for reason, a := range table {
		a.prepare(string(reason))
	}
	invalid := &answer{status: unauthorized, text: "Invalid token", challenge: challengeInvalidToken,
		detail: "Check that the token was copied whole, and that it was not revoked."}
	invalid.prepare("invalid_token")
	for _, reason := range []latchward.Reason{
		latchward.ReasonMalformed, latchward.ReasonNotFound, latchward.ReasonRevoked,
	} {
		table[reason] = invalid
	}
	return table
}

// prepare fills in the code and, where all bodies are the same, the body.
func (a *answer) prepare(code string) {
	a.code = code
	if a.status == http.StatusTooManyRequests {
		return
	}
	a.body = a.problem(a.detail)
}

func (a *answer) problem(detail string) []byte {
	p := problemOf(a.status, a.code, a.text)
	p.Detail = detail
	return encodeProblem(&p)
}

// StatusOf returns the HTTP status for a reason: 200 for allowed, 500 for one that is not in the table.
func StatusOf(reason latchward.Reason) int {
	if reason == latchward.ReasonAllowed {
		return http.StatusOK
	}
	if a, ok := answers[reason]; ok {
		return a.status
	}
	return http.StatusInternalServerError
}

// ProblemOf returns what the holder of a refused verdict is told, for ways in that are not HTTP. A verdict that is no
// refusal is an internal problem: it must never be taken for consent.
func ProblemOf(v *latchward.Verdict) Problem {
	a, ok := answers[v.Reason]
	if !ok {
		return problemOf(http.StatusInternalServerError, string(latchward.CodeInternal), "Internal error.")
	}
	p := problemOf(a.status, a.code, a.text)
	p.Detail = a.detail
	if v.RetryAfter() > 0 {
		p.RetryAfter = resetSeconds(v)
		p.Detail = "Wait " + strconv.FormatInt(p.RetryAfter, 10) + " s, then send the request again."
	}
	return p
}

// WriteVerdict answers a refused request: status, WWW-Authenticate, Retry-After, limit headers, Cache-Control, Vary and
// a [Problem] as the body. Verdicts that tell of an unproven secret give the same answer byte for byte (bar 14). A
// verdict that is no refusal is answered with 500: it must never be taken for consent.
func WriteVerdict(w http.ResponseWriter, v *latchward.Verdict) { writeVerdict(w, v, "") }

// writeVerdict is WriteVerdict with what the caller lacks, at the head of the detail; "" when that cannot be told.
func writeVerdict(w http.ResponseWriter, v *latchward.Verdict, missing string) {
	a, ok := answers[v.Reason]
	if !ok {
		WriteError(w, latchward.Errorf(latchward.CodeInternal, "answering verdict %q as a refusal", v.Reason))
		return
	}
	if a.challenge != "" {
		w.Header().Set("WWW-Authenticate", a.challenge)
	}
	SetLimitHeaders(w.Header(), v)
	body := a.body
	switch {
	case body == nil:
		w.Header().Set("Retry-After", strconv.FormatInt(resetSeconds(v), 10))
		body = a.appendLimitProblem(make([]byte, 0, 512), v)
	case missing != "":
		body = a.problem(missing + ". " + a.detail)
	}
	writeProblem(w, a.status, body)
}

// appendLimitProblem appends the Problem of a verdict about a limit (S2-14).
func (a *answer) appendLimitProblem(b []byte, v *latchward.Verdict) []byte {
	b = append(b, `{"type":"`+quotaType+`","title":"`+quotaTitle+`","status":429,"detail":"Wait `...)
	b = strconv.AppendInt(b, resetSeconds(v), 10)
	b = append(b, ` s, then send the request again.","error":"`...)
	b = append(b, a.text...)
	b = append(b, `","code":"`...)
	b = append(b, a.code...)
	b = append(b, '"')
	if v.Limit.Name != "" {
		b = append(b, `,"limit":`...)
		b = strconv.AppendInt(b, v.Limit.Limit, 10)
		b = append(b, `,"current":`...)
		b = strconv.AppendInt(b, v.Limit.Current, 10)
	}
	b = append(b, `,"retry_after":`...)
	b = strconv.AppendInt(b, resetSeconds(v), 10)
	if v.Limit.Name != "" {
		b = append(b, `,"violated-policies":[`...)
		b = appendJSONString(b, v.Limit.Name)
		b = append(b, ']')
	}
	return append(b, "}\n"...)
}

func appendJSONString(b []byte, text string) []byte {
	encoded, err := json.Marshal(text)
	if err != nil {
		panic(err) // no string fails to encode
	}
	return append(b, encoded...)
}
