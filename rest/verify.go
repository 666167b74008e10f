package rest

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
	"github.com/latchward/latchward/internal/shape"
)

// scratch is what one verification needs for a moment. Nothing of it is kept when it goes back to its pool.
type scratch struct {
	body, reply []byte
	question    question
}

// maxKept is the largest buffer that waits for the next verification, in bytes.
const maxKept = 16 << 10

// forget empties s, and overwrites the tokens it held.
func (s *scratch) forget() {
	clear(s.body)
	s.question = question{}
	s.body, s.reply = s.body[:0], s.reply[:0]
	if cap(s.body) > maxKept || cap(s.reply) > maxKept {
		s.body, s.reply = nil, nil
	}
}

// verify answers one VerifyRequest. It is the hot path of a fleet of enforcement points, so it decodes and encodes by
// hand; the wire types say what, and tests compare.
func (h *handler) verify(w http.ResponseWriter, r *http.Request) error {
	s := h.scratch.Get().(*scratch)
	defer h.scratch.Put(s)
	defer s.forget()
	reading, err := h.readVerification(w, r, s)
	if err == nil {
		err = readQuestion(&reading, &s.question, &h.queries)
	}
	if err == nil {
		err = reading.End()
	}
	if err != nil {
		return err
	}
	v, err := h.decide(r.Context(), &s.question)
	if err != nil {
		return err
	}
	if s.reply, err = appendVerdict(s.reply, &v, s.question.Rights); err != nil {
		return err
	}
	return h.writeVerdicts(w, s)
}

func (h *handler) verifyBatch(w http.ResponseWriter, r *http.Request) error {
	s := h.scratch.Get().(*scratch)
	defer h.scratch.Put(s)
	defer s.forget()
	reading, err := h.readVerification(w, r, s)
	if err != nil {
		return err
	}
	questions, err := readBatch(&reading, &h.queries)
	if err != nil {
		return err
	}
	s.reply = append(s.reply, `{"verdicts":[`...)
	for i := range questions {
		if i > 0 {
			s.reply = append(s.reply, ',')
		}
		if s.reply, err = h.appendDecision(r.Context(), s.reply, &questions[i]); err != nil {
			return err
		}
	}
	s.reply = append(s.reply, "]}"...)
	return h.writeVerdicts(w, s)
}

func (h *handler) readVerification(w http.ResponseWriter, r *http.Request, s *scratch) (shape.Scanner, error) {
	if r.URL.RawQuery != "" {
		return shape.Scanner{}, latchward.Errorf(latchward.CodeInvalid, "There are no parameters here; use the body")
	}
	var err error
	if s.body, err = shape.ReadBody(w, r, s.body, MaxBody); err != nil {
		return shape.Scanner{}, err
	}
	if !utf8.Valid(s.body) {
		return shape.Scanner{}, shape.ErrNotUTF8
	}
	return shape.NewScanner(s.body), nil
}

// readBatch reads a whole VerifyBatch before anything is judged.
func readBatch(s *shape.Scanner, known *queries) ([]question, error) {
	var questions []question
	member := func(name []byte) error {
		if string(name) != "requests" {
			return latchward.Invalid(shape.Showable(name), "is unknown or cannot be set here")
		}
		if questions != nil {
			return latchward.Invalid("requests", "must not be given twice")
		}
		if s.Peek() != '[' {
			return shape.Within("requests", s.Mistaken("a list"))
		}
		questions = []question{}
		return shape.Within("requests", s.List(func() error {
			if len(questions) == MaxBatch {
				return latchward.Invalid("", "must hold at most %d items", MaxBatch)
			}
			questions = append(questions, question{})
			last := len(questions) - 1
			if err := readQuestion(s, &questions[last], known); err != nil {
				return shape.Within("["+strconv.Itoa(last)+"]", err)
			}
			return nil
		}))
	}
	if s.Peek() != '{' {
		return nil, s.Mistaken("a JSON object")
	}
	if err := s.Object(member); err != nil {
		return nil, err
	}
	if len(questions) == 0 {
		return nil, latchward.Invalid("requests", "must hold at least 1 items")
	}
	return questions, s.End()
}

// decide asks the service and records the verdict, unless the caller will report the real response.
func (h *handler) decide(ctx context.Context, q *question) (latchward.Verdict, error) {
	v, err := h.service.Verify(ctx, q.VerifyRequest)
	if err != nil || !q.record || q.DryRun || v.Token.ID == 0 || !v.Tracked() {
		return v, err
	}
	now := h.now()
	e := h.events.Get().(*latchward.UsageEvent)
	*e = latchward.UsageEvent{
		At: now, TokenID: v.Token.ID, Credential: v.Credential(), Reason: v.Reason, Endpoint: v.Path,
		Method: q.Method, Status: httpauth.StatusOf(v.Reason), Duration: max(0, now.Sub(v.At)), Address: q.Address,
	}
	h.service.Record(e)
	h.events.Put(e)
	return v, nil
}

// appendDecision appends the verdict on one item of a batch, or why there is none: others may have been judged
// already, and judging them again would charge them twice.
func (h *handler) appendDecision(ctx context.Context, b []byte, q *question) ([]byte, error) {
	v, err := h.decide(ctx, q)
	if err == nil {
		return appendVerdict(b, &v, q.Rights)
	}
	text, err := json.Marshal(Verdict{
		Limits: []LimitStatus{},
		Error:  latchward.ErrorMessage(err), Code: latchward.ErrorCode(err), Field: latchward.ErrorField(err),
	})
	return append(b, text...), err
}

func (h *handler) writeVerdicts(w http.ResponseWriter, s *scratch) error {
	header := w.Header()
	header["Content-Type"], header["Vary"] = h.headers.json, h.headers.vary
	if s.reply = append(s.reply, '\n'); len(s.reply) > 2<<10 { // net/http counts shorter ones itself, for less
		header.Set("Content-Length", strconv.Itoa(len(s.reply)))
	}
	_, _ = w.Write(s.reply) // a client that is gone needs no answer
	return nil
}

// appendVerdict appends v as [Verdict] encodes, with its rights or without.
func appendVerdict(b []byte, v *latchward.Verdict, rights bool) ([]byte, error) {
	b = append(b, `{"allowed":`...)
	b = strconv.AppendBool(b, v.Allowed())
	b = append(b, `,"reason":`...)
	b = appendText(b, string(v.Reason))
	b = append(b, `,"token":`...)
	b, err := appendToken(b, &v.Token)
	b = append(b, `,"subject":`...)
	b = appendSubject(b, &v.Subject)
	b = append(b, `,"limits":[`...)
	b = appendLimit(b, &v.Limit)
	b = append(b, ']')
	if after := v.RetryAfter(); after > 0 {
		b = append(b, `,"retry_after":`...)
		b = strconv.AppendInt(b, int64(after/time.Second), 10)
	}
	b = append(b, `,"at":`...)
	b = appendTime(b, v.At)
	if v.Derived != "" {
		b = appendText(append(b, `,"derived":`...), v.Derived)
	}
	if rights && v.Rights != nil && err == nil {
		b, err = appendJSON(append(b, `,"rights":`...), rightsOf(v.Rights), false)
	}
	return append(b, '}'), err
}

func appendToken(b []byte, t *latchward.VerdictToken) ([]byte, error) {
	if t.ID == 0 {
		return append(b, "null"...), nil
	}
	b = append(b, `{"id":`...)
	b = strconv.AppendInt(b, int64(t.ID), 10)
	b = append(b, `,"name":`...)
	b = appendText(b, t.Name)
	b = append(b, `,"kind":`...)
	b = appendText(b, string(t.Kind))
	b = append(b, `,"metadata":`...)
	b, err := appendJSON(b, t.Metadata, t.Metadata == nil)
	b = append(b, `,"owner":{"type":`...)
	b = appendText(b, string(t.Owner.Type))
	b = append(b, `,"id":`...)
	b = strconv.AppendInt(b, t.Owner.ID, 10)
	if t.Owner.Name != "" {
		b = append(b, `,"name":`...)
		b = appendText(b, t.Owner.Name)
	}
	b = append(b, `},"permissions":`...)
	if err == nil {
		b, err = appendJSON(b, t.Permissions, t.Permissions == nil)
	}
	b = append(b, `,"method_matters":`...)
	return append(strconv.AppendBool(b, t.MethodMatters), '}'), err
}

func appendSubject(b []byte, s *latchward.Subject) []byte {
	if s.Type == "" {
		return append(b, "null"...)
	}
	b = append(b, `{"type":`...)
	b = appendText(b, string(s.Type))
	b = append(b, `,"id":`...)
	b = strconv.AppendInt(b, s.ID, 10)
	b = append(b, `,"name":`...)
	return append(appendText(b, s.Name), '}')
}

func appendLimit(b []byte, l *latchward.LimitStatus) []byte {
	if l.Name == "" {
		return b
	}
	b = append(b, `{"name":`...)
	b = appendText(b, l.Name)
	b = append(b, `,"limit":`...)
	b = strconv.AppendInt(b, l.Limit, 10)
	b = append(b, `,"remaining":`...)
	b = strconv.AppendInt(b, l.Remaining, 10)
	b = append(b, `,"reset":`...)
	b = appendTime(b, l.Reset.Add(time.Millisecond-1)) // as in the headers: rounded up
	b = append(b, `,"current":`...)
	b = strconv.AppendInt(b, l.Current, 10)
	b = append(b, `,"window":`...)
	b = strconv.AppendInt(b, int64(l.Window/time.Second), 10)
	return append(b, '}')
}

// appendTime appends at as a JSON string.
func appendTime(b []byte, at time.Time) []byte {
	return append(httpauth.AppendTime(append(b, '"'), at), '"')
}

func appendJSON(b []byte, value any, null bool) ([]byte, error) {
	if null {
		return append(b, "null"...), nil
	}
	text, err := json.Marshal(value)
	if err != nil {
		return b, latchward.Errorf(latchward.CodeInternal, "encoding a verdict: %w", err)
	}
	return append(b, text...), nil
}

// appendText appends text as a JSON string.
func appendText(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, err := json.Marshal(text)
			if err != nil { // texts always encode
				panic(err)
			}
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, text...)
	return append(b, '"')
}
