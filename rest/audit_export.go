package rest

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

// AuditFormat is how an export of the audit log is written.
type AuditFormat string

// The formats.
const (
	FormatNDJSON AuditFormat = "ndjson" // one JSON object a line
	FormatCSV    AuditFormat = "csv"    // RFC 4180, with a header
)

// AuditExportQuery selects what is exported, and how.
type AuditExportQuery struct {
	Format AuditFormat `json:"format,omitzero" enum:"ndjson,csv" doc:"ndjson when missing: one JSON object a line."`
	AuditSelection
}

// newestHeader names the last entry of an export, so that whoever reads it can tell how far it has come.
const newestHeader = "Latchward-Newest-Entry"

// exportDeadline is how long a client may take for a part of an export.
const exportDeadline = time.Minute

func (h *handler) exportOperation() operation {
	o := operation{status: http.StatusOK, query: shapeFor[AuditExportQuery](), media: "application/x-ndjson"}
	o.write = func(w http.ResponseWriter, r *http.Request) error {
		var q AuditExportQuery
		if err := o.decodeQuery(r, &q); err != nil {
			return err
		}
		f, err := q.filter()
		if err != nil {
			return err
		}
		export, err := h.service.ExportAudit(r.Context(), f)
		if err != nil {
			return err
		}
		h.writeExport(w, r, q.Format, export)
		return nil
	}
	return o
}

// writeExport writes the entries as they are read. When that fails in the middle the connection is cut, so that nobody
// takes a part for the whole.
func (h *handler) writeExport(w http.ResponseWriter, r *http.Request, format AuditFormat, export *latchward.AuditExport) {
	media, name, write := "application/x-ndjson", "audit.ndjson", writeNDJSON
	if format == FormatCSV {
		media, name, write = "text/csv", "audit.csv", writeCSV
	}
	header := w.Header()
	header.Set("Content-Type", media+"; charset=utf-8")
	header.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	header.Set("Vary", "Authorization")
	header.Set(newestHeader, strconv.FormatInt(export.Newest, 10))
	parts := deadlineWriter{w, http.NewResponseController(w)}
	defer parts.end()
	to := bufio.NewWriterSize(parts, 32<<10)
	if format == FormatCSV {
		_, _ = to.WriteString(csvLine(csvColumns()...))
	}
	err := export.Each(r.Context(), func(e *latchward.AuditEntry) error { return write(to, e) })
	if err == nil {
		err = to.Flush()
	}
	if err != nil {
		h.log.WarnContext(r.Context(), "An export of the audit log ended early.", "error", err)
		panic(http.ErrAbortHandler)
	}
}

// deadlineWriter gives the client the same time for each part.
type deadlineWriter struct {
	io.Writer
	controller *http.ResponseController
}

func (w deadlineWriter) Write(part []byte) (int, error) {
	// Where there are no deadlines there is none to move.
	_ = w.controller.SetWriteDeadline(time.Now().Add(exportDeadline))
	return w.Writer.Write(part)
}

// end lets what comes next on the connection take its time.
func (w deadlineWriter) end() { _ = w.controller.SetWriteDeadline(time.Time{}) }

func writeNDJSON(to *bufio.Writer, e *latchward.AuditEntry) error {
	line, err := json.Marshal(exportedEntryOf(e))
	if err == nil {
		_, err = to.Write(append(line, '\n'))
	}
	return err
}

func csvColumns() []string {
	return strings.Fields("id at outcome actor_type actor_id actor_name address user_agent request_id action target_type " +
		"target_id target_name before after hash")
}

func writeCSV(to *bufio.Writer, e *latchward.AuditEntry) error {
	before, after, err := "", "", error(nil)
	if before, err = objectText(e.Before); err != nil {
		return err
	}
	if after, err = objectText(e.After); err != nil {
		return err
	}
	address, origin := "", e.Actor.Origin
	if origin.Address.IsValid() {
		address = origin.Address.String()
	}
	_, err = to.WriteString(csvLine(
		strconv.FormatInt(e.ID, 10), httpauth.FormatTime(e.At), string(e.Outcome), string(e.Actor.Type),
		strconv.FormatInt(e.Actor.ID, 10), e.Actor.Name, address, origin.UserAgent, origin.RequestID, e.Action,
		e.TargetType, strconv.FormatInt(e.TargetID, 10), e.TargetName, before, after, hex.EncodeToString(e.Proof.Hash),
	))
	return err
}

func objectText(object map[string]any) (string, error) {
	if object == nil {
		return "", nil
	}
	text, err := json.Marshal(object)
	return string(text), err
}

// csvLine returns a line of CSV (RFC 4180). Every cell is in quotes, so that programs which take semicolons for commas
// split none.
func csvLine(cells ...string) string {
	var line strings.Builder
	for i, cell := range cells {
		if i > 0 {
			line.WriteByte(',')
		}
		line.WriteString(`"` + strings.ReplaceAll(harmless(cell), `"`, `""`) + `"`)
	}
	line.WriteString("\r\n")
	return line.String()
}

// harmless puts an apostrophe before what spreadsheets would run as a formula (bar 118): it shows as text then. What
// counts is the first character that is not blank, also in its wide East Asian form, and control characters; line
// breaks become blanks.
func harmless(cell string) string {
	if strings.ContainsAny(cell, "\r\n") {
		cell = strings.Join(strings.FieldsFunc(cell, func(r rune) bool { return r == '\r' || r == '\n' }), " ")
	}
	first := strings.TrimLeft(cell, " \t\u00a0\ufeff")
	if first != "" && strings.ContainsAny(first[:1], "=+-@\x00") || strings.HasPrefix(cell, "\t") {
		return "'" + cell
	}
	for _, wide := range []string{"＝", "＋", "－", "＠"} {
		if strings.HasPrefix(first, wide) {
			return "'" + cell
		}
	}
	return cell
}

// AuditExport is an export of the audit log on its way.
type AuditExport struct {
	Newest        int64 // id of the last entry in it; 0 = there is none
	io.ReadCloser       // an export that was cut off ends in an error other than io.EOF
}

// ExportAudit begins an export of the audit log. The caller closes it.
func (c *Client) ExportAudit(ctx context.Context, q AuditExportQuery) (*AuditExport, error) {
	request, err := c.request(ctx, http.MethodGet, oursPath+"/audit/export", q, nil)
	if err != nil {
		return nil, err
	}
	response, err := c.patient().Do(request)
	if err != nil {
		return nil, c.unavailable(err)
	}
	if response.StatusCode != http.StatusOK {
		defer func() { _ = response.Body.Close() }()
		text, err := io.ReadAll(io.LimitReader(response.Body, maxReply))
		if err != nil {
			return nil, c.unavailable(err)
		}
		return nil, errorOf(response.StatusCode, text)
	}
	newest, _ := strconv.ParseInt(response.Header.Get(newestHeader), 10, 64)
	return &AuditExport{Newest: newest, ReadCloser: response.Body}, nil
}

// patient returns a client for what may take longer than anything else: ctx alone ends it.
func (c *Client) patient() *http.Client {
	client := c.http
	client.Timeout = 0
	return &client
}

// VerifyAudit checks the audit log. It may take long; ctx ends it.
func (c *Client) VerifyAudit(ctx context.Context, check AuditCheck) (AuditReport, error) {
	return callBy[AuditReport](ctx, c, c.patient(), http.MethodPost, oursPath+"/audit/verify", nil, check)
}
