package gateway

import (
	"bytes"
	"net/http"
	"strings"
)

// form looks for method overrides in a form while it passes in pieces, without keeping it.
type form interface {
	// passes reports whether data may go to the upstream after what was passed before.
	passes(data []byte) bool
}

// guardForm makes reading the body fail at a method override, if the token is restricted by method: an upstream that
// obeys it would serve another method than was judged (bar 27). What comes before it may have been sent by then, but
// not its value, and not the end of the body. False means that a form cannot be looked into.
//
// Overrides in other kinds of body are for the upstream to know about.
func (p *passage) guardForm() bool {
	r := p.in
	if r.Method != http.MethodPost || !p.verdict.Token.MethodMatters {
		return true
	}
	p.body.form = formOf(r.Header)
	return p.body.form == nil || isPlain(r.Header)
}

// formOf returns what looks into a body of this type; nil when it is no form. Without a type some take a POST for a
// form, and some read any multipart body as one.
func formOf(h http.Header) form {
	media, _, _ := strings.Cut(strings.Join(h["Content-Type"], ","), ";")
	media = strings.ToLower(media)
	switch {
	case strings.Contains(media, "multipart/"):
		return &multipartForm{}
	case strings.Contains(media, "urlencoded"), strings.TrimSpace(media) == "":
		return &urlencodedForm{}
	}
	return nil
}

// isPlain reports whether a form's text is what it looks like: one type, not compressed, in a superset of ASCII.
func isPlain(h http.Header) bool {
	types := h["Content-Type"]
	if len(types) > 1 || len(h["Content-Encoding"]) > 0 {
		return false
	}
	_, charset, told := strings.Cut(strings.ToLower(strings.Join(types, "")), "charset")
	if !told {
		return true
	}
	charset, _, _ = strings.Cut(strings.TrimLeft(charset, " \t=\"'"), ";")
	switch strings.TrimRight(charset, " \t\"'") {
	case "utf-8", "us-ascii", "iso-8859-1", "windows-1252":
		return true
	}
	return false
}

// maxFieldName is how much of a field's name is looked at: more than any spelling of an override needs.
const maxFieldName = 128

// urlencodedForm reads application/x-www-form-urlencoded.
type urlencodedForm struct {
	name  []byte // of the current field, as sent
	value bool   // the name has ended
}

func (f *urlencodedForm) passes(data []byte) bool {
	for _, c := range data {
		switch {
		case c == '&' || c == ';':
			f.name, f.value = f.name[:0], false
		case f.value:
		case c == '=':
			if f.value = true; isOverride(string(f.name)) {
				return false
			}
		case len(f.name) < maxFieldName:
			f.add(c)
		}
	}
	return true
}

// add leaves out spaces at the start, of which there can be any number.
func (f *urlencodedForm) add(c byte) {
	f.name = append(f.name, c)
	switch string(f.name) {
	case " ", "+", "%20":
		f.name = f.name[:0]
	}
}

const (
	disposition    = "content-disposition"
	maxDisposition = 8 << 10 // bytes; a longer one is refused
)

// multipartForm reads multipart/form-data. It does not trust itself to find the same boundaries as the upstream, and so
// takes every line for the header of a part that looks like one.
type multipartForm struct {
	line []byte // in lower case: its start, or all of it when it is a disposition
	skip bool   // the line is not one
	fold bool   // the line has ended, unless the next starts with white space
}

func (f *multipartForm) passes(data []byte) bool {
	for len(data) > 0 {
		if f.skip {
			i := bytes.IndexByte(data, '\n')
			if i < 0 {
				return true
			}
			data, f.skip = data[i:], false
		}
		if !f.add(data[0]) {
			return false
		}
		data = data[1:]
	}
	return true
}

func (f *multipartForm) add(c byte) bool {
	if f.fold && c != ' ' && c != '\t' {
		f.line = f.line[:0]
	}
	f.fold = false
	switch {
	case c == '\r':
	case c == '\n':
		f.fold = true
		return !f.overrides()
	case len(f.line) == 0 && (c == ' ' || c == '\t'):
	default:
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		f.line = append(f.line, c)
		f.skip = len(f.line) <= len(disposition) && !strings.HasPrefix(disposition, string(f.line))
		if f.skip {
			f.line = f.line[:0]
		}
	}
	return len(f.line) <= maxDisposition
}

// overrides reports whether the line is a disposition that names an override. Quotes and backslashes say nothing.
func (f *multipartForm) overrides() bool {
	if len(f.line) <= len(disposition) {
		return false
	}
	text := strings.NewReplacer(`"`, "", `\`, "").Replace(string(f.line))
	for parameter := range strings.SplitSeq(text, ";") {
		name, value, _ := strings.Cut(parameter, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if name == "name*" { // charset'language'value (RFC 5987)
			value = value[strings.LastIndexByte(value, '\'')+1:]
			name = "name"
		}
		if name == "name" && (isOverride(value) || strings.HasPrefix(value, "=?")) { // an encoded word (RFC 2047)
			return true
		}
	}
	return false
}
