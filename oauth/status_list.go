package oauth

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/internal/jwt"
)

const statusListMedia = "application/statuslist+jwt"

// statusList answers with the status list that a derived token names (draft-ietf-oauth-status-list-21 section 8). There
// is the one form, JWT; historical lists are not served (section 12.7), and neither is a list of lists (section 12.4).
func (h *handler) statusList(w http.ResponseWriter, r *http.Request) error {
	digits := strings.TrimPrefix(r.URL.EscapedPath(), jwt.StatusListsPath)
	id, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case err != nil || id <= 0 || strconv.FormatInt(id, 10) != digits || h.Issuer == "":
		return &fault{status: http.StatusNotFound, code: codeInvalidRequest, text: "There is no such status list"}
	case r.URL.Query().Has("time"): // section 8.4
		return &fault{status: http.StatusNotImplemented, code: codeInvalidRequest, text: "Status lists are told as of now"}
	case !accepts(r, statusListMedia):
		return &fault{
			status: http.StatusNotAcceptable, code: codeInvalidRequest, text: "Status lists are " + statusListMedia,
		}
	}
	signed, err := h.service.StatusList(r.Context(), h.Issuer, id)
	if latchward.ErrorCode(err) == latchward.CodeNotFound {
		return &fault{status: http.StatusNotFound, code: codeInvalidRequest, text: "There is no such status list"}
	}
	if err != nil {
		return err
	}
	w.Header().Set("Vary", "Accept")
	serve(w, r, statusListMedia, latchward.StatusListTTL, []byte(signed))
	return nil
}

// accepts reports whether a client takes a media type (RFC 9110 §12.5.1). One that does not say takes all.
func accepts(r *http.Request, media string) bool {
	lines := r.Header.Values("Accept")
	for _, item := range strings.Split(strings.Join(lines, ","), ",") {
		wanted, parameters, _ := strings.Cut(item, ";")
		wanted = strings.ToLower(strings.TrimSpace(wanted))
		refused := strings.ReplaceAll(parameters, " ", "")
		if (wanted == media || wanted == "application/*" || wanted == "*/*") && refused != "q=0" && refused != "q=0.0" {
			return true
		}
	}
	return len(lines) == 0
}
