package sqlite

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/latchward/latchward"
)

// bar 68: on a full disk changes are refused and never acknowledged, reading goes on, and all is well again without a
// restart when there is space.
func TestFullDisk(t *testing.T) {
	s := open(t, newPath(t), Options{})
	owner := addUser(t, s)
	known := addToken(t, s, owner, 0)
	setMaxPages(t, s, pages(t, s)+8)
	saved, err := fillUp(t, s, owner)
	if latchward.ErrorCode(err) != latchward.CodeUnavailable || !strings.Contains(latchward.ErrorMessage(err), "full") {
		t.Fatalf("on a full disk Tx returned %v, want code unavailable and a word about space", err)
	}
	for n := range 3 { // nothing that was refused is there, and asking again does not help
		if token := newToken(owner, saved+1+n); save(s, token) == nil {
			t.Errorf("a change was acknowledged on a full disk")
		}
		_, err := s.TokenFacts(t.Context(), credential(saved+1+n).KeyID)
		if latchward.ErrorCode(err) != latchward.CodeNotFound {
			t.Errorf("a refused token is there: %v", err)
		}
	}
	if _, err := s.TokenFacts(t.Context(), known.Secret.KeyID); err != nil {
		t.Errorf("reading on a full disk returned %v", err)
	}
	setMaxPages(t, s, 1<<30)
	if err := save(s, newToken(owner, saved+1)); err != nil {
		t.Errorf("with space again Tx returned %v", err)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("with space again Ping returned %v", err)
	}
	if count, err := s.CountTokens(t.Context(), latchward.TokenFilter{}); err != nil || count != int64(saved)+2 {
		t.Errorf("%d tokens are there, error %v, want the %d that were acknowledged", count, err, saved+2)
	}
}

// fillUp saves tokens until there is no space, and returns how many.
func fillUp(t *testing.T, s *Store, owner *latchward.User) (saved int, err error) {
	t.Helper()
	for saved < 1000 {
		if err := save(s, newToken(owner, saved+1)); err != nil {
			return saved, err
		}
		saved++
	}
	t.Fatalf("a thousand tokens fit into eight pages")
	return 0, nil
}

func save(s *Store, token *latchward.Token) error {
	token.Description = strings.Repeat("x", 1000)
	_, err := s.Tx(context.Background(), func(tx latchward.Tx) error { return tx.SaveToken(token) })
	return err
}

// setMaxPages makes SQLite take the disk to be full beyond that many pages.
func setMaxPages(t *testing.T, s *Store, most int) {
	t.Helper()
	if _, err := s.writer.conn.ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", most)); err != nil {
		t.Fatal(err)
	}
}

func pages(t *testing.T, s *Store) (count int) {
	t.Helper()
	if err := s.writer.conn.QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&count); err != nil {
		t.Fatal(err)
	}
	return count
}
