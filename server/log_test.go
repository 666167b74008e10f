package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"unicode"
)

// bar 129: whatever comes from outside, an event is one line of at most 8 KiB, and valid JSON where that was asked for.
func TestLogLinesAreBounded(t *testing.T) {
	hostile := map[string]string{
		"line ends": "\r\n", "escapes": "\x1b[2J", "separators": "\u2028\u2029\u0085", "JSON": `"},{"level":"ERROR"`,
		"zero bytes": "\x00", "no UTF-8": "\xff\xc3", "emoji": "🐝👩‍🔬", "directions": "\u202e", "backslashes": `\`, "plain": "x",
		"key=value": " level=ERROR msg=x",
	}
	for what, piece := range hostile {
		huge := strings.Repeat(piece, 1<<20/len(piece))
		for _, format := range []string{"text", "json"} {
			for _, attrs := range []int{0, 3, 12} {
				var text bytes.Buffer
				log := newLogger(&Config{Prefix: "lw_", LogLevel: "info", LogFormat: format, Logs: &text})
				log = log.With("standing", huge).WithGroup("g").With("error", errors.New(huge))
				var args []any
				for i := range attrs {
					args = append(args, slog.Any(fmt.Sprintf("a%d", i), []any{huge, errors.New(huge), []string{huge}}[i%3]))
				}
				args = append(args, slog.Group("inner", "x", huge, "y", huge), slog.Group("empty"))
				log.Info(huge, args...)
				checkLine(t, fmt.Sprintf("%s as %s with %d attributes", what, format, attrs), format, text.Bytes())
			}
		}
	}
}

func checkLine(t *testing.T, what, format string, line []byte) {
	t.Helper()
	if len(line) > 8<<10 || bytes.Count(line, []byte("\n")) != 1 || !bytes.HasSuffix(line, []byte("\n")) {
		t.Errorf("%s: %d bytes, %d lines", what, len(line), bytes.Count(line, []byte("\n")))
	}
	for _, r := range strings.TrimSuffix(string(line), "\n") {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			t.Errorf("%s: the line holds %U", what, r)
			break
		}
	}
	var event struct{ Level string }
	if format == "json" && (json.Unmarshal(line, &event) != nil || event.Level != "INFO") {
		t.Errorf("%s: not JSON of level INFO: %.100q", what, line)
	}
	if format == "text" && !bytes.Contains(line[:60], []byte(" level=INFO msg=")) {
		t.Errorf("%s: begins with %.60q", what, line)
	}
}

// bar 130: of tokens in a text that is cut nothing is left, wherever the cut falls.
func TestLogHidesWhatIsCut(t *testing.T) {
	for shift := range 60 {
		var text bytes.Buffer
		log := newLogger(&Config{Prefix: "lw_", LogLevel: "info", LogFormat: "json", Logs: &text})
		log.Info("x", "path", strings.Repeat("-", shift)+strings.Repeat(someToken+"/", 1000))
		if line := text.String(); strings.Contains(line, "lw_") || !strings.Contains(line, "[redacted]/[redacted]") {
			t.Fatalf("shifted by %d: %q", shift, line)
		}
	}
}
