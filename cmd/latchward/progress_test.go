package main

import (
	"bytes"
	"strings"
	"testing"
)

// A bar never passes its end, tells what is done in words, and stays as far as it came.
func TestProgress(t *testing.T) {
	var screen bytes.Buffer
	bar := &progress{to: &screen, words: counted("lines")}
	bar.set(5, 0) // how many there will be is not known yet
	bar.shown = bar.shown.Add(-barInterval)
	bar.set(250, 1000)
	bar.set(1200, 1000) // more than was thought; too early to be shown
	bar.end()
	shown := strings.Split(screen.String(), "\r")
	want := []string{
		"",
		"[------------------------------]        5 lines",
		"[#######-----------------------]  25 %  250 lines",
		"[##############################] 100 %  1200 lines\n",
	}
	for i := range max(len(shown), len(want)) {
		if i >= len(shown) || i >= len(want) || shown[i] != want[i] {
			t.Fatalf("the screen shows %q, want %q", shown, want)
		}
	}
}

// What is not a terminal shows nothing.
func TestProgressOfALog(t *testing.T) {
	var log bytes.Buffer
	bar := newProgress(&log, megabytes)
	bar.set(1_000_000, 2_000_000)
	bar.end()
	if log.Len() > 0 {
		t.Errorf("a log holds %q", log.String())
	}
}
