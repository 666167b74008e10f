package rest

import (
	"github.com/latchward/latchward"
	"github.com/latchward/latchward/internal/shape"
)

// MaxBatch is the most items of a batch and events of a report.
const MaxBatch = 1000

// VerifyRequest asks whether the holder of a token may make a request. What is not told fails a token that is
// restricted by it.
type VerifyRequest struct {
	Token       PlainSecret `json:"token" doc:"What was presented, without the word Bearer; empty is nothing."`
	Method      string      `json:"method,omitzero" null:"true" doc:"GET, POST, ..."`
	Path        string      `json:"path,omitzero" null:"true" doc:"Without base and query, with its escapes."`
	Address     string      `json:"address,omitzero" null:"true" doc:"IP address of the client."`
	Permissions []string    `json:"permissions,omitzero" null:"true" doc:"All of them are needed."`
	Cost        int64       `json:"cost,omitzero" null:"true" range:"1," doc:"Units of the limits; 1 when missing."`
	Record      *bool       `json:"record,omitzero" doc:"False when the real response will be reported to usage."`
	DryRun      bool        `json:"dry_run,omitzero" null:"true" doc:"True to judge only: nothing is charged or recorded."`
	Query       string      `json:"query,omitzero" null:"true" doc:"Needed beside them, such as (a.b OR c.d) AND NOT e.f."`
	Licenses    []string    `json:"licenses,omitzero" null:"true" doc:"Names; a seat of each is needed."`
	Rights      bool        `json:"rights,omitzero" null:"true" doc:"True to be told the rights, too."`
	Audience    string      `json:"audience,omitzero" null:"true" doc:"For whom a derived token must be; Latchward itself when missing."`
}

// Verdict is the answer to a [VerifyRequest].
type Verdict struct {
	Allowed    bool             `json:"allowed"`
	Reason     latchward.Reason `json:"reason,omitzero" doc:"Missing, in a batch, where there is an error instead."`
	Token      *VerdictToken    `json:"token" doc:"Null when the secret was not proven."`
	Subject    *Subject         `json:"subject" doc:"On whose behalf the request is made."`
	Limits     []LimitStatus    `json:"limits"`
	RetryAfter int64            `json:"retry_after,omitzero" doc:"Seconds to wait, when over a limit."`
	At         Time             `json:"at,omitzero" doc:"When it was judged."`
	Derived    string           `json:"derived,omitzero" doc:"The jti, when a derived token was presented."`
	Rights     *VerdictRights   `json:"rights,omitzero" doc:"When asked for; missing where they were not looked at."`
	Error      string           `json:"error,omitzero" doc:"In a batch: why this item could not be judged."`
	Code       latchward.Code   `json:"code,omitzero" doc:"In a batch: the kind of error."`
	Field      string           `json:"field,omitzero" doc:"In a batch: the member at fault."`
}

// VerdictToken is what a verdict tells about the token.
type VerdictToken struct {
	ID            int64          `json:"id"`
	Name          string         `json:"name"`
	Kind          latchward.Kind `json:"kind"`
	Metadata      map[string]any `json:"metadata"`
	Owner         Owner          `json:"owner"`
	Permissions   []string       `json:"permissions" null:"true" doc:"Null is the owner's rights."`
	MethodMatters bool           `json:"method_matters" doc:"An endpoint names a method: let no override pass."`
}

// Subject is whom a verdict speaks about.
type Subject struct {
	Type latchward.SubjectType `json:"type"`
	ID   int64                 `json:"id"`
	Name string                `json:"name"`
}

// LimitStatus is what a verdict says about one limit.
type LimitStatus struct {
	Name      string `json:"name"`
	Limit     int64  `json:"limit" doc:"Units per window."`
	Remaining int64  `json:"remaining" doc:"Units that could be taken at once now."`
	Reset     Time   `json:"reset" doc:"When remaining next grows; after a refusal, when this request would pass."`
	Current   int64  `json:"current" doc:"Units in the window, with those refused now."`
	Window    int64  `json:"window" doc:"Seconds; the window slides."`
}

// VerifyBatch asks for several verdicts. Either all items are well-formed or none is judged; each is judged by itself.
type VerifyBatch struct {
	Requests []VerifyRequest `json:"requests" range:"1,1000"`
}

// VerdictList answers a [VerifyBatch] in its order.
type VerdictList struct {
	Verdicts []Verdict `json:"verdicts"`
}

// question is a decoded VerifyRequest.
type question struct {
	latchward.VerifyRequest
	record bool
}

// readQuestion reads the next value as a VerifyRequest. It accepts exactly what the shape of that type accepts, at a
// fraction of the cost.
func readQuestion(s *shape.Scanner, q *question, known *queries) error {
	*q = question{record: true}
	if s.Peek() != '{' {
		if err := s.Skip(); err != nil {
			return err
		}
		return latchward.Invalid("", "must be a JSON object")
	}
	var seen [len(questionMembers)]bool
	err := s.Object(func(name []byte) error {
		i := questionMember(name)
		if i < 0 {
			return latchward.Invalid(shape.Showable(name), "is unknown or cannot be set here")
		}
		if seen[i] {
			return latchward.Invalid(questionMembers[i], "must not be given twice")
		}
		seen[i] = true
		if err := q.read(s, i, known); err != nil {
			return shape.Within(questionMembers[i], err)
		}
		return nil
	})
	if err == nil && !seen[0] {
		return latchward.Invalid("token", "is required")
	}
	return err
}

var questionMembers = [...]string{
	"token", "method", "path", "address", "permissions", "cost", "record", "dry_run", "query", "licenses", "rights", "audience",
}

func questionMember(name []byte) int {
	for i := range questionMembers {
		if string(name) == questionMembers[i] {
			return i
		}
	}
	return -1
}

// read reads the member with index i of questionMembers.
func (q *question) read(s *shape.Scanner, i int, known *queries) (err error) {
	if s.Peek() == 'n' {
		if err := s.Word("null"); err != nil || i != 0 {
			return err
		}
		return latchward.Invalid("", "must not be null")
	}
	var text []byte
	switch i {
	case 0:
		text, err = s.Text()
		q.Secret = latchward.SecretFromText(string(text))
	case 1:
		text, err = s.Text()
		q.Method = methodName(text)
	case 2:
		text, err = s.Text()
		q.Path = string(text)
	case 3:
		if text, err = s.Text(); err == nil {
			q.Address, err = parseAddress(string(text))
		}
	case 4:
		q.Permissions, err = s.Texts()
	case 5:
		q.Cost, err = s.Positive()
	case 6:
		q.record, err = s.Boolean()
	case 7:
		q.DryRun, err = s.Boolean()
	case 8:
		if text, err = s.Text(); err == nil {
			q.Query, err = known.parse(text)
		}
	case 9:
		q.Licenses, err = s.Texts()
	case 10:
		q.VerifyRequest.Rights, err = s.Boolean()
	default:
		text, err = s.Text()
		q.Audience = string(text)
	}
	return err
}

// methodName returns text without an allocation when it is a usual method.
func methodName(text []byte) string {
	switch string(text) {
	case "GET":
		return "GET"
	case "POST":
		return "POST"
	case "PUT":
		return "PUT"
	case "PATCH":
		return "PATCH"
	case "DELETE":
		return "DELETE"
	case "HEAD":
		return "HEAD"
	}
	return string(text)
}
