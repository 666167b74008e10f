package sqlite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
)

// bar 133: backups made while others write are whole, hold exactly what was committed up to one change, and are for
// this user alone whatever the umask.
func TestBackupUnderLoad(t *testing.T) {
	defer unix.Umask(unix.Umask(0)) // bar 72
	path := newPath(t)
	s := open(t, path, Options{})
	owner := addUser(t, s)
	stop := pairsUnderLoad(t, s, owner)
	folder := t.TempDir()
	backups := map[string]Backed{}
	for i := range latchtest.Scale(100, 20) {
		to := filepath.Join(folder, strconv.Itoa(i))
		backed, err := Backup(t.Context(), path, to, nil)
		if err != nil {
			t.Fatal(err)
		}
		backups[to] = backed
	}
	commits := stop()
	for to, backed := range backups {
		checkPrefix(t, to, backed, commits)
	}
	if left, err := filepath.Glob(filepath.Join(folder, "*.part-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, error %v", left, err)
	}
}

// pairsUnderLoad saves two tokens in each of many transactions until stop is called, which says behind which change
// each pair was committed, by the names of its tokens. It writes at a pace: what was written is compared with each backup.
func pairsUnderLoad(t *testing.T, s *Store, owner *latchward.User) (stop func() map[uint64]string) {
	var mu sync.Mutex
	var next atomic.Int64
	var group sync.WaitGroup
	commits := map[uint64]string{}
	ctx, cancel := context.WithCancel(t.Context())
	started := make(chan struct{}, 4)
	pace := time.NewTicker(time.Second / time.Duration(latchtest.Scale(1000, 100)))
	for range 2 {
		group.Go(func() {
			for first := true; ctx.Err() == nil; first = false {
				<-pace.C
				pair := int(next.Add(1))
				name := "pair " + strconv.Itoa(pair)
				commit, err := s.Tx(context.WithoutCancel(ctx), func(tx latchward.Tx) error {
					one, two := newToken(owner, 2*pair), newToken(owner, 2*pair+1)
					one.Name, two.Name = name, name
					return errors.Join(tx.SaveToken(one), tx.SaveToken(two))
				})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				commits[commit.Position.N] = name
				mu.Unlock()
				if first {
					started <- struct{}{}
				}
			}
		})
	}
	for range 2 {
		<-started
	}
	return func() map[uint64]string { cancel(); group.Wait(); pace.Stop(); return commits }
}

func checkPrefix(t *testing.T, to string, backed Backed, commits map[uint64]string) {
	t.Helper()
	if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o600 || info.Size() != backed.Bytes {
		t.Errorf("%s: mode %v, error %v", to, info.Mode(), err)
	}
	if seen, err := inspect(t.Context(), to); err != nil || seen != backed {
		t.Errorf("%s holds %+v, error %v; said was %+v", to, seen, err, backed)
	}
	want := map[string]int{}
	for position, name := range commits {
		if position <= backed.Position {
			want[name] = 2
		}
	}
	s := open(t, to, Options{})
	tokens, err := s.Tokens(t.Context(), latchward.TokenFilter{Limit: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range tokens {
		want[token.Name]--
	}
	for name, n := range want {
		if n != 0 {
			t.Fatalf("%s, up to change %d: %q differs by %d tokens", to, backed.Position, name, n)
		}
	}
	if backed.Tokens != int64(len(tokens)) || len(tokens) == 0 {
		t.Errorf("%d tokens, said were %d", len(tokens), backed.Tokens)
	}
}

// bar 133: the process of the backup is not the one that has the database open.
func TestBackupFromAnotherProcess(t *testing.T) {
	path := newPath(t)
	s := open(t, path, Options{})
	owner := addUser(t, s)
	stop := pairsUnderLoad(t, s, owner)
	runChild(t, "backup", path)
	commits := stop()
	backed, err := inspect(t.Context(), path+".backup")
	if err != nil {
		t.Fatal(err)
	}
	checkPrefix(t, path+".backup", backed, commits)
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func backupInChild(path string) error {
	_, err := Backup(context.Background(), path, path+".backup", nil)
	return err
}

func TestBackupRefuses(t *testing.T) {
	path := newPath(t)
	if _, err := Backup(t.Context(), path, path+".backup", nil); latchward.ErrorCode(err) != latchward.CodeNotFound {
		t.Errorf("no database: %v", err)
	}
	s := open(t, path, Options{})
	if _, err := Backup(t.Context(), path, path+".backup", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := Backup(t.Context(), path, path+".backup", nil); latchward.ErrorCode(err) != latchward.CodeConflict {
		t.Errorf("over another file: %v", err)
	}
	if _, err := Backup(t.Context(), path, filepath.Join(t.TempDir(), "none", "b"), nil); err == nil {
		t.Error("a folder that does not exist is no error")
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}
