//go:build !race

package sqlite

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
)

// bar 70: a byte of the file that was flipped never lets a revoked token in, never panics, and where SQLite notices it,
// opening says which file it is and what to do, and reading returns code unavailable.
func TestDamagedPages(t *testing.T) {
	path, tokens := newPath(t), 100
	s := open(t, path, Options{})
	owner := addUser(t, s)
	for n := range tokens {
		token := newToken(owner, n)
		token.RevokedAt = time.UnixMilli(1_700_000_000_000)
		if err := save(s, token); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pageSize := int(binary.BigEndian.Uint16(sound[16:]))
	random, refused, noticed := rand.New(latchtest.Seeded(70)), 0, 0
	for round := range latchtest.Scale(20_000, 200) {
		at := random.IntN(len(sound)/pageSize)*pageSize + random.IntN(pageSize)
		if round%4 == 0 { // where a page says what it holds
			at = at / pageSize * pageSize
			at += random.IntN(16)
		}
		damaged := append([]byte{}, sound...)
		damaged[at] ^= byte(1 + random.IntN(255))
		write(t, path, damaged)
		if err := errors.Join(os.RemoveAll(path+"-wal"), os.RemoveAll(path+"-shm")); err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), path, Options{})
		if err != nil {
			refused++
			if code := latchward.ErrorCode(err); code != latchward.CodeUnavailable && code != latchward.CodeConflict ||
				!strings.Contains(latchward.ErrorMessage(err), path) {
				t.Errorf("byte %d flipped: opening returned %v", at, err)
			}
			continue
		}
		noticed += checkNobodyIn(t, s, at, tokens)
		_ = s.Close() // of a damaged file this may fail
	}
	t.Logf("opening was refused %d times, reading %d times", refused, noticed)
	if refused == 0 || noticed == 0 {
		t.Error("no damage was noticed: this test sees nothing")
	}
}

// checkNobodyIn checks that none of the tokens, which all are revoked, is let in, and returns how many reads failed.
func checkNobodyIn(t *testing.T, s *Store, at, tokens int) (failures int) {
	t.Helper()
	for n := range tokens {
		facts, err := s.TokenFacts(t.Context(), credential(n).KeyID)
		switch {
		case err == nil && facts.Digest == credential(n).Digest && !facts.Token.Revoked():
			t.Errorf("byte %d flipped: token %d is not revoked any more", at, n)
		case err != nil && latchward.ErrorCode(err) != latchward.CodeNotFound:
			failures++
			if code := latchward.ErrorCode(err); code != latchward.CodeUnavailable && code != latchward.CodeInternal && code != "" {
				t.Errorf("byte %d flipped: reading returned %v", at, err)
			}
		}
	}
	return failures
}
