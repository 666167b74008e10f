package leak

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/latchward/latchward"
)

// Finding is a secret where it does not belong.
type Finding struct {
	Path   string // as the scan was given it, with what lies under it; "" in a message of the history
	Commit string // that brought it, in hexadecimal; "" outside the history, and where no commit is known any more
	Place
	TokenPrefix string // what lists show of a secret; the rest is in Secret only
	Secret      latchward.Secret
}

// Unread is something that could not be searched.
type Unread struct {
	Path string
	Err  error
}

// Scanner searches for secrets: for what has their prefix, shape and checksum. It asks no server, so it finds those that
// were revoked long ago as well. The zero value searches for secrets with the default prefix. A Scanner may be used
// concurrently.
type Scanner struct {
	Prefixes []string // of the secrets; empty = [latchward.DefaultPrefix]
	// Exclude are patterns as of [path.Match]; a file or folder is left out whose name, or whose slash-separated path under
	// what is scanned, one of them matches.
	Exclude []string
	Jobs    int // how many files are read at a time; 0 = as many as there are processors
	// Progress, if not nil, is told now and then, concurrently, how many bytes are searched of how many that are known of.
	Progress func(done, total int64)
}

// Validate checks prefixes and patterns. The error is of code invalid.
func (s *Scanner) Validate() error {
	for _, prefix := range s.Prefixes {
		if err := latchward.ValidatePrefix(prefix); err != nil {
			return err
		}
	}
	for _, pattern := range s.Exclude {
		if _, err := path.Match(pattern, ""); err != nil {
			return latchward.Invalid("exclude", "%q is not a pattern: see * ? and [a-z] in the manual", pattern)
		}
	}
	return nil
}

func (s *Scanner) prefixes() []string {
	if len(s.Prefixes) == 0 {
		return []string{latchward.DefaultPrefix}
	}
	return s.Prefixes
}

// Text searches what from holds and calls found with each secret, under a name.
func (s *Scanner) Text(name string, from io.Reader, found func(Finding)) error {
	if err := s.Validate(); err != nil {
		return err
	}
	return newStream(s.prefixes()).search(from, func(at Place, secret latchward.Secret) {
		found(s.finding(name, at, secret))
	})
}

// finding keeps a secret, whose text lies in a buffer.
func (s *Scanner) finding(name string, at Place, secret latchward.Secret) Finding {
	text := string([]byte(secret.Expose()))
	f := Finding{Path: name, Place: at, Secret: latchward.SecretFromText(text)}
	for _, prefix := range s.prefixes() {
		if len(text) == latchward.SecretLength(prefix) && text[:len(prefix)] == prefix {
			f.TokenPrefix = latchward.TokenPrefix(prefix, latchward.KeyID([]byte(text[len(prefix):])))
		}
	}
	return f
}

// Files searches regular files: root itself, or all under it. Links are not followed, and folders named .git are left
// out: [Scanner.History] reads those. found and unread are called one at a time, files in no order. Errors: invalid,
// from Validate; not found, when there is no root; that of ctx.
func (s *Scanner) Files(ctx context.Context, root string, found func(Finding), unread func(Unread)) error {
	if err := s.Validate(); err != nil {
		return err
	}
	if _, err := os.Stat(root); err != nil {
		return latchward.Errorf(latchward.CodeNotFound, "cannot scan %s: %w", root, err)
	}
	w := &walk{Scanner: s, files: make(chan file, 64), found: found, unread: unread}
	var workers sync.WaitGroup
	for range w.jobs() {
		workers.Go(func() { w.read(ctx) })
	}
	w.list(ctx, root)
	close(w.files)
	workers.Wait()
	return ctx.Err()
}

func (s *Scanner) jobs() int {
	if s.Jobs > 0 {
		return s.Jobs
	}
	return runtime.GOMAXPROCS(0)
}

type file struct {
	name string
	size int64
}

// walk is one run of Files.
type walk struct {
	*Scanner
	files       chan file
	done, total atomic.Int64 // bytes

	mu     sync.Mutex // of the functions
	found  func(Finding)
	unread func(Unread)
}

// list sends the files under root.
func (w *walk) list(ctx context.Context, root string) {
	_ = filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return fs.SkipAll
		case err != nil:
			w.skipped(name, err)
			return nil
		case name != root && w.excluded(root, name, entry):
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if name == root || entry.Type().IsRegular() {
			w.add(ctx, name)
		}
		return nil
	})
}

// add sends one file, unless it turns out to be something else.
func (w *walk) add(ctx context.Context, name string) {
	info, err := os.Stat(name) // of what root links to, if it is a link
	if err != nil {
		w.skipped(name, err)
		return
	}
	if !info.Mode().IsRegular() {
		return
	}
	w.total.Add(info.Size())
	select {
	case w.files <- file{name, info.Size()}:
	case <-ctx.Done():
	}
}

func (w *walk) excluded(root, name string, entry fs.DirEntry) bool {
	if entry.IsDir() && entry.Name() == ".git" {
		return true
	}
	under, err := filepath.Rel(root, name)
	if err != nil {
		under = name
	}
	return w.matches(entry.Name()) || w.matches(filepath.ToSlash(under))
}

func (s *Scanner) matches(name string) bool {
	for _, pattern := range s.Exclude {
		if ok, _ := path.Match(pattern, name); ok {
			return true
		}
	}
	return false
}

func (w *walk) skipped(name string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unread(Unread{name, err})
}

// read searches files until there are no more.
func (w *walk) read(ctx context.Context) {
	text := newStream(w.prefixes())
	for f := range w.files {
		if ctx.Err() != nil {
			continue
		}
		if err := w.readFile(text, f.name); err != nil {
			w.skipped(f.name, err)
		}
		if done := w.done.Add(f.size); w.Progress != nil {
			w.Progress(done, w.total.Load())
		}
	}
}

func (w *walk) readFile(text *stream, name string) error {
	from, err := os.Open(name)
	if err != nil {
		return err
	}
	defer from.Close()
	return text.search(from, func(at Place, secret latchward.Secret) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.found(w.finding(name, at, secret))
	})
}
