package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/latchward/latchward"
)

// Bounds of what is imported, in bytes.
const (
	maxImportLine = 64 << 10
	importBuffer  = 64 << 10
)

// importLine is one token of a file: a line of JSON as the API takes it, or why there is none.
type importLine struct {
	number int64 // of the line in the file on which it begins
	json   []byte
	err    error
}

// importReader reads the tokens of a file one by one. next returns io.EOF at the end; any other error ends the file,
// too.
type importReader interface {
	next() (importLine, error)
}

// cellKind says how a cell of CSV becomes JSON.
type cellKind int

const (
	cellText   cellKind = iota
	cellList            // parted by semicolons; - is none
	cellNumber          // never is null
	cellObject          // JSON
)

// importColumns are the members of a line, and other names that they go by.
var importColumns = map[string]cellKind{
	"token": cellText, "digest": cellText, "algorithm": cellText, "salt": cellText, "salt_encoding": cellText,
	"lookup_prefix": cellText, "external_id": cellText, "owner": cellText, "name": cellText, "description": cellText,
	"kind": cellText, "expires_at": cellText, "not_before": cellText, "reuse": cellText, "rate_limit": cellNumber,
	"idle_timeout_days": cellNumber, "allowed_endpoints": cellList, "allowed_networks": cellList, "permissions": cellList,
	"tags": cellList, "roles": cellList, "groups": cellList, "licenses": cellList, "metadata": cellObject,
}

const metadataPrefix = "metadata."

// importColumn returns the member that a column is; "" when it is none.
func importColumn(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	switch name {
	case "endpoints", "networks":
		name = "allowed_" + name
	}
	_, known := importColumns[name]
	if key, ok := strings.CutPrefix(name, metadataPrefix); known || ok && key != "" {
		return name
	}
	return ""
}

// columnPlan says which columns of a file are which members.
type columnPlan struct {
	renamed map[string]string // member by column
	set     map[string]string // cells by member, of every line that says nothing else
	others  bool              // columns that are none are passed over
}

func newColumnPlan(maps, sets []string, others bool) (*columnPlan, error) {
	p := &columnPlan{renamed: map[string]string{}, set: map[string]string{}, others: others}
	for _, text := range maps {
		member, column, ok := strings.Cut(text, "=")
		if member = importColumn(member); !ok || member == "" || column == "" {
			return nil, latchward.Invalid("--map", "%q is not MEMBER=COLUMN with one of the members %s", text, importMembers())
		}
		p.renamed[column] = member
	}
	for _, text := range sets {
		member, value, ok := strings.Cut(text, "=")
		if member = importColumn(member); !ok || member == "" {
			return nil, latchward.Invalid("--set", "%q is not MEMBER=VALUE with one of the members %s", text, importMembers())
		}
		p.set[member] = value
	}
	return p, nil
}

func importMembers() string {
	var names []string
	for name := range importColumns {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// member returns what a column is; "" to pass over it.
func (p *columnPlan) member(column string) (string, error) {
	member, ok := p.renamed[column]
	if !ok {
		member = importColumn(column)
	}
	if member == "" && !p.others {
		return "", latchward.Invalid("file", "nothing is known about the column %q: say which it is with --map MEMBER=%s, "+
			"or pass over such columns with --ignore-other; the members are %s", column, column, importMembers())
	}
	return member, nil
}

// cell adds what a cell says to a line.
func (p *columnPlan) cell(line map[string]any, member, text string) {
	if text == "" {
		return
	}
	if key, ok := strings.CutPrefix(member, metadataPrefix); ok {
		metadata, _ := line["metadata"].(map[string]any)
		if metadata == nil {
			metadata = map[string]any{}
			line["metadata"] = metadata
		}
		metadata[key] = text
		return
	}
	line[member] = cellValue(importColumns[member], text)
}

// cellValue returns the JSON that a cell stands for. What cannot be read stays text, and the server says what is wrong.
func cellValue(kind cellKind, text string) any {
	switch kind {
	case cellList:
		if strings.TrimSpace(text) == "-" {
			return []string{}
		}
		var list []string
		for part := range strings.SplitSeq(text, ";") {
			list = append(list, strings.TrimSpace(part))
		}
		return list
	case cellNumber:
		text = strings.TrimSpace(text)
		if text == "never" {
			return nil
		}
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
	case cellObject:
		var object map[string]any
		if json.Unmarshal([]byte(text), &object) == nil {
			return object
		}
	}
	return text
}

// encode returns a line as JSON.
func (p *columnPlan) encode(number int64, line map[string]any) importLine {
	for member, value := range p.set {
		if _, given := line[member]; !given {
			p.cell(line, member, value)
		}
	}
	text, err := json.Marshal(line)
	if err == nil && len(text) > maxImportLine {
		err = tooLong()
	}
	return importLine{number: number, json: text, err: err}
}

func tooLong() error {
	return latchward.Errorf(latchward.CodeInvalid, "the line is longer than %d bytes", maxImportLine)
}

// csvImport reads CSV (RFC 4180) whose first line names the columns.
type csvImport struct {
	plan    *columnPlan
	from    *csv.Reader
	bytes   *boundedReader
	members []string // of the columns, "" = pass over
}

func newCSVImport(from io.Reader, separator rune, plan *columnPlan) (*csvImport, error) {
	bounded := &boundedReader{from: bufio.NewReaderSize(from, importBuffer)}
	if start, err := bounded.from.Peek(3); err == nil && string(start) == "\ufeff" {
		_, _ = bounded.from.Discard(3)
	}
	c := &csvImport{plan: plan, from: csv.NewReader(bounded), bytes: bounded}
	c.from.Comma, c.from.FieldsPerRecord, c.from.ReuseRecord = separator, -1, true
	header, err := c.read()
	if errors.Is(err, io.EOF) {
		return nil, latchward.Invalid("file", "is empty: its first line must name the columns")
	}
	if err != nil {
		return nil, c.unreadable(err)
	}
	seen := map[string]bool{}
	for _, column := range header {
		member, err := plan.member(strings.TrimSpace(column))
		if err != nil {
			return nil, err
		}
		if member != "" && seen[member] {
			return nil, latchward.Invalid("file", "two columns are %s", member)
		}
		seen[member] = true
		c.members = append(c.members, member)
	}
	return c, nil
}

func (c *csvImport) read() ([]string, error) {
	c.bytes.left = maxImportLine + importBuffer // csv reads ahead
	return c.from.Read()
}

func (c *csvImport) next() (importLine, error) {
	record, err := c.read()
	var bad *csv.ParseError
	switch {
	case errors.As(err, &bad):
		err := latchward.Errorf(latchward.CodeInvalid, "is not CSV: %v", bad.Err)
		return importLine{number: int64(bad.StartLine), err: err}, nil
	case err != nil:
		return importLine{}, c.unreadable(err)
	}
	number, _ := c.from.FieldPos(0)
	if len(record) > len(c.members) {
		err := latchward.Errorf(latchward.CodeInvalid, "has %d cells, and there are %d columns", len(record), len(c.members))
		return importLine{number: int64(number), err: err}, nil
	}
	line := map[string]any{}
	for i, text := range record {
		if c.members[i] != "" {
			c.plan.cell(line, c.members[i], text)
		}
	}
	return c.plan.encode(int64(number), line), nil
}

func (c *csvImport) unreadable(err error) error {
	var bad *csv.ParseError
	switch {
	case errors.Is(err, errUnbounded):
		return latchward.Invalid("file", "a line is longer than %d bytes: is a quote missing?", maxImportLine)
	case errors.As(err, &bad):
		return latchward.Invalid("file", "its first line is not CSV: %v", bad.Err)
	}
	return err
}

// boundedReader gives no more bytes than are left: a quote that is never closed would take the rest of the file for one
// cell.
type boundedReader struct {
	from *bufio.Reader
	left int
}

var errUnbounded = errors.New("too long")

func (r *boundedReader) Read(into []byte) (int, error) {
	if r.left <= 0 {
		return 0, errUnbounded
	}
	n, err := r.from.Read(into[:min(len(into), r.left)])
	r.left -= n
	return n, err
}

// ndjsonImport reads one JSON object from each line.
type ndjsonImport struct {
	plan   *columnPlan // nil = lines are as the API takes them
	from   *bufio.Reader
	number int64
}

func newNDJSONImport(from io.Reader, plan *columnPlan) *ndjsonImport {
	if len(plan.renamed)+len(plan.set) == 0 && !plan.others {
		plan = nil
	}
	return &ndjsonImport{plan: plan, from: bufio.NewReaderSize(from, maxImportLine)}
}

func (n *ndjsonImport) next() (importLine, error) {
	for {
		text, err := n.from.ReadSlice('\n')
		n.number++
		line := importLine{number: n.number}
		if errors.Is(err, bufio.ErrBufferFull) {
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = n.from.ReadSlice('\n')
			}
			line.err = tooLong()
			return line, ignoreEOF(err)
		}
		if text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\ufeff"))); len(text) > 0 {
			line.json = bytes.Clone(text)
			if n.plan != nil {
				line = n.plan.object(line)
			}
			return line, ignoreEOF(err)
		}
		if err != nil {
			return line, err
		}
	}
}

// ignoreEOF leaves the end of a file to the next call.
func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// object gives the members of a line their names. What is no object is left to the server to refuse.
func (p *columnPlan) object(line importLine) importLine {
	decoder := json.NewDecoder(bytes.NewReader(line.json))
	decoder.UseNumber()
	var members map[string]any
	if err := decoder.Decode(&members); err != nil || members == nil || decoder.More() {
		return line
	}
	renamed := map[string]any{}
	for name, value := range members {
		member, err := p.member(name)
		if err != nil {
			line.err = err
			return line
		}
		if key, ok := strings.CutPrefix(member, metadataPrefix); ok {
			p.cell(renamed, metadataPrefix+key, fmt.Sprint(value))
		} else if member != "" {
			renamed[member] = value
		}
	}
	return p.encode(line.number, renamed)
}
