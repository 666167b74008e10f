package main

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/latchward/latchward/rest"
)

// table is text in columns.
type table struct {
	before string // printed above it
	title  string // "" = none
	header []string
	rows   [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// write prints the table, its columns aligned and two spaces apart.
func (t *table) write(to io.Writer) error {
	widths := make([]int, len(t.header))
	for _, row := range append([][]string{t.header}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], width(clean(cell)))
		}
	}
	var text bytes.Buffer
	text.WriteString(t.before)
	if t.title != "" {
		fmt.Fprintln(&text, t.title)
	}
	for _, row := range append([][]string{t.header}, t.rows...) {
		var line strings.Builder
		for i, cell := range row {
			cell = clean(cell)
			line.WriteString(cell + strings.Repeat(" ", widths[i]-width(cell)+2))
		}
		fmt.Fprintln(&text, strings.TrimRight(line.String(), " "))
	}
	_, err := to.Write(text.Bytes())
	return err
}

// clean replaces what could move the cursor or turn text around: names come from people.
func clean(text string) string {
	const joiner = '\u200d' // holds emoji together
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == joiner || unicode.IsGraphic(r):
			return r
		default:
			return unicode.ReplacementChar
		}
	}, text)
}

// wide are the ranges that terminals show in two columns: those of East Asian width W and F (Unicode TR 11) that names
// are likely to hold.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x1100, Hi: 0x115f, Stride: 1}, {Lo: 0x2e80, Hi: 0x303e, Stride: 1}, {Lo: 0x3041, Hi: 0xa4cf, Stride: 1},
		{Lo: 0xac00, Hi: 0xd7a3, Stride: 1}, {Lo: 0xf900, Hi: 0xfaff, Stride: 1}, {Lo: 0xfe30, Hi: 0xfe6f, Stride: 1},
		{Lo: 0xff00, Hi: 0xff60, Stride: 1}, {Lo: 0xffe0, Hi: 0xffe6, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x1f300, Hi: 0x1f64f, Stride: 1}, {Lo: 0x1f680, Hi: 0x1f6ff, Stride: 1}, {Lo: 0x1f900, Hi: 0x1f9ff, Stride: 1},
		{Lo: 0x20000, Hi: 0x3fffd, Stride: 1},
	},
}

// width returns how many columns of a terminal text takes.
func width(text string) int {
	n := 0
	for _, r := range text {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		case unicode.Is(wide, r):
			n += 2
		default:
			n++
		}
	}
	return n
}

// How values look in a table.

func number(n int64) string { return strconv.FormatInt(n, 10) }

func moment(t rest.Time, none string) string {
	if t.IsZero() {
		return none
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

func second(t rest.Time) string { return t.UTC().Format(time.DateTime) }

func optional[T ~string](text *T) string {
	if text == nil {
		return "-"
	}
	return string(*text)
}

func list(texts []string, none string) string {
	if len(texts) == 0 {
		return none
	}
	return strings.Join(texts, " ")
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}
