package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

type tokenImport struct {
	File        string   `arg:"" help:"File to import; - is the standard input." placeholder:"FILE"`
	Format      string   `help:"csv, ndjson, or auto: by the name of the file, or how it begins." enum:"auto,csv,ndjson" default:"auto"`
	Separator   string   `help:"Between the cells of CSV." default:","`
	Map         []string `help:"The column COLUMN of the file is the member MEMBER; may be repeated." placeholder:"MEMBER=COLUMN" sep:"none"`
	Set         []string `help:"What a member is where a line says nothing; may be repeated." placeholder:"MEMBER=VALUE" sep:"none"`
	IgnoreOther bool     `help:"Pass over columns of which nothing is known."`
	OwnPrefix   bool     `help:"Secrets may begin with the prefix of this server's own."`
	DryRun      bool     `help:"Check only."`
	StopOnError bool     `help:"Stop at the first line that fails."`
	Report      string   `help:"Write what became of each line to this file: CSV if it is named so, else NDJSON." placeholder:"FILE"`
	Name        string   `help:"Name that tokens remember the import by (default: the SHA-256 of the file)." placeholder:"NAME"`
}

// Help implements kong.HelpProvider.
func (tokenImport) Help() string {
	return `Imports tokens that were made elsewhere, by their secrets or by digests of them: the old secrets go on working.
Importing the same file again changes nothing, so an import that was interrupted is run again. See docs/import.md.

Examples:
  latchward token import tokens.csv --dry-run
  latchward token import tokens.csv --report report.csv
  latchward token import keys.csv --map digest=key_hash --map name=label --set owner=ada@example.com --ignore-other
  psql -c "COPY (SELECT digest, name FROM keys) TO STDOUT WITH CSV HEADER" | latchward token import -`
}

// Bounds of a batch that is sent at once.
const (
	importBatchLines = latchward.MaxImportLines
	importBatchBytes = rest.MaxBody - maxImportLine - 1
	importTries      = 4
)

func (c *tokenImport) Run(ctx context.Context, s *session) error {
	ctx, stop := untilSignal(ctx)
	defer stop()
	source, err := c.open()
	if err != nil {
		return err
	}
	defer source.close()
	report, err := newImportReport(c.Report, source.name, s.err)
	if err != nil {
		return err
	}
	run := &importRun{command: c, source: source, report: report, bar: newProgress(s.err, counted("tokens"))}
	err = s.with(ctx, func(client *rest.Client) error {
		run.client = client
		return run.all(ctx)
	})
	run.bar.end()
	if err := errors.Join(err, report.close()); err != nil {
		return err
	}
	return run.tell(s)
}

// importSource is a file that is being imported.
type importSource struct {
	importReader
	name  string // of the file
	sum   string // SHA-256, in hexadecimal
	size  int64  // bytes; 0 = not known
	read  *countingReader
	close func()
}

type countingReader struct {
	io.Reader
	n int64
}

func (r *countingReader) Read(into []byte) (int, error) {
	n, err := r.Reader.Read(into)
	r.n += int64(n)
	return n, err
}

func (c *tokenImport) open() (*importSource, error) {
	separator, size := utf8.DecodeRuneInString(c.Separator)
	if size != len(c.Separator) || size == 0 || strings.ContainsRune("\"\r\n", separator) || separator == utf8.RuneError {
		return nil, latchward.Invalid("--separator", "must be one character")
	}
	plan, err := newColumnPlan(c.Map, c.Set, c.IgnoreOther)
	if err != nil {
		return nil, err
	}
	source := &importSource{name: "standard input", close: func() {}, read: &countingReader{Reader: os.Stdin}}
	if c.File != "-" {
		if err := source.openFile(c.File); err != nil {
			return nil, err
		}
	}
	from := bufio.NewReaderSize(source.read, importBuffer)
	if c.format(from) == "ndjson" {
		source.importReader = newNDJSONImport(from, plan)
		return source, nil
	}
	if source.importReader, err = newCSVImport(from, separator, plan); err != nil {
		source.close()
		return nil, err
	}
	return source, nil
}

// openFile reads the file once for its digest, which names the import.
func (s *importSource) openFile(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return latchward.Invalid("file", "%v", err)
	}
	hash := sha256.New()
	if s.size, err = io.Copy(hash, file); err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		_ = file.Close()
		return latchward.Invalid("file", "%s cannot be read: %v", name, err)
	}
	s.name, s.sum = filepath.Base(name), hex.EncodeToString(hash.Sum(nil))
	s.close, s.read = func() { _ = file.Close() }, &countingReader{Reader: file}
	return nil
}

func (c *tokenImport) format(from *bufio.Reader) string {
	if c.Format != "auto" {
		return c.Format
	}
	switch strings.ToLower(filepath.Ext(c.File)) {
	case ".csv":
		return "csv"
	case ".ndjson", ".jsonl":
		return "ndjson"
	}
	start, _ := from.Peek(64)
	if bytes.HasPrefix(bytes.TrimSpace(bytes.TrimPrefix(start, []byte("\ufeff"))), []byte("{")) {
		return "ndjson"
	}
	return "csv"
}

// importRun is an import on its way.
type importRun struct {
	command *tokenImport
	source  *importSource
	report  *importReport
	bar     *progress
	client  *rest.Client
	name    string
	lines   bytes.Buffer // of the batch
	numbers []int64      // of the lines in it
	stopped bool
}

func (r *importRun) all(ctx context.Context) error {
	if r.name = r.command.Name; r.name == "" {
		r.name = r.source.sum
	}
	if r.name == "" {
		r.name = "stdin-" + time.Now().UTC().Format("20060102T150405Z")
	}
	for !r.stopped {
		line, err := r.source.next()
		if errors.Is(err, io.EOF) {
			return r.send(ctx)
		}
		if err != nil {
			return errors.Join(r.send(ctx), err)
		}
		if err := r.add(ctx, line); err != nil {
			return err
		}
	}
	return nil
}

// add puts a line into the batch, and sends it when it is full. Reports stay in the order of the file.
func (r *importRun) add(ctx context.Context, line importLine) error {
	if line.err != nil {
		if err := r.send(ctx); err != nil || r.stopped {
			return err
		}
		r.stopped = r.command.StopOnError
		return r.report.add(rest.ImportResult{
			Line: line.number, Status: latchward.ImportFailed, Code: latchward.ErrorCode(line.err),
			Field: latchward.ErrorField(line.err), Error: latchward.ErrorMessage(line.err),
		})
	}
	r.lines.Write(line.json)
	r.lines.WriteByte('\n')
	r.numbers = append(r.numbers, line.number)
	if len(r.numbers) < importBatchLines && r.lines.Len() < importBatchBytes {
		return nil
	}
	return r.send(ctx)
}

// send imports the batch. What a server did not answer to is sent again: it makes no token twice.
func (r *importRun) send(ctx context.Context) error {
	if len(r.numbers) == 0 {
		return nil
	}
	query := rest.ImportQuery{
		Import: r.name, Source: r.source.name, FirstLine: r.numbers[0], OwnPrefix: r.command.OwnPrefix,
		DryRun: r.command.DryRun, StopOnError: r.command.StopOnError,
	}
	reply, err := r.client.ImportTokens(ctx, query, r.lines.Bytes())
	for try := 1; err != nil && try < importTries && mayPass(err) && wait(ctx, time.Second<<try); try++ {
		reply, err = r.client.ImportTokens(ctx, query, r.lines.Bytes())
	}
	if err != nil {
		var known *latchward.Error
		if errors.As(err, &known) && mayPass(err) {
			return latchward.Errorf(known.Code, "the import stopped at line %d; run it again to go on: %s", r.numbers[0],
				known.Message)
		}
		return err
	}
	for _, result := range reply.Results {
		result.Line = r.numbers[result.Line-query.FirstLine]
		if err := r.report.add(result); err != nil {
			return err
		}
	}
	r.stopped = r.command.StopOnError && reply.Failed > 0
	r.lines.Reset()
	r.numbers = r.numbers[:0]
	r.bar.set(r.report.lines(), r.total())
	return nil
}

// total guesses how many tokens there will be by how much of the file they have taken so far.
func (r *importRun) total() int64 {
	if r.source.size == 0 || r.source.read.n == 0 {
		return 0
	}
	return int64(float64(r.report.lines()) * float64(r.source.size) / float64(r.source.read.n))
}

func mayPass(err error) bool {
	code := latchward.ErrorCode(err)
	return code == latchward.CodeUnavailable || code == latchward.CodeExhausted
}

// wait waits; false means that ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// importSummary is what an import comes to.
type importSummary struct {
	Import  string `json:"import"`
	DryRun  bool   `json:"dry_run"`
	Created int64  `json:"created"`
	Skipped int64  `json:"skipped"`
	Failed  int64  `json:"failed"`
}

func (r *importRun) tell(s *session) error {
	counts := r.report.counts
	summary := importSummary{
		Import: r.name, DryRun: r.command.DryRun, Created: counts[latchward.ImportCreated],
		Skipped: counts[latchward.ImportSkipped], Failed: counts[latchward.ImportFailed],
	}
	details := table{header: []string{"Import", r.name}}
	created := "Created"
	if summary.DryRun {
		created = "Would be created"
	}
	details.add(created, number(summary.Created))
	details.add("There already", number(summary.Skipped))
	details.add("Failed", number(summary.Failed))
	if err := s.print(summary, details); err != nil {
		return err
	}
	if summary.Failed > 0 {
		what := "lines failed"
		if summary.Failed == 1 {
			what = "line failed"
		}
		return fmt.Errorf("%d %s", summary.Failed, what)
	}
	return nil
}
