package leak

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/latchward/latchward"
)

// History searches all that the git repository at a path remembers: every version of every file in every branch, tag
// and stash, also what is no longer reachable, and the messages of commits and tags. Each version is searched once; a
// finding names the first commit that brought it. It runs the program git. Errors: invalid, from Validate;
// not found, when there is no repository; unavailable, when git cannot be run or fails; that of ctx.
func (s *Scanner) History(ctx context.Context, repository string, found func(Finding)) error {
	if err := s.Validate(); err != nil {
		return err
	}
	h := &history{Scanner: s, ctx: ctx, repository: repository}
	if _, err := h.git("rev-parse", "--git-dir"); err != nil {
		return err
	}
	objects, total, err := h.list()
	if err != nil {
		return err
	}
	findings, err := h.search(objects, total)
	if err != nil {
		return err
	}
	for _, f := range findings {
		if err := h.trace(&f); err != nil {
			return err
		}
		found(f.Finding)
	}
	return nil
}

// history is one run of History.
type history struct {
	*Scanner
	ctx        context.Context
	repository string
}

// inObject is a finding in an object of git's.
type inObject struct {
	Finding
	kind, object string
}

// run returns the command that runs git. What a repository configures must not run: it may be anybody's.
func (h *history) run(args ...string) *exec.Cmd {
	safe := []string{"-C", h.repository, "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "--no-pager"}
	command := exec.CommandContext(h.ctx, "git", append(safe, args...)...)
	command.Stderr = &bytes.Buffer{}
	return command
}

// git returns what git prints.
func (h *history) git(args ...string) (string, error) {
	command := h.run(args...)
	out, err := command.Output()
	return string(out), h.failed(command, err)
}

func (h *history) failed(command *exec.Cmd, err error) error {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case h.ctx.Err() != nil:
		return h.ctx.Err()
	case !errors.As(err, &exit):
		return latchward.Errorf(latchward.CodeUnavailable, "cannot run git, which reads the history: %w", err)
	}
	why := strings.TrimSpace(command.Stderr.(*bytes.Buffer).String())
	code := latchward.CodeUnavailable
	if strings.Contains(strings.Join(command.Args, " "), "rev-parse") {
		code = latchward.CodeNotFound
	}
	return latchward.Errorf(code, "cannot read the history of %s: git: %s", h.repository, why)
}

func (h *history) unreadable(format string, args ...any) error {
	args = append([]any{h.repository}, args...)
	return latchward.Errorf(latchward.CodeUnavailable, "cannot read the history of %s: "+format, args...)
}

// list returns the names of all objects that hold text, a line each, and their bytes.
func (h *history) list() (names string, total int64, err error) {
	out, err := h.git("cat-file", "--batch-all-objects", "--unordered",
		"--batch-check=%(objecttype) %(objectname) %(objectsize)")
	if err != nil {
		return "", 0, err
	}
	var list strings.Builder
	for line := range strings.Lines(out) {
		var kind, name string
		var size int64
		if _, err := fmt.Sscan(line, &kind, &name, &size); err != nil {
			return "", 0, h.unreadable("git printed %q", line)
		}
		if kind != "tree" { // trees hold names only
			list.WriteString(name + "\n")
			total += size
		}
	}
	return list.String(), total, nil
}

// search reads the objects, one after the other as git prints them.
func (h *history) search(names string, total int64) (findings []inObject, err error) {
	command := h.run("cat-file", "--batch", "--buffer")
	command.Stdin = strings.NewReader(names)
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, h.failed(command, err)
	}
	findings, err = h.searchObjects(bufio.NewReaderSize(out, bufferSize), total)
	if err != nil {
		_ = command.Process.Kill()
	}
	if waited := h.failed(command, command.Wait()); err == nil {
		err = waited
	}
	return findings, err
}

func (h *history) searchObjects(out *bufio.Reader, total int64) (findings []inObject, err error) {
	text := newStream(h.prefixes())
	for done := int64(0); ; {
		header, err := out.ReadString('\n')
		if errors.Is(err, io.EOF) && header == "" {
			return findings, nil
		}
		var object, kind string
		var size int64
		if _, err := fmt.Sscan(header, &object, &kind, &size); err != nil {
			return nil, h.unreadable("git printed %q", header)
		}
		content := io.LimitReader(out, size)
		err = text.search(content, func(at Place, secret latchward.Secret) {
			findings = append(findings, inObject{h.finding("", at, secret), kind, object})
		})
		if err == nil {
			_, err = io.Copy(io.Discard, content) // what a byte order mark's encoding did not want to read
		}
		if err == nil {
			_, err = out.Discard(len("\n"))
		}
		if err != nil {
			return nil, h.unreadable("%w", err)
		}
		if done += size; h.Progress != nil {
			h.Progress(done, total)
		}
	}
}

// trace finds out which commit brought an object, and under which name.
func (h *history) trace(f *inObject) error {
	switch f.kind {
	case "commit":
		f.Commit = f.object
		return nil
	case "tag":
		return nil
	}
	out, err := h.git("log", "--all", "--reflog", "--topo-order", "--reverse", "--no-ext-diff", "--no-textconv",
		"--no-renames", "-m", "--name-only", "-z", "--format=commit %H", "--find-object="+f.object)
	if err != nil {
		return err
	}
	f.Commit, f.Path = firstChange(out)
	return nil
}

// firstChange reads "commit HASH", then names, each ended by a zero byte, where git puts a line end before the first.
func firstChange(log string) (commit, name string) {
	for part := range strings.SplitSeq(log, "\x00") {
		part = strings.TrimLeft(part, "\n")
		if hash, ok := strings.CutPrefix(part, "commit "); ok && commit == "" {
			commit = hash
		} else if part != "" && commit != "" {
			return commit, part
		}
	}
	return commit, ""
}
