package leak

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"mime"
	"net/http"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

// GitHubPath is where GitHub sends its reports.
const GitHubPath = "/api/latchward/leaks/github"

// MaxReport is the most that a report may have, in bytes (bar 64).
const MaxReport = 10 << 20

// maxReading is how many reports are read at a time: who is not GitHub must not fill the memory.
const maxReading = 4

// scannerName is what the audit log calls whoever reports.
const scannerName = "GitHub secret scanning"

// Reporter deals with leaked secrets; [latchward.Service] is one.
type Reporter interface {
	ReportLeaks(ctx context.Context, by string, leaks []latchward.Leak) (ours []bool, err error)
}

// match is one entry of a report of GitHub's.
type match struct {
	Token  string `json:"token"`
	Type   string `json:"type"`
	URL    string `json:"url"`
	Source string `json:"source"`
}

// label is what GitHub is told about a match, so that it can tell the owner of the repository. Which secret it is about
// is told by its hash, never by the secret.
type label struct {
	Hash  string `json:"token_hash"`
	Type  string `json:"token_type"`
	Label string `json:"label"`
}

// Receiver answers reports of GitHub's secret scanning: it checks the signature over the body before anything is looked
// up, has the secrets dealt with, and says of each whether it is real. A report that is sent again changes nothing.
func Receiver(github *GitHub, to Reporter, log *slog.Logger) http.Handler {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &receiver{github: github, to: to, log: log, reading: make(chan struct{}, maxReading)}
}

type receiver struct {
	github  *GitHub
	to      Reporter
	log     *slog.Logger
	reading chan struct{} // holds one for each report that is being read
}

// ServeHTTP implements http.Handler.
func (g *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	labels, err := g.receive(w, r)
	if err != nil {
		if latchward.ErrorCode(err) != latchward.CodeUnauthenticated {
			g.log.WarnContext(r.Context(), "A report of leaked secrets was not dealt with.", "error", err)
		}
		httpauth.WriteError(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(labels) // GitHub may have left; it sends the report again
}

func (g *receiver) receive(w http.ResponseWriter, r *http.Request) ([]label, error) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return nil, latchward.Errorf(latchward.CodeInvalid, "reports come by POST")
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return nil, latchward.Errorf(latchward.CodeInvalid, "a report is application/json")
	}
	keyID, signature := r.Header.Get(GitHubKeyHeader), r.Header.Get(GitHubSignatureHeader)
	if keyID == "" || signature == "" { // before a byte of the body is read
		return nil, g.github.Verify(r.Context(), keyID, signature, nil)
	}
	select {
	case g.reading <- struct{}{}:
		defer func() { <-g.reading }()
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxReport))
	if err != nil {
		return nil, latchward.Errorf(latchward.CodeInvalid, "a report has at most %d bytes, and this one could not be read: %w", MaxReport, err)
	}
	if err := g.github.Verify(r.Context(), keyID, signature, body); err != nil {
		return nil, err
	}
	return g.deal(r.Context(), body)
}

// deal deals with a report that is GitHub's.
func (g *receiver) deal(ctx context.Context, body []byte) ([]label, error) {
	var matches []match
	if json.Unmarshal(body, &matches) != nil { // whose error may quote a secret
		return nil, latchward.Errorf(latchward.CodeInvalid, "a report is a JSON array of matches")
	}
	leaks := make([]latchward.Leak, len(matches))
	for i, m := range matches {
		leaks[i] = latchward.Leak{Secret: latchward.SecretFromText(m.Token), Address: m.URL, Source: m.Source}
	}
	ours, err := g.to.ReportLeaks(ctx, scannerName, leaks)
	if err != nil {
		return nil, err
	}
	labels := make([]label, len(matches))
	for i, m := range matches {
		hash := sha256.Sum256([]byte(m.Token))
		labels[i] = label{hex.EncodeToString(hash[:]), m.Type, "false_positive"}
		if ours[i] {
			labels[i].Label = "true_positive"
		}
	}
	return labels, nil
}
