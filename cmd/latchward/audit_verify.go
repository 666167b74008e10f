package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

type auditVerify struct {
	Anchor []string `help:"A log of Latchward's, a line of one, or an anchor itself: the audit log must still hold what it says. - reads the standard input." placeholder:"FILE|TEXT" sep:"none"`
}

// mostAnchors is how many anchors are compared at a time, the newest: each vouches for all entries before it.
const mostAnchors = 1000

// Run fails when the log is not as it was written.
func (c *auditVerify) Run(ctx context.Context, s *session) error {
	anchors, err := readAnchors(c.Anchor)
	if err != nil {
		return err
	}
	return s.with(ctx, func(client *rest.Client) error {
		report, err := client.VerifyAudit(ctx, rest.AuditCheck{Anchors: anchors})
		if err != nil {
			return err
		}
		if err := s.print(report, reportTable(&report)); err != nil {
			return err
		}
		if report.Bad != nil {
			return fmt.Errorf("the audit log is not as it was written: entry %d: %s", report.Bad.ID, report.Bad.Problem)
		}
		return nil
	})
}

func reportTable(r *rest.AuditReport) table {
	t := table{header: []string{"AUDIT LOG", "INTACT"}}
	if r.Bad != nil {
		t.header[1] = "NOT INTACT"
		t.add("first bad entry", number(r.Bad.ID))
		t.add("what is wrong", r.Bad.Problem)
	}
	t.add("entries in order", number(r.Entries))
	t.add("of people removed", number(r.Erased))
	t.add("anchors compared", number(int64(r.Anchors)))
	if r.Unproven > 0 {
		t.add("newest without a seal that can be checked", number(r.Unproven))
	}
	if r.Anchor != nil {
		t.add("anchor to keep elsewhere", *r.Anchor)
	}
	return t
}

// readAnchors returns the anchors in files and texts, the newest last.
func readAnchors(from []string) ([]string, error) {
	var anchors []latchward.AuditAnchor
	for _, arg := range from {
		found := latchward.AuditAnchors([]byte(arg))
		if len(found) == 0 {
			var err error
			if found, err = anchorsInFile(arg); err != nil {
				return nil, err
			}
		}
		if len(found) == 0 {
			return nil, latchward.Invalid("--anchor", "there is no anchor in %q; those of a log look like audit-anchor:…", arg)
		}
		anchors = append(anchors, found...)
	}
	slices.SortFunc(anchors, func(a, b latchward.AuditAnchor) int { return cmp.Compare(a.ID, b.ID) })
	var texts []string
	for _, a := range anchors[max(0, len(anchors)-mostAnchors):] {
		texts = append(texts, a.String())
	}
	return texts, nil
}

// anchorsInFile reads a log line by line: it may be large.
func anchorsInFile(name string) (anchors []latchward.AuditAnchor, err error) {
	var from io.Reader = os.Stdin
	if name != "-" {
		file, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, latchward.Invalid("--anchor", "%q is neither an anchor nor a file", name)
		}
		if err != nil {
			return nil, latchward.Invalid("--anchor", "%v", err)
		}
		defer file.Close()
		from = file
	}
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		anchors = append(anchors, latchward.AuditAnchors(lines.Bytes())...)
		if len(anchors) > 2*mostAnchors { // a log has the oldest first
			anchors = slices.Delete(anchors, 0, len(anchors)-mostAnchors)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, latchward.Invalid("--anchor", "reading %q: %v", name, err)
	}
	return anchors, nil
}
