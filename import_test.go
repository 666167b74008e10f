package latchward_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/latchward/latchward"
)

func rawLine(n int) latchward.ImportLine {
	return latchward.ImportLine{Foreign: latchward.Foreign{Value: latchward.SecretFromText(foreignText(n))}}
}

func statuses(results []latchward.ImportResult) string {
	var all []string
	for _, result := range results {
		all = append(all, string(result.Status))
	}
	return strings.Join(all, " ")
}

// B-03: importing again makes nothing twice, whatever has become of the token meanwhile; only deleting it forgets it.
func TestImportingAgainChangesNothing(t *testing.T) {
	lines := func() []latchward.ImportLine {
		return []latchward.ImportLine{
			rawLine(1), digestLine("", sha(foreignText(2)), "", ""), digestLine("", slowDigest(foreignText(3)), "", "acme"),
			digestLine("", sha(foreignText(1)), "", ""), // the first again, by its digest
		}
	}
	f := newFixture(t, withSlow(&plainDigests{}))
	first := f.imported(t, lines()...)
	if got := statuses(first); got != "created created created skipped" || first[3].TokenID != first[0].TokenID {
		t.Fatal(got, first)
	}
	for what, change := range map[string]func(id latchward.TokenID){
		"used": func(latchward.TokenID) { f.reason(t, latchward.SecretFromText(foreignText(3))) },
		"rotated": func(id latchward.TokenID) {
			must[latchward.IssuedToken](t)(f.RotateToken(f.ctx, id, latchward.Rotation{}))
		},
		"revoked": func(id latchward.TokenID) {
			must[*latchward.Token](t)(f.RevokeToken(f.ctx, id, latchward.Revocation{}))
		},
	} {
		for _, result := range first[:3] {
			if token := must[*latchward.Token](t)(f.Token(f.ctx, result.TokenID)); !token.Revoked() {
				change(result.TokenID)
			}
		}
		again := f.imported(t, lines()...)
		if got := statuses(again); got != "skipped skipped skipped skipped" || again[2].TokenID != first[2].TokenID {
			t.Errorf("%s: %s", what, got)
		}
	}
	f.must(t, f.DeleteToken(f.ctx, first[2].TokenID), "")
	if got := statuses(f.imported(t, lines()...)); got != "skipped skipped created skipped" {
		t.Errorf("deleted: %s", got)
	}
}

// Candidates cost something, so there are few of them: a prefix that too many secrets share is no good, nor are prefixes
// of too many lengths.
func TestLookupPrefixesAreFew(t *testing.T) {
	f := newFixture(t, withSlow(&plainDigests{}))
	var lines []latchward.ImportLine
	for n := range latchward.MaxSamePrefix + 1 {
		lines = append(lines, digestLine("", slowDigest(foreignText(n)), "", "acme-"))
	}
	for length := 6; length < 11; length++ {
		lines = append(lines, digestLine("", slowDigest(foreignText(length+20)), "", foreignText(length + 20)[:length]))
	}
	results := f.imported(t, lines...)
	for i, want := range map[int]latchward.Code{7: "", 8: "conflict", 9: "", 10: "", 11: "", 12: "conflict", 13: "conflict"} {
		if got := latchward.ErrorCode(results[i].Err); got != want || want != "" && latchward.ErrorField(results[i].Err) != "lookup_prefix" {
			t.Errorf("line %d: %v, want %q", i, results[i].Err, want)
		}
	}
	for n := range latchward.MaxSamePrefix { // all of them are found
		if got := f.reason(t, latchward.SecretFromText(foreignText(n))); got != latchward.ReasonAllowed {
			t.Errorf("secret %d of those with one prefix: %s", n, got)
		}
	}
}

// B-16: one entry for each batch that changed something, in its transaction; none that tells a secret or a digest.
func TestImportsAreAudited(t *testing.T) {
	f := newFixture(t, nil)
	f.mustImport(t, rawLine(1), digestLine("", sha(foreignText(2)), "", ""))
	f.imported(t, rawLine(1), rawLine(2))
	entries := f.entries(t, latchward.AuditFilter{Action: latchward.ActionTokenImport})
	if len(entries) != 1 || entries[0].TargetName != "test.csv" {
		t.Fatalf("%d entries", len(entries))
	}
	text := fmt.Sprint(entries[0].After)
	for _, want := range []string{"import:test", "created:2", "lines:1-2", "tokens:1-2"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
	for n := range 3 {
		if strings.Contains(text, foreignText(n)) || strings.Contains(text, sha(foreignText(n))) {
			t.Errorf("a secret is in %s", text)
		}
	}
}

// fragile is a store whose transactions fail when they save a token of one name.
type fragile struct {
	latchward.Store
	name string
	err  error
}

type fragileTx struct {
	latchward.Tx
	store *fragile
}

func (s *fragile) Tx(ctx context.Context, f func(tx latchward.Tx) error) (latchward.Commit, error) {
	return s.Store.Tx(ctx, func(tx latchward.Tx) error { return f(&fragileTx{tx, s}) })
}

func (tx *fragileTx) SaveToken(t *latchward.Token) error {
	err := tx.Tx.SaveToken(t)
	if err == nil && t.Name == tx.store.name {
		return tx.store.err
	}
	return err
}

// A line that the database does not take fails alone, and a database that does not answer fails the batch.
func TestImportSurvivesOneLine(t *testing.T) {
	store := &fragile{name: "poison"}
	f := newFixture(t, func(o *latchward.Options) { store.Store, o.Store = o.Store, store })
	batch := func() latchward.ImportBatch {
		b := latchward.ImportBatch{Name: "test"}
		for n, name := range []string{"one", "poison", "three"} {
			line := rawLine(n)
			line.Number, line.Token.Name, line.Owner = int64(n), name, fmt.Sprint(f.owner)
			b.Lines = append(b.Lines, line)
		}
		return b
	}
	store.err = latchward.Errorf(latchward.CodeUnavailable, "gone")
	if _, err := f.ImportTokens(f.ctx, batch()); latchward.ErrorCode(err) != latchward.CodeUnavailable {
		t.Errorf("a database that does not answer: %v", err)
	}
	if got := f.reason(t, latchward.SecretFromText(foreignText(0))); got != latchward.ReasonMalformed {
		t.Errorf("after a batch that failed: %s", got)
	}
	store.err = errors.New("broken")
	results, err := f.ImportTokens(f.ctx, batch())
	if err != nil || statuses(results) != "created failed created" {
		t.Errorf("%s, %v", statuses(results), err)
	}
	stopping := batch()
	stopping.StopOnError = true
	if results, err := f.ImportTokens(f.ctx, stopping); err != nil || statuses(results) != "skipped failed" {
		t.Errorf("stopping: %s, %v", statuses(results), err)
	}
	for n, want := range []latchward.Reason{latchward.ReasonAllowed, latchward.ReasonNotFound, latchward.ReasonAllowed} {
		if got := f.reason(t, latchward.SecretFromText(foreignText(n))); got != want {
			t.Errorf("secret %d: %s, want %s", n, got, want)
		}
	}
}

// Whoever found an imported secret can end its token, and its holder may ask about it, like any other (B-05).
func TestImportedSecretsAreHeld(t *testing.T) {
	f := newFixture(t, withSlow(&plainDigests{}))
	ids := f.mustImport(t, digestLine("", sha(foreignText(1)), "", "acme-0001"), digestLine("", slowDigest(foreignText(2)), "", "acme-0002"))
	for n, id := range ids {
		presented := latchward.Presented{Secret: latchward.SecretFromText(foreignText(n + 1))}
		held, v, err := f.HeldToken(f.ctx, presented)
		if err != nil || !v.Allowed() || held.ID != id || held.Prefix != foreignText(n + 1)[:9] {
			t.Errorf("held: %+v, %s, %v", held, v.Reason, err)
		}
		f.must(t, f.RevokeHeld(f.ctx, presented), "")
		if token := must[*latchward.Token](t)(f.Token(f.ctx, id)); !token.Revoked() {
			t.Errorf("token %d lives", id)
		}
		if got := f.reason(t, presented.Secret); got != latchward.ReasonRevoked {
			t.Errorf("its secret: %s", got)
		}
	}
	f.must(t, f.RevokeHeld(f.ctx, latchward.Presented{Secret: latchward.SecretFromText(foreignText(3))}), "")
}
