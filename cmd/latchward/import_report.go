package main

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

// importShown is how many lines that failed are shown where there is no report.
const importShown = 20

// importReport tells what became of each line. It never holds a secret.
type importReport struct {
	name   string // of what is imported
	counts map[latchward.ImportStatus]int64
	screen io.Writer // where failures are shown; nil = they are in a file
	file   *os.File
	to     *bufio.Writer
	cells  *csv.Writer // nil = NDJSON
}

func newImportReport(path, name string, screen io.Writer) (*importReport, error) {
	r := &importReport{name: name, counts: map[latchward.ImportStatus]int64{}, screen: screen}
	if path == "" {
		return r, nil
	}
	var err error
	if r.file, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600); err != nil {
		return nil, latchward.Invalid("--report", "%v", err)
	}
	r.screen, r.to = nil, bufio.NewWriter(r.file)
	if strings.EqualFold(filepath.Ext(path), ".csv") {
		r.cells = csv.NewWriter(r.to)
		err = r.cells.Write([]string{"line", "status", "token_id", "field", "error"})
	}
	return r, err
}

// lines returns how many lines were reported.
func (r *importReport) lines() (n int64) {
	for _, count := range r.counts {
		n += count
	}
	return n
}

func (r *importReport) add(result rest.ImportResult) error {
	r.counts[result.Status]++
	switch {
	case r.cells != nil:
		id := ""
		if result.TokenID != nil {
			id = strconv.FormatInt(*result.TokenID, 10)
		}
		return r.cells.Write([]string{
			strconv.FormatInt(result.Line, 10), string(result.Status), id, result.Field, result.Error,
		})
	case r.to != nil:
		text, err := json.Marshal(result)
		if err == nil {
			_, err = r.to.Write(append(text, '\n'))
		}
		return err
	case result.Status == latchward.ImportFailed:
		r.show(result)
	}
	return nil
}

func (r *importReport) show(result rest.ImportResult) {
	if n := r.counts[latchward.ImportFailed]; n > importShown+1 {
		return
	} else if n > importShown {
		fmt.Fprintln(r.screen, "latchward: and so on; --report FILE tells of all lines")
		return
	}
	message := result.Error
	if result.Field != "" && !strings.Contains(message, result.Field) {
		message = result.Field + ": " + message
	}
	fmt.Fprintf(r.screen, "latchward: %s:%d: %s\n", clean(r.name), result.Line, clean(message))
}

func (r *importReport) close() error {
	if r.file == nil {
		return nil
	}
	var failures []error
	if r.cells != nil {
		r.cells.Flush()
		failures = append(failures, r.cells.Error())
	}
	if err := errors.Join(append(failures, r.to.Flush(), r.file.Close())...); err != nil {
		return latchward.Errorf(latchward.CodeUnavailable, "the report is not complete: %w", err)
	}
	return nil
}
