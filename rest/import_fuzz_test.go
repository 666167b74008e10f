package rest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/latchward/latchward/rest"
)

// Whatever lines hold, each has a result, and none is a fault of ours.
func FuzzImportLines(f *testing.F) {
	f.Add(`{"token":"acme-5Hk2mQ8ZtR4w"}`)
	f.Add(`{"digest":"$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$USA+zLvYA9ngjs2b1nCZuQt2xhIjWyE5sn0yh+0Ev1U","lookup_prefix":"acme"}`)
	f.Add(`{"digest":"f8a76c5edb08e8ddd0f8d751416ef1b1e39b173592d40c93f39713d35a39db8f","algorithm":"sha256-salt-token",` +
		`"salt":"AAAA","salt_encoding":"base64","lookup_prefix":"dev-0001","owner":"group:ops","metadata":{"a":[null]}}`)
	f.Add("{}\n[]\n\n{\"token\":1}")
	w := newPopulated(f)
	f.Fuzz(func(t *testing.T, text string) {
		answer := w.sendLines(adminJWT, "?dry_run=true", "application/x-ndjson", text)
		if answer.Code == http.StatusBadRequest || answer.Code == http.StatusRequestEntityTooLarge {
			return
		}
		reply := decode[rest.ImportReply](t, answer, http.StatusOK)
		lines := 0
		for line := range strings.Lines(text) {
			if strings.TrimSpace(line) != "" {
				lines++
			}
		}
		if reply.Created+reply.Skipped+reply.Failed != len(reply.Results) || len(reply.Results) > lines {
			t.Errorf("%d results of %d lines", len(reply.Results), lines)
		}
		for _, result := range reply.Results {
			if result.Code == "internal" || result.Code == "unavailable" {
				t.Errorf("%+v", result)
			}
		}
	})
}
