package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

func plan(t testing.TB, maps, sets []string, others bool) *columnPlan {
	t.Helper()
	p, err := newColumnPlan(maps, sets, others)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// readAll returns the lines of a file, and what ended it.
func readAll(r importReader) (lines []importLine, err error) {
	for {
		line, err := r.next()
		if err != nil {
			return lines, err
		}
		lines = append(lines, line)
	}
}

// wantLines compares lines as "number JSON", or "number error".
func wantLines(t *testing.T, r importReader, want ...string) {
	t.Helper()
	lines, err := readAll(r)
	if !errors.Is(err, io.EOF) {
		t.Errorf("ended with %v", err)
	}
	for i, line := range lines {
		got := number(line.number) + " " + string(line.json)
		if line.err != nil {
			got = number(line.number) + " " + latchward.ErrorMessage(line.err)
		}
		if i >= len(want) || got != want[i] {
			t.Errorf("line %d is %s, want %s", i, got, want[min(i, len(want)-1)])
		}
	}
	if len(lines) != len(want) {
		t.Errorf("%d lines, want %d", len(lines), len(want))
	}
}

func TestImportReadsCSV(t *testing.T) {
	const text = "\ufeffkey_hash, Name ,endpoints,permissions,rate_limit,idle_timeout_days,metadata,metadata.plan,seen\r\n" +
		`aa,"Two` + "\n" + `lines","GET,POST /a; /b*",-,7,never,"{""a"":1}",gold,x` + "\r\n" +
		"\r\n" + // an empty line
		"bb,,,,many,30,{,,y\n" +
		`cc,"quote"d,,` + "\n" +
		"dd,1,2,3,4,5,6,7,8,9\n" +
		"ee\n"
	r, err := newCSVImport(strings.NewReader(text), ',',
		plan(t, []string{"digest=key_hash"}, []string{"owner=ada@example.com", "name=Old", "tags=a;b"}, true))
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, r,
		`2 {"allowed_endpoints":["GET,POST /a","/b*"],"digest":"aa","idle_timeout_days":null,"metadata":{"a":1,"plan":"gold"},`+
			`"name":"Two\nlines","owner":"ada@example.com","permissions":[],"rate_limit":7,"tags":["a","b"]}`,
		`5 {"digest":"bb","idle_timeout_days":30,"metadata":"{","name":"Old","owner":"ada@example.com","rate_limit":"many",`+
			`"tags":["a","b"]}`,
		"6 is not CSV: extraneous or missing \" in quoted-field",
		"7 has 10 cells, and there are 9 columns",
		`8 {"digest":"ee","name":"Old","owner":"ada@example.com","tags":["a","b"]}`,
	)
}

func TestImportReadsNDJSON(t *testing.T) {
	long := `{"name":"` + strings.Repeat("x", maxImportLine) + `"}`
	text := "\ufeff{\"token\":\"a\"}\r\n\n" + long + "\n  {\"b\":1}  \nnonsense\n{\"hash\":\"c\",\"label\":\"C\",\"n\":12345678901234567890}"
	wantLines(t, newNDJSONImport(strings.NewReader(text), plan(t, nil, nil, false)),
		`1 {"token":"a"}`, "3 the line is longer than 65536 bytes", `4 {"b":1}`, "5 nonsense",
		`6 {"hash":"c","label":"C","n":12345678901234567890}`)
	wantLines(t, newNDJSONImport(strings.NewReader(text), plan(t, []string{"digest=hash", "metadata.label=label"},
		[]string{"kind=service"}, true)),
		`1 {"kind":"service","token":"a"}`, "3 the line is longer than 65536 bytes", `4 {"kind":"service"}`, "5 nonsense",
		`6 {"digest":"c","kind":"service","metadata":{"label":"C"}}`)
}

// A file that is not what it seems is refused as a whole, before anything of it is imported.
func TestImportRefusesFiles(t *testing.T) {
	for text, want := range map[string]string{
		"": "is empty", "digest,hash\n": `nothing is known about the column "hash"`, "name,NAME\n": "two columns are name",
		"\"digest\n" + strings.Repeat("x\n", 100_000): "is a quote missing?",
	} {
		r, err := newCSVImport(strings.NewReader(text), ',', plan(t, nil, nil, false))
		if err == nil {
			_, err = readAll(r)
		}
		if latchward.ErrorCode(err) != latchward.CodeInvalid || !strings.Contains(latchward.ErrorMessage(err), want) {
			t.Errorf("%.20q: %v, want %s", text, err, want)
		}
	}
	for _, text := range []string{"digest", "secret=x", "=x", "digest="} {
		if _, err := newColumnPlan([]string{text}, nil, false); latchward.ErrorCode(err) != latchward.CodeInvalid {
			t.Errorf("--map %s: %v", text, err)
		}
	}
	if _, err := newColumnPlan(nil, []string{"secret=x"}, false); latchward.ErrorCode(err) != latchward.CodeInvalid {
		t.Errorf("--set secret: %v", err)
	}
}

// The members of a file are those of the API, no more and no fewer.
func TestImportColumnsAreTheAPIs(t *testing.T) {
	every := map[string]any{}
	for name, kind := range importColumns {
		every[name] = map[cellKind]any{
			cellText: "x", cellList: []string{}, cellNumber: 1, cellObject: map[string]any{},
		}[kind]
	}
	for name, value := range map[string]any{
		"algorithm": "sha256", "kind": "service", "expires_at": "2099-01-01", "not_before": "2099-01-01", "reuse": "alert",
		"salt_encoding": "hex",
	} {
		every[name] = value
	}
	text, err := json.Marshal(every)
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var line rest.ImportLine
	if err := decoder.Decode(&line); err != nil {
		t.Error(err)
	}
	back, err := json.Marshal(line)
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(back, &members); err != nil || len(members) != len(importColumns) {
		t.Errorf("%d members of the API, %d columns: %v", len(members), len(importColumns), err)
	}
}

// Whatever a file holds, each line is one line of JSON or an error, none is longer than may be sent, and reading ends.
func FuzzImportFiles(f *testing.F) {
	f.Add([]byte("digest,name\naa,\"b\"\n\"c"), true)
	f.Add([]byte("{\"token\":\"a\"}\n{\"hash\":1}\n\n["), false)
	f.Add([]byte("\ufefftoken;metadata.a\n\"x\ny\",{\n"), true)
	f.Fuzz(func(t *testing.T, text []byte, isCSV bool) {
		p := plan(t, []string{"digest=hash", "metadata.x=x"}, []string{"owner=1"}, true)
		var r importReader = newNDJSONImport(bytes.NewReader(text), p)
		if isCSV {
			c, err := newCSVImport(bytes.NewReader(text), ',', p)
			if err != nil {
				return
			}
			r = c
		}
		last := int64(0)
		for lines := 0; ; lines++ {
			line, err := r.next()
			if err != nil {
				return
			}
			if lines > bytes.Count(text, []byte("\n"))+1+bytes.Count(text, []byte("\r")) {
				t.Fatal("more lines than there are")
			}
			if line.number < last {
				t.Fatalf("line %d follows line %d", line.number, last)
			}
			last = line.number
			if line.err == nil && (len(line.json) == 0 || len(line.json) > maxImportLine || bytes.ContainsAny(line.json, "\n")) {
				t.Fatalf("%q", line.json)
			}
		}
	})
}
