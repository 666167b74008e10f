package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/latchward/latchward"
)

// Every code has an exit code, and no failure looks like success.
func TestExitCodes(t *testing.T) {
	want := map[latchward.Code]int{
		"invalid": 2, "unauthenticated": 4, "forbidden": 4, "not_found": 3, "conflict": 5, "exhausted": 6, "unavailable": 6,
		"internal": 1,
	}
	for _, code := range latchward.Codes() {
		var text bytes.Buffer
		got := fail(&text, &latchward.Error{Code: code, Message: "message", Field: "field"})
		if got != want[code] || got == 0 {
			t.Errorf("%s: exit code %d, want %d", code, got, want[code])
		}
		if text.String() != "latchward: field: message\n" {
			t.Errorf("%s: %q", code, text.String())
		}
	}
	if code := fail(&bytes.Buffer{}, errors.New("other")); code != 1 {
		t.Errorf("another error: %d", code)
	}
	if code := fail(&bytes.Buffer{}, nil); code != 0 {
		t.Errorf("no error: %d", code)
	}
}

func TestTableAlignsWhatIsShown(t *testing.T) {
	table := table{header: []string{"NAME", "STATUS"}, title: "Title", before: "\n"}
	table.add("plain", "a")
	table.add("蜂蜜", "b")
	table.add("cafe\u0301", "c")
	table.add("🐝 bee", "d")
	table.add("", "e")
	var text bytes.Buffer
	if err := table.write(&text); err != nil {
		t.Fatal(err)
	}
	want := "\nTitle\nNAME    STATUS\nplain   a\n蜂蜜    b\ncafe\u0301    c\n🐝 bee  d\n        e\n"
	if text.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &text, want)
	}
}

// Names come from people: none may move the cursor, start a line or turn text around.
func TestTableShowsNoControlCharacters(t *testing.T) {
	table := table{header: []string{"NAME"}}
	table.add("a\nb\tc\x1b[31m\u202egnp.exe\u2028x\x00\u200f")
	var text bytes.Buffer
	if err := table.write(&text); err != nil {
		t.Fatal(err)
	}
	if strings.Count(text.String(), "\n") != 2 || strings.ContainsAny(text.String(), "\x1b\u202e\u2028\x00\t\u200f") {
		t.Errorf("%q", text.String())
	}
}
