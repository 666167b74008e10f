package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"

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
	bar := &entriesBar{progress: newProgress(s.err, counted("entries")), newest: export.Newest}
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

// entriesBar is a bar that moves with the lines of an export. Ids grow without gaps, so they say how far it is.
type entriesBar struct {
	*progress
	first, newest int64 // ids: of the first entry written, and of the last there will be
}

// line is told of each line that is written.
func (b *entriesBar) line(line []byte) {
	id := entryID(line)
	if id == 0 {
		return
	}
	if b.first == 0 {
		b.first = id
	}
	b.set(id-b.first+1, b.newest-b.first+1)
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
