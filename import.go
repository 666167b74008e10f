package latchward

import (
	"context"
	"strings"
)

// Bounds of imports.
const (
	MaxImportLines      = 1000 // of one batch
	MaxImportNameLength = 128  // bytes
)

// ImportBatch is a part of an import: tokens whose secrets were made elsewhere (B-03).
type ImportBatch struct {
	// Name is that of the import, the same for all its batches: letters, digits and ._:- only. Tokens remember it. A
	// digest of what is imported makes a good one: repeating the import then repeats its name.
	Name   string
	Source string // where the lines come from, such as the name of a file; for people to read; "" = not told
	// OwnPrefix declares that secrets of this import may start with the prefix of our own: strings that start with it
	// and are not ours are looked up from then on.
	OwnPrefix   bool
	DryRun      bool // check only
	StopOnError bool // leave out all lines behind the first that fails
	Lines       []ImportLine
}

// ImportLine is one token to import.
type ImportLine struct {
	Number int64 // in its source, for reports
	Foreign
	Token NewToken // without Owner and RequestKey
	// Owner is the id, e-mail or external id of a user, or group:NAME; "" = whoever acts.
	Owner string
	Err   error // why the line could not be read: it fails with that
}

// ImportStatus says what became of a line.
type ImportStatus string

// The statuses.
const (
	ImportCreated ImportStatus = "created"
	ImportSkipped ImportStatus = "skipped" // a token has this secret already
	ImportFailed  ImportStatus = "failed"
)

// ImportStatuses lists every status.
func ImportStatuses() []ImportStatus {
	return []ImportStatus{ImportCreated, ImportSkipped, ImportFailed}
}

// ImportResult is what became of one line.
type ImportResult struct {
	Line     int64
	Status   ImportStatus
	TokenID  TokenID // that was created, or has the secret already; 0 = none, or a dry run
	Warnings []string
	Err      error // why it failed
}

// ImportTokens imports a batch. Each line succeeds or fails alone; what succeeds is committed together. A secret that a
// token has already makes no other one: importing the same lines again changes nothing, so that an import that was
// interrupted can be repeated. Who may: whoever holds tokens.import, for themselves and their groups; for others who
// holds tokens.create, too; and nobody gives more than they hold (C-09). Errors: invalid, for the batch itself;
// forbidden; unavailable, when it may or may not have been committed: repeat it.
func (s *Service) ImportTokens(ctx context.Context, b ImportBatch) (results []ImportResult, err error) {
	defer s.noteDenial(ctx, PermissionTokensImport, 0, b.Source, &err)
	p, err := tokenActor(ctx, PermissionTokensImport)
	if err == nil && !p.May(PermissionTokensImport) {
		err = lacks(PermissionTokensImport)
	}
	if err != nil {
		return nil, err
	}
	if err := b.validate(); err != nil {
		return nil, err
	}
	i := &importer{service: s, principal: p, batch: &b, now: s.timestamp(), owners: map[string]ownerFound{}}
	if results, err = i.run(ctx); err != nil {
		return nil, err
	}
	s.noteImport(ctx, &b, results)
	return results, nil
}

func (b *ImportBatch) validate() error {
	const plain = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._:-"
	if b.Name == "" || len(b.Name) > MaxImportNameLength {
		return Invalid("import", "must have 1 to %d characters", MaxImportNameLength)
	}
	if strings.Trim(b.Name, plain) != "" {
		return Invalid("import", "must be of letters, digits and ._:- only")
	}
	if len(b.Lines) == 0 || len(b.Lines) > MaxImportLines {
		return Invalid("lines", "must be 1 to %d", MaxImportLines)
	}
	return validateText("source", b.Source, 0, MaxNameLength)
}

// noteImport counts what was created, and records that some of it was denied.
func (s *Service) noteImport(ctx context.Context, b *ImportBatch, results []ImportResult) {
	var denied error
	for i := range results {
		switch {
		case results[i].Status == ImportCreated && !b.DryRun:
			s.counters.created.Add(1)
		case denied == nil && denies(results[i].Err):
			denied = results[i].Err
		}
	}
	s.noteDenial(ctx, PermissionTokensImport, 0, b.Source, &denied)
}
