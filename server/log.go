package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"unicode/utf8"
)

const (
	// maxLogText is the most that a text takes in a log line, in bytes and as it is written there: what an outsider
	// sends must not fill the disk.
	maxLogText = 2048
	// maxLogLine is the most that all texts of a line take. With names, times and punctuation it stays below 8 KiB
	// (bar 129).
	maxLogLine = 7 << 10
	// maxLogContext is the most that a text takes which stands in every line of a logger.
	maxLogContext = 256
	// maxTokenBegin is longer than a piece of a token that is too short to be taken for one.
	maxTokenBegin = 128
)

// newLogger returns a logger that writes one line for each event, of at most 8 KiB, and hides what looks like a
// credential, as the last of several defences.
func newLogger(c *Config) *slog.Logger {
	var to io.Writer = os.Stderr
	if c.Logs != nil {
		to = c.Logs
	}
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.LogLevel)) // checked with the configuration
	options := &slog.HandlerOptions{Level: level}
	var handler slog.Handler = slog.NewTextHandler(to, options)
	if c.LogFormat == "json" {
		handler = slog.NewJSONHandler(to, options)
	}
	return slog.New(&careful{Handler: handler, credential: credentials(c.Prefix)})
}

// credentials matches what looks like a token, by prefix and length, or a JWT, by how its header begins: {" in base64.
func credentials(prefix string) *regexp.Regexp {
	return regexp.MustCompile(regexp.QuoteMeta(prefix) + `[0-9A-Za-z]{40,}|eyJ[\w-]+\.[\w-]+\.[\w-]*`)
}

// careful is a handler that hides credentials and cuts texts before it hands events on. The handlers of slog then
// escape whatever could end a line or move a cursor.
type careful struct {
	slog.Handler
	credential *regexp.Regexp
	standing   int // attributes that stand in every line
}

// Handle implements slog.Handler. The more texts there are, the less each may take.
func (h *careful) Handle(ctx context.Context, r slog.Record) error {
	share := (maxLogLine - h.standing*maxLogContext) / (r.NumAttrs() + 1)
	share = min(maxLogText, max(share, maxLogContext/4))
	safe := slog.NewRecord(r.Time, r.Level, h.text(r.Message, share), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		safe.AddAttrs(h.attr(a, share))
		return true
	})
	return h.Handler.Handle(ctx, safe)
}

// WithAttrs implements slog.Handler.
func (h *careful) WithAttrs(attrs []slog.Attr) slog.Handler {
	safe := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		safe[i] = h.attr(a, maxLogContext)
	}
	return &careful{h.Handler.WithAttrs(safe), h.credential, h.standing + len(attrs)}
}

// WithGroup implements slog.Handler.
func (h *careful) WithGroup(name string) slog.Handler {
	return &careful{h.Handler.WithGroup(name), h.credential, h.standing}
}

func (h *careful) attr(a slog.Attr, most int) slog.Attr {
	value := a.Value.Resolve()
	switch value.Kind() {
	case slog.KindString:
		value = slog.StringValue(h.text(value.String(), most))
	case slog.KindGroup:
		members := value.Group()
		safe := make([]slog.Attr, len(members))
		for i, member := range members {
			safe[i] = h.attr(member, most/len(members))
		}
		value = slog.GroupValue(safe...)
	case slog.KindAny:
		value = slog.StringValue(h.text(fmt.Sprint(value.Any()), most))
	}
	return slog.Attr{Key: a.Key, Value: value}
}

// text hides credentials in a text and cuts it so that it takes at most so many bytes in a line.
func (h *careful) text(text string, most int) string {
	const more = "..."
	long := len(text) > 4*maxLogText // and what is behind that is not looked at
	text = h.credential.ReplaceAllString(text[:min(len(text), 4*maxLogText)], "[redacted]")
	if long { // what may be the beginning of a token goes, too
		text = text[:max(0, len(text)-maxTokenBegin)] + more
	}
	text = strings.Map(visible, text)
	size, end := 0, 0 // end is where the text would have to be cut for the mark to fit in
	for i, r := range text {
		if size <= most-len(more) {
			end = i
		}
		if size += written(r); size > most {
			return text[:end] + more
		}
	}
	return text
}

// visible replaces what the handlers of slog leave as it is although it could end a line or turn text around: controls
// beyond ASCII, and marks of direction (Unicode UAX #9).
func visible(r rune) rune {
	if r >= 0x7f && r <= 0x9f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
		return utf8.RuneError
	}
	return r
}

// written is the most bytes that the handlers of slog write for a character.
func written(r rune) int {
	switch {
	case r == '"' || r == '\\':
		return 2
	case r < ' ' || r == utf8.RuneError:
		return 6 // \u0000
	case r < utf8.RuneSelf-1:
		return 1
	case r <= 0xffff:
		return 6
	default:
		return 10 // \U00000000
	}
}
