package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

type auditExport struct {
	auditFlags
	Format string `help:"ndjson, one JSON object a line, or csv, for spreadsheets." enum:"ndjson,csv" default:"ndjson"`
	File   string `short:"f" help:"Write to this file, which only you can read; else to the standard output." placeholder:"FILE"`
}

// Run copies the export as it comes.
func (c *auditExport) Run(ctx context.Context, s *session) error {
	selection, err := c.selection()
	if err != nil {
		return err
	}
	return s.with(ctx, func(client *rest.Client) error {
		export, err := client.ExportAudit(ctx, rest.AuditExportQuery{
			Format: rest.AuditFormat(c.Format), AuditSelection: selection,
		})
		if err != nil {
			return err
		}
		defer export.Close()
		return c.write(s, export)
	})
}

func (c *auditExport) write(s *session, export *rest.AuditExport) (err error) {
	to := s.out
	if c.File != "" {
		file, err := os.OpenFile(c.File, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return latchward.Invalid("--file", "%v", err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		to = file
	}
	bar := newProgress(s.err, export.Newest)
	defer bar.end()
	if err := copyLines(to, export, bar.line); err != nil {
		return latchward.Errorf(latchward.CodeUnavailable, "the export is not complete: %w", err)
	}
	return nil
}

// copyLines copies text and shows f each line.
func copyLines(to io.Writer, from io.Reader, f func(line []byte)) error {
	lines := bufio.NewReaderSize(from, 64<<10)
	for begins := true; ; {
		part, err := lines.ReadSlice('\n')
		if begins {
			f(part)
		}
		begins = bytes.HasSuffix(part, []byte("\n"))
		if _, err := to.Write(part); err != nil {
			return err
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}

// progress is a bar on a terminal that says how much of an export has been written.
type progress struct {
	to          io.Writer // nil = nowhere
	first, last int64     // ids of entries written
	newest      int64     // id of the last there will be
	entries     int64
	shown       time.Time
}

const (
	barWidth    = 30
	barInterval = 100 * time.Millisecond
)

// newProgress returns a bar if to is a terminal.
func newProgress(to io.Writer, newest int64) *progress {
	if file, ok := to.(*os.File); ok {
		if info, err := file.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return &progress{to: to, newest: newest}
		}
	}
	return &progress{newest: newest}
}

// line is told of each line that is written. Ids grow without gaps, so they say how far it is.
func (p *progress) line(line []byte) {
	id := entryID(line)
	if p.to == nil || id == 0 {
		return
	}
	if p.entries++; p.first == 0 {
		p.first = id
	}
	p.last = id
	if now := time.Now(); now.Sub(p.shown) >= barInterval {
		p.shown = now
		p.show()
	}
}

func (p *progress) show() {
	share := float64(p.last-p.first+1) / float64(max(1, p.newest-p.first+1))
	done := int(share * barWidth)
	fmt.Fprintf(p.to, "\r[%s%s] %3.0f %%  %d entries", strings.Repeat("#", done), strings.Repeat("-", barWidth-done),
		100*share, p.entries)
}

// end leaves the bar as far as it came, on a line of its own.
func (p *progress) end() {
	if p.to != nil && p.entries > 0 {
		p.show()
		fmt.Fprintln(p.to)
	}
}

// entryID returns the id that a line of an export begins with, in either format; 0 for none.
func entryID(line []byte) int64 {
	text := string(line[:min(len(line), 32)])
	text = strings.TrimPrefix(strings.TrimPrefix(text, `{"id":`), `"`)
	id, err := strconv.ParseInt(text[:max(0, strings.IndexAny(text, `",`))], 10, 64)
	if err != nil {
		return 0
	}
	return id
}
