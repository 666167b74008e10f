package latchward

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// importer imports one batch.
type importer struct {
	service   *Service
	principal Principal
	batch     *ImportBatch
	now       time.Time
	owners    map[string]ownerFound
	prepared  []preparedLine
	known     *foreignForms // before the batch
}

type ownerFound struct {
	owner *Owner
	err   error
}

// preparedLine is a line that was checked against everything but the database.
type preparedLine struct {
	*ImportLine
	token   *Token
	foreign *foreign
	notes   []string // what there is to say about the token
	err     error
}

// errDryRun takes back what a dry run did.
var errDryRun = errors.New("dry run")

func (i *importer) run(ctx context.Context) ([]ImportResult, error) {
	var err error
	if i.known, err = i.service.cache.foreign.known(ctx); err != nil {
		return nil, err
	}
	for n := range i.batch.Lines {
		line, err := i.prepare(ctx, &i.batch.Lines[n])
		if code := ErrorCode(err); code == CodeUnavailable || code == CodeInternal {
			return nil, err
		}
		line.err = err
		i.prepared = append(i.prepared, line)
	}
	results, err := i.commit(ctx, i.prepared)
	if code := ErrorCode(err); code == "" || code == CodeUnavailable || len(i.prepared) == 1 || ctx.Err() != nil {
		return results, err
	}
	return i.oneByOne(ctx)
}

// oneByOne is for a batch that the database refused as a whole: a line that it does not take fails alone.
func (i *importer) oneByOne(ctx context.Context) (results []ImportResult, err error) {
	for n := range i.prepared {
		part, err := i.commit(ctx, i.prepared[n:n+1])
		switch code := ErrorCode(err); {
		case code == CodeUnavailable || ctx.Err() != nil:
			return nil, err
		case err != nil:
			part = []ImportResult{{Line: i.prepared[n].Number, Status: ImportFailed, Err: err}}
		}
		results = append(results, part...)
		if i.batch.StopOnError && part[0].Status == ImportFailed {
			break
		}
	}
	return results, nil
}

// prepare checks what can be checked without a transaction.
func (i *importer) prepare(ctx context.Context, line *ImportLine) (preparedLine, error) {
	l := preparedLine{ImportLine: line}
	if line.Err != nil {
		return l, line.Err
	}
	var err error
	if l.foreign, err = line.check(i.service.options.SlowDigests); err != nil {
		return l, err
	}
	own := i.service.prefix
	if !i.batch.OwnPrefix && (strings.HasPrefix(line.Value.Expose(), own) || strings.HasPrefix(line.LookupPrefix, own)) {
		return l, Invalid("token", "begins with %s, like the secrets of this server: such strings are never looked up, "+
			"unless the import declares the prefix", own)
	}
	asked := line.Token
	if asked.Owner, err = i.owner(ctx, line.Owner); err != nil {
		return l, err
	}
	l.token, err = i.service.newToken(ctx, i.principal, asked, i.now)
	return l, err
}

// owner returns the owner whom a text names. Who may not create tokens for others learns nothing about others.
func (i *importer) owner(ctx context.Context, text string) (*Owner, error) {
	text = strings.TrimSpace(text)
	found, ok := i.owners[text]
	if !ok {
		found.owner, found.err = i.findOwner(ctx, text)
		if code := ErrorCode(found.err); text != "" && (code == CodeNotFound || code == CodeInvalid) {
			found.err = Invalid("owner", "there is no such user or group")
			if !i.principal.May(PermissionTokensCreate) {
				found.err = forOthers()
			}
		}
		i.owners[text] = found
	}
	return found.owner, found.err
}

func (i *importer) findOwner(ctx context.Context, text string) (*Owner, error) {
	store := i.service.store
	if text == "" {
		owner, err := i.service.ownerFor(ctx, i.principal, nil)
		return &owner, err
	}
	if group, ok := strings.CutPrefix(text, "group:"); ok {
		return i.findGroup(ctx, group)
	}
	if id, err := strconv.ParseInt(strings.TrimPrefix(text, "user:"), 10, 64); err == nil {
		return &Owner{Type: OwnerUser, ID: id}, nil
	}
	find := store.UserByExternalID
	if strings.Contains(text, "@") {
		find = store.UserByEmail
	}
	user, err := find(ctx, text)
	if err != nil {
		return nil, err
	}
	return &Owner{Type: OwnerUser, ID: int64(user.ID)}, nil
}

func (i *importer) findGroup(ctx context.Context, text string) (*Owner, error) {
	if id, err := strconv.ParseInt(text, 10, 64); err == nil {
		return &Owner{Type: OwnerGroup, ID: id}, nil
	}
	found, err := i.service.Find(ctx, "", text, "")
	if ErrorCode(err) == CodeInvalid {
		err = Invalid("owner", "there is no such user or group")
	}
	return &Owner{Type: OwnerGroup, ID: int64(found.Group)}, err
}

// commit imports lines in one transaction, with one audit entry.
func (i *importer) commit(ctx context.Context, lines []preparedLine) (results []ImportResult, err error) {
	err = i.service.tx(ctx, func(tx Tx) error {
		results = nil // f may run twice
		part := importPart{importer: i, tx: tx, forms: map[string]bool{}}
		for n := range lines {
			result, err := part.add(&lines[n])
			if err != nil {
				return err
			}
			if results = append(results, result); result.Status == ImportFailed && i.batch.StopOnError {
				break
			}
		}
		if i.batch.DryRun {
			return errDryRun
		}
		return part.finish(results)
	})
	if errors.Is(err, errDryRun) {
		for n := range results {
			if results[n].Status == ImportCreated {
				results[n].TokenID = 0
			}
		}
		err = nil
	}
	return results, err
}

// importPart is one transaction of an import.
type importPart struct {
	*importer
	tx    Tx
	forms map[string]bool
}

// add imports a line. An error means that the transaction is lost.
func (p *importPart) add(l *preparedLine) (ImportResult, error) {
	result := ImportResult{Line: l.Number, Status: ImportFailed, Err: l.err}
	if l.err != nil {
		return result, nil
	}
	id, err := p.tx.TokenOfSecret(p.keyIDs(l.foreign))
	switch {
	case err == nil:
		return ImportResult{Line: l.Number, Status: ImportSkipped, TokenID: id}, nil
	case ErrorCode(err) != CodeNotFound:
		return result, err
	}
	t, err := p.issue(l)
	switch ErrorCode(err) {
	case "":
		return ImportResult{
			Line: l.Number, Status: ImportCreated, TokenID: t.ID, Warnings: append(l.notes, warnings(t, p.now)...),
		}, nil
	case CodeInvalid, CodeForbidden, CodeConflict: // found before anything was written
		result.Err = err
		return result, nil
	}
	return result, err
}

// keyIDs returns those that the secret has if it was imported before, under whichever server key.
func (p *importPart) keyIDs(f *foreign) []KeyID {
	keys := p.service.keys.Load()
	ids := []KeyID{f.credential(keys.key(keys.Current())).KeyID}
	for _, version := range keys.Versions() {
		if !version.Current {
			ids = append(ids, f.credential(keys.key(version.Version)).KeyID)
		}
	}
	return ids
}

// issue makes the token of a line.
func (p *importPart) issue(l *preparedLine) (*Token, error) {
	form, err := p.form(l.foreign)
	if err != nil {
		return nil, err
	}
	keys, t := p.service.keys.Load(), l.token.Clone()
	t.Secret, t.Prefix, t.Imported = l.foreign.credential(keys.key(keys.Current())), l.foreign.prefix, p.batch.Name
	notes, err := p.service.issue(p.tx, p.principal, t, &l.Token)
	if err != nil {
		return nil, err
	}
	l.notes = notes
	p.forms[form] = true
	if l.foreign.algorithm.fast() {
		return t, nil
	}
	secret := ForeignSecret{KeyID: t.Secret.KeyID, TokenID: t.ID, LookupPrefix: l.foreign.prefix}
	if err := l.foreign.tried.seal(p.service.random, keys, &secret); err != nil {
		return nil, err
	}
	if err := p.tx.SaveForeignSecret(secret); err != nil {
		return nil, &Error{Code: CodeInternal, Message: "An imported secret could not be saved.", Err: err}
	}
	return t, nil
}

// form returns in which way a secret will be found. There must not be too many of those that cost something.
func (p *importPart) form(f *foreign) (string, error) {
	if f.algorithm.fast() {
		return fastForm{f.algorithm, p.service.keys.Load().Current()}.String(), nil
	}
	form := lookupForm(len(f.prefix))
	lengths := map[string]bool{form: true}
	for _, length := range p.known.lookups {
		lengths[lookupForm(length)] = true
	}
	for known := range p.forms {
		if strings.HasPrefix(known, formLookup) {
			lengths[known] = true
		}
	}
	if len(lengths) > MaxLookupLengths {
		return "", &Error{Code: CodeConflict, Field: "lookup_prefix", Message: fmt.Sprintf(
			"lookup prefixes have %d different lengths already; cut them to one of those", MaxLookupLengths)}
	}
	n, err := p.tx.CountForeignSecrets(f.prefix)
	if err == nil && n >= MaxSamePrefix {
		err = &Error{Code: CodeConflict, Field: "lookup_prefix", Message: fmt.Sprintf(
			"%d secrets begin like this already: give more of their characters", MaxSamePrefix)}
	}
	return form, err
}

// finish saves what the lines have in common, if there are new tokens.
func (p *importPart) finish(results []ImportResult) error {
	counts, first, last := map[ImportStatus]int{}, TokenID(0), TokenID(0)
	for _, result := range results {
		if counts[result.Status]++; result.Status == ImportCreated {
			first, last = orDefault(first, result.TokenID), result.TokenID
		}
	}
	if counts[ImportCreated] == 0 {
		return nil
	}
	if p.batch.OwnPrefix {
		p.forms[formOwn] = true
	}
	for form := range p.forms {
		if err := p.tx.SaveForeignForm(form); err != nil {
			return err
		}
	}
	return p.tx.AppendAudit(&AuditEntry{
		At: p.now, Actor: p.principal, Action: ActionTokenImport, TargetType: "token", TargetName: p.batch.Source,
		After: map[string]any{
			"import": p.batch.Name, "own_prefix": p.batch.OwnPrefix,
			"lines":   fmt.Sprintf("%d-%d", results[0].Line, results[len(results)-1].Line),
			"created": counts[ImportCreated], "skipped": counts[ImportSkipped], "failed": counts[ImportFailed],
			"tokens": fmt.Sprintf("%d-%d", first, last),
		},
	})
}
