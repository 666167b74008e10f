package rest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/internal/shape"
)

const ndjsonType = "application/x-ndjson"

// ImportQuery says what a batch of an import is part of. The body has one [ImportLine] as JSON on each line, at most
// 1,000 of them.
type ImportQuery struct {
	Import      string `json:"import,omitzero" doc:"Names the import, the same for all its batches; the SHA-256 of the body when missing."`
	Source      string `json:"source,omitzero" doc:"Where the lines come from, such as the name of a file."`
	FirstLine   int64  `json:"first_line,omitzero" range:"1,1000000000000" doc:"Number of the first line; 1 when missing."`
	OwnPrefix   bool   `json:"own_prefix,omitzero" doc:"Secrets may start with the prefix of this server's own."`
	DryRun      bool   `json:"dry_run,omitzero" doc:"Check only."`
	StopOnError bool   `json:"stop_on_error,omitzero" doc:"Leave out what follows the first line that fails."`
}

// ImportLine is a token to import: its secret, as token, or digest and what it takes to recognise it, and what creating
// a token takes. All members but one of token and digest may be left out.
type ImportLine struct {
	Secret           Optional[PlainSecret]                `json:"token,omitzero" doc:"The secret itself."`
	Digest           Optional[string]                     `json:"digest,omitzero" doc:"Or its digest: SHA in hexadecimal or base64, bcrypt and argon2 as they write it."`
	Algorithm        Optional[latchward.ForeignAlgorithm] `json:"algorithm,omitzero" doc:"Of the digest, where that does not show it."`
	Salt             Optional[string]                     `json:"salt,omitzero" doc:"Of a salted SHA."`
	SaltEncoding     Optional[string]                     `json:"salt_encoding,omitzero" enum:"text,hex,base64" doc:"text when missing."`
	LookupPrefix     Optional[string]                     `json:"lookup_prefix,omitzero" doc:"What the secret begins with. All but plain SHA need it; shown to people."`
	ExternalID       Optional[string]                     `json:"external_id,omitzero" doc:"Kept as external_id in the metadata."`
	Owner            Optional[string]                     `json:"owner,omitzero" doc:"Id, e-mail or external id of a user, or group:NAME; whoever asks, when missing."`
	Name             Optional[string]                     `json:"name,omitzero"`
	Description      Optional[string]                     `json:"description,omitzero"`
	RateLimit        Optional[int64]                      `json:"rate_limit,omitzero" range:"1,10000000"`
	ExpiresAt        Optional[Time]                       `json:"expires_at,omitzero"`
	AllowedEndpoints Optional[[]string]                   `json:"allowed_endpoints,omitzero"`
	Kind             Optional[latchward.Kind]             `json:"kind,omitzero"`
	AllowedNetworks  Optional[[]string]                   `json:"allowed_networks,omitzero"`
	Permissions      Optional[[]string]                   `json:"permissions,omitzero"`
	NotBefore        Optional[Time]                       `json:"not_before,omitzero"`
	IdleTimeoutDays  Optional[int]                        `json:"idle_timeout_days,omitzero" range:"1,3650"`
	Tags             Optional[[]string]                   `json:"tags,omitzero"`
	Metadata         Optional[map[string]any]             `json:"metadata,omitzero"`
	Roles            Optional[[]string]                   `json:"roles,omitzero"`
	Groups           Optional[[]string]                   `json:"groups,omitzero"`
	Licenses         Optional[[]string]                   `json:"licenses,omitzero"`
	Reuse            Optional[latchward.ReusePolicy]      `json:"reuse,omitzero"`
}

// LogValue tells nothing: a line holds a secret.
func (ImportLine) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// ImportReply tells what became of each line.
type ImportReply struct {
	Import  string         `json:"import"`
	DryRun  bool           `json:"dry_run"`
	Created int            `json:"created"`
	Skipped int            `json:"skipped"`
	Failed  int            `json:"failed"`
	Results []ImportResult `json:"results"`
}

// ImportResult is what became of a line.
type ImportResult struct {
	Line     int64                  `json:"line"`
	Status   latchward.ImportStatus `json:"status" doc:"skipped: a token has this secret already."`
	TokenID  *int64                 `json:"token_id" doc:"That was created, or has the secret already."`
	Code     latchward.Code         `json:"code,omitempty" doc:"Of an error."`
	Field    string                 `json:"field,omitempty" doc:"The member at fault."`
	Error    string                 `json:"error,omitempty" doc:"Why it failed; never holds a secret."`
	Warnings []string               `json:"warnings,omitempty"`
}

func (h *handler) importOperation() operation {
	o := operation{
		status: http.StatusOK, query: shapeFor[ImportQuery](), lines: shapeFor[ImportLine](), reply: shapeFor[ImportReply](),
	}
	o.write = func(w http.ResponseWriter, r *http.Request) error {
		var q ImportQuery
		if err := o.decodeQuery(r, &q); err != nil {
			return err
		}
		text, err := readLines(w, r)
		if err != nil {
			return err
		}
		reply, err := h.importTokens(r.Context(), q, text)
		if err != nil {
			return err
		}
		return o.writeJSON(w, reply)
	}
	return forTokens(latchward.PermissionTokensImport, o)
}

// readLines reads a body of lines. One line is JSON, too, and may say so.
func readLines(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	asked := *r
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if strings.EqualFold(strings.TrimSpace(media), ndjsonType) {
		asked.Header = r.Header.Clone()
		asked.Header.Set("Content-Type", jsonType)
	}
	text, err := shape.ReadBody(w, &asked, nil, MaxBody)
	if err == nil && len(bytes.TrimSpace(text)) == 0 {
		err = latchward.Errorf(latchward.CodeInvalid, "The body is missing; send a JSON object on each line")
	}
	return text, err
}

func (h *handler) importTokens(ctx context.Context, q ImportQuery, text []byte) (ImportReply, error) {
	b := latchward.ImportBatch{
		Name: q.Import, Source: q.Source, OwnPrefix: q.OwnPrefix, DryRun: q.DryRun, StopOnError: q.StopOnError,
	}
	if b.Name == "" {
		sum := sha256.Sum256(text)
		b.Name = hex.EncodeToString(sum[:])
	}
	number := max(1, q.FirstLine)
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			read := readImportLine(line)
			read.Number = number
			b.Lines = append(b.Lines, read)
		}
		if number++; len(b.Lines) > latchward.MaxImportLines {
			return ImportReply{}, latchward.Invalid("lines", "must be at most %d", latchward.MaxImportLines)
		}
	}
	results, err := h.service.ImportTokens(ctx, b)
	reply := ImportReply{Import: b.Name, DryRun: b.DryRun, Results: make([]ImportResult, len(results))}
	for i := range results {
		reply.Results[i] = importResultOf(&results[i])
		switch results[i].Status {
		case latchward.ImportCreated:
			reply.Created++
		case latchward.ImportSkipped:
			reply.Skipped++
		default:
			reply.Failed++
		}
	}
	return reply, err
}

func importResultOf(result *latchward.ImportResult) ImportResult {
	wire := ImportResult{Line: result.Line, Status: result.Status, Warnings: result.Warnings}
	if result.TokenID != 0 {
		id := int64(result.TokenID)
		wire.TokenID = &id
	}
	if result.Err != nil {
		wire.Code, wire.Field = latchward.ErrorCode(result.Err), latchward.ErrorField(result.Err)
		wire.Error = latchward.ErrorMessage(result.Err)
	}
	return wire
}

// readImportLine reads one line. What is wrong with it is the line's business.
func readImportLine(text []byte) latchward.ImportLine {
	var wire ImportLine
	if err := importLineShape.Decode(text, &wire); err != nil {
		return latchward.ImportLine{Err: err}
	}
	line, err := wire.line()
	line.Err = err
	return line
}

var importLineShape = shapeFor[ImportLine]()

func (l *ImportLine) line() (line latchward.ImportLine, err error) {
	created := NewToken{
		Name: l.Name, Description: l.Description, RateLimit: l.RateLimit, ExpiresAt: l.ExpiresAt,
		AllowedEndpoints: l.AllowedEndpoints, Kind: l.Kind, AllowedNetworks: l.AllowedNetworks, Permissions: l.Permissions,
		NotBefore: l.NotBefore, IdleTimeoutDays: l.IdleTimeoutDays, Tags: l.Tags, Metadata: l.Metadata, Roles: l.Roles,
		Groups: l.Groups, Licenses: l.Licenses, Reuse: l.Reuse,
	}
	if line.Token, err = created.settings(); err != nil {
		return line, err
	}
	if l.ExternalID.Value != "" {
		metadata := map[string]any{"external_id": l.ExternalID.Value}
		for name, value := range line.Token.Metadata {
			metadata[name] = value
		}
		line.Token.Metadata = metadata
	}
	line.Owner = l.Owner.Value
	line.Foreign = latchward.Foreign{
		Value: l.Secret.Value.Secret, Algorithm: l.Algorithm.Value, Digest: l.Digest.Value,
		LookupPrefix: l.LookupPrefix.Value,
	}
	line.Salt, err = parseSalt(l.Salt.Value, l.SaltEncoding.Value)
	return line, err
}

func parseSalt(text, encoding string) (salt []byte, err error) {
	switch encoding {
	case "hex":
		salt, err = hex.DecodeString(text)
	case "base64":
		plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
		salt, err = base64.RawStdEncoding.DecodeString(plain)
	default:
		salt = []byte(text)
	}
	if err != nil {
		return nil, latchward.Invalid("salt", "is not of the encoding %s", encoding)
	}
	return salt, nil
}

// ImportTokens imports a batch: lines has one [ImportLine] as JSON on each line, at most 1,000 of them in [MaxBody]
// bytes. A line that fails does not make the call fail: see the results.
func (c *Client) ImportTokens(ctx context.Context, q ImportQuery, lines []byte) (ImportReply, error) {
	request, err := c.request(ctx, http.MethodPost, oursPath+"/tokens/import", q, nil)
	if err != nil {
		return ImportReply{}, err
	}
	request.Header.Set("Content-Type", ndjsonType)
	request.Body, request.ContentLength = io.NopCloser(bytes.NewReader(lines)), int64(len(lines))
	return answerTo[ImportReply](c, c.patient(), request)
}
