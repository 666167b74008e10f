package server

import (
	"io"
	"log/slog"
	"os"
	"regexp"
	"unicode/utf8"
)

// maxLogText is the longest text in a log line, in bytes: what an outsider sends must not fill the disk.
const maxLogText = 2048

// newLogger returns a logger that writes one line for each event and hides what looks like a credential, as the last
// of several defences.
func newLogger(c *Config) *slog.Logger {
	var to io.Writer = os.Stderr
	if c.Logs != nil {
		to = c.Logs
	}
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.LogLevel)) // checked with the configuration
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: redactor(c.Prefix)}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(to, options))
	}
	return slog.New(slog.NewTextHandler(to, options))
}

// redactor returns what slog asks about each attribute. Tokens are recognised by prefix and length, JWTs by how their
// header begins: {" in base64.
func redactor(prefix string) func([]string, slog.Attr) slog.Attr {
	credential := regexp.MustCompile(regexp.QuoteMeta(prefix) + `[0-9A-Za-z]{40,}|eyJ[\w-]+\.[\w-]+\.[\w-]*`)
	clean := func(text string) slog.Value {
		text = credential.ReplaceAllString(text, "[redacted]")
		if len(text) > maxLogText {
			end := maxLogText
			for !utf8.RuneStart(text[end]) {
				end--
			}
			text = text[:end] + "..."
		}
		return slog.StringValue(text)
	}
	return func(_ []string, a slog.Attr) slog.Attr {
		switch value := a.Value.Any().(type) {
		case string:
			a.Value = clean(value)
		case error:
			a.Value = clean(value.Error())
		}
		return a
	}
}
