package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/leak"
	"github.com/latchward/latchward/rest"
)

type scanCommand struct {
	Paths   []string `arg:"" optional:"" help:"Files and folders to search; - is the standard input (default: the working directory)." placeholder:"PATH"`
	History bool     `help:"Search all that the git repositories at these paths remember, instead of the files that are there now."`
	Prefix  []string `help:"Prefix of the secrets; may be given more than once (default lw_)." placeholder:"PREFIX"`
	Exclude []string `help:"Leave out files and folders whose name or path under PATH matches, as in *.min.js or vendor." placeholder:"PATTERN"`
	Revoke  bool     `help:"Revoke the tokens whose secrets are found, at --server or in the data folder."`
	Jobs    int      `help:"How many files to read at a time (default: one per processor)." placeholder:"N"`
}

// Help implements kong.HelpProvider.
func (scanCommand) Help() string {
	return `Finds what has the prefix, the shape and the checksum of a secret. Without --revoke nothing is asked of a server and
nothing is sent anywhere. Lines that hold "` + leak.AllowMark + `" are left out. Exits with 1 if a secret was found or a file could not be read.

Examples:
  latchward scan
  latchward scan --history
  latchward scan src deploy --exclude '*.min.js' --exclude node_modules
  git diff --cached | latchward scan -
  latchward scan --history --revoke --server https://api.example.com`
}

func (c *scanCommand) Run(ctx context.Context, s *session) error {
	ctx, stop := untilSignal(ctx)
	defer stop()
	bar := newProgress(s.err, megabytes)
	run := &scanRun{scanner: &leak.Scanner{
		Prefixes: c.Prefix, Exclude: c.Exclude, Jobs: c.Jobs, Progress: bar.set,
	}}
	if len(c.Paths) == 0 {
		c.Paths = []string{"."}
	}
	for _, path := range c.Paths {
		if err := run.scan(ctx, s, path, c.History); err != nil {
			bar.end()
			return err
		}
	}
	bar.end()
	if c.Revoke {
		if err := run.revoke(ctx, s); err != nil {
			return err
		}
	}
	return run.report(s)
}

// scanRun gathers what a scan finds.
type scanRun struct {
	scanner *leak.Scanner
	found   []leak.Finding
	unread  []leak.Unread
}

func (r *scanRun) scan(ctx context.Context, s *session, path string, history bool) error {
	found := func(f leak.Finding) { r.found = append(r.found, f) }
	switch {
	case path == "-" && history:
		return latchward.Invalid("--history", "the standard input has no history")
	case path == "-":
		return r.scanner.Text("-", s.in, found)
	case history:
		return r.scanner.History(ctx, path, found)
	default:
		return r.scanner.Files(ctx, path, found, func(u leak.Unread) { r.unread = append(r.unread, u) })
	}
}

// revoke revokes each secret that was found, once. The server never tells whether there was such a token.
func (r *scanRun) revoke(ctx context.Context, s *session) error {
	if len(r.found) == 0 {
		return nil
	}
	return s.with(ctx, func(client *rest.Client) error {
		sent := map[string]bool{}
		for _, f := range r.found {
			if sent[f.Secret.Expose()] {
				continue
			}
			sent[f.Secret.Expose()] = true
			if _, err := client.RevokeHeld(ctx, f.Secret); err != nil {
				return err
			}
		}
		_, err := fmt.Fprintf(s.err, "latchward: %d secrets sent to be revoked\n", len(sent))
		return err
	})
}

// foundSecret is how a finding is printed: without the secret.
type foundSecret struct {
	Path        string `json:"path"`
	Line        int    `json:"line"`
	Column      int    `json:"column"`
	Commit      string `json:"commit,omitempty"`
	TokenPrefix string `json:"token_prefix"`
}

// report prints what was found, in the order of the places. The error says how much that is.
func (r *scanRun) report(s *session) error {
	slices.SortFunc(r.found, func(a, b leak.Finding) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Commit, b.Commit), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	list := []foundSecret{}
	t := table{header: []string{"WHERE", "COMMIT", "SECRET"}}
	for _, f := range r.found {
		list = append(list, foundSecret{f.Path, f.Line, f.Column, f.Commit, f.TokenPrefix})
		t.add(cmp.Or(f.Path, "message")+":"+strconv.Itoa(f.Line)+":"+strconv.Itoa(f.Column),
			cmp.Or(f.Commit[:min(len(f.Commit), 12)], "-"), f.TokenPrefix+"...")
	}
	if len(list) > 0 || s.cli.Output == "json" {
		if err := s.print(list, t); err != nil {
			return err
		}
	}
	for _, u := range r.unread {
		fmt.Fprintf(s.err, "latchward: not read: %v\n", u.Err)
	}
	switch {
	case len(list) > 0:
		return fmt.Errorf("%d secrets found: rotate or revoke them, then remove them from where they are", len(list))
	case len(r.unread) > 0:
		return fmt.Errorf("no secret found, but %d files could not be read", len(r.unread))
	}
	if s.cli.Output == "json" {
		return nil
	}
	_, err := fmt.Fprintln(s.out, "no secret found")
	return err
}
