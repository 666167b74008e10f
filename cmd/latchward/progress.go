package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-isatty"
)

const (
	barWidth    = 30
	barInterval = 100 * time.Millisecond
)

// progress is a bar on a terminal that says how much of a long work is done. It shows nothing elsewhere: a log full of
// half lines helps nobody. It may be used concurrently.
type progress struct {
	to    io.Writer               // nil = nowhere
	words func(done int64) string // what is written behind the bar

	mu          sync.Mutex
	done, total int64
	shown       time.Time // zero = never
}

// newProgress returns a bar if to is a terminal. words says in a few words of one length or growing what is done.
func newProgress(to io.Writer, words func(done int64) string) *progress {
	if !terminal(to) {
		to = nil
	}
	return &progress{to: to, words: words}
}

// terminal reports whether stream is one.
func terminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && isatty.IsTerminal(file.Fd())
}

// counted are the words for a number of things.
func counted(things string) func(int64) string {
	return func(done int64) string { return fmt.Sprintf("%d %s", done, things) }
}

// megabytes are the words for a number of bytes.
func megabytes(done int64) string { return fmt.Sprintf("%d MB", done/1_000_000) }

// set says how much is done of how much, in any one unit. A total of 0 is one that is not known yet.
func (p *progress) set(done, total int64) {
	if p.to == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done, p.total = done, total
	if now := time.Now(); now.Sub(p.shown) >= barInterval {
		p.shown = now
		p.draw()
	}
}

func (p *progress) draw() {
	share := min(1, float64(p.done)/float64(max(1, p.total, p.done)))
	percent := fmt.Sprintf("%3.0f %%", 100*share)
	if p.total == 0 {
		share, percent = 0, "     "
	}
	full := int(share * barWidth)
	fmt.Fprintf(p.to, "\r[%s%s] %s  %s", strings.Repeat("#", full), strings.Repeat("-", barWidth-full), percent, p.words(p.done))
}

// end leaves the bar as far as it came, on a line of its own.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.to != nil && !p.shown.IsZero() {
		p.draw()
		fmt.Fprintln(p.to)
	}
}
