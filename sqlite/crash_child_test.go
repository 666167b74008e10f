package sqlite

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/latchward/latchward"
)

const (
	statementVariable = "LATCHWARD_TEST_STATEMENT" // before which the child kills itself
	roundVariable     = "LATCHWARD_TEST_ROUND"     // so that no two children make the same secrets
)

func childNumber(variable string) int {
	n, err := strconv.Atoi(os.Getenv(variable))
	if err != nil {
		panic(variable + " is not set")
	}
	return n
}

// killBefore returns faults that kill this process before its n-th statement.
func killBefore(n int) *faults {
	var statements atomic.Int64
	return &faults{before: func(string) error {
		if statements.Add(1) == int64(n) {
			_ = unix.Kill(os.Getpid(), unix.SIGKILL)
			select {} // the signal is on its way
		}
		return nil
	}}
}

// migrateInChild opens a database and kills the process before a statement. It returns when there are fewer.
func migrateInChild(path string) error {
	f := killBefore(childNumber(statementVariable))
	s, err := Open(context.Background(), path, Options{wrap: f.wrap})
	if err != nil {
		return err
	}
	return s.Close()
}

// The stages of a token's life in loadInChild; each is one transaction with one audit entry.
const (
	created = 1 + iota
	rotated
	revoked
	deleted
)

// loadInChild changes tokens and adds usage until it is killed, and writes a line behind each success: the id and the
// stage of a token, or 0 and the offset of usage. User 1 and token 1 must be there.
func loadInChild(path string) error {
	f := killBefore(childNumber(statementVariable))
	s, err := Open(context.Background(), path, Options{wrap: f.wrap})
	if err != nil {
		return err
	}
	var mu sync.Mutex
	report := func(id, value int64) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(id, value)
	}
	const workers = 4
	failures := make(chan error)
	for worker := range workers {
		go func() {
			for n := childNumber(roundVariable)*1_000_000 + worker; ; n += workers {
				if err := liveInChild(s, n, report); err != nil {
					failures <- err
				}
			}
		}()
	}
	go func() { failures <- useInChild(s, report) }()
	return <-failures
}

// liveInChild takes a token through its life.
func liveInChild(s *Store, n int, report func(id, stage int64)) error {
	token := newToken(&latchward.User{ID: 1}, 2*n)
	for stage := created; stage <= deleted; stage++ {
		_, err := s.Tx(context.Background(), func(tx latchward.Tx) error {
			if err := changeInChild(tx, token, stage); err != nil {
				return err
			}
			return tx.AppendAudit(&latchward.AuditEntry{
				Action: "test", TargetType: "token", TargetID: int64(token.ID), TargetName: strconv.Itoa(n),
			})
		})
		if err != nil {
			return err
		}
		report(int64(token.ID), int64(stage))
	}
	return nil
}

func changeInChild(tx latchward.Tx, token *latchward.Token, stage int) error {
	switch stage {
	case rotated:
		old := latchward.RetiringSecret{Credential: token.Secret, EndsAt: time.UnixMilli(1)}
		token.Secret.KeyID[0] = '2'
		token.Secret.Digest[0]++
		if err := tx.RetireSecret(token.ID, old); err != nil {
			return err
		}
	case revoked:
		token.RevokedAt = time.UnixMilli(1)
	case deleted:
		return tx.DeleteToken(token.ID)
	}
	return tx.SaveToken(token)
}

const usageBatch = 20

// useInChild adds usage, half of it of token 1 and half of a person. The n-th event is at n milliseconds.
func useInChild(s *Store, report func(id, offset int64)) error {
	for {
		from, err := s.UsageOffset(context.Background(), "node")
		if err != nil {
			return err
		}
		b := latchward.UsageBatch{Node: "node", From: from, To: from}
		for range usageBatch {
			b.To.At++
			e := latchward.UsageEvent{
				At: time.UnixMilli(b.To.At), Reason: latchward.ReasonAllowed, Endpoint: "/a", Method: "GET", Status: 200,
				Credential: latchward.CredentialToken, TokenID: latchward.TokenID(b.To.At % 2),
				RequestID: strconv.FormatInt(b.To.At, 10),
			}
			b.Events, b.Names = append(b.Events, e), append(b.Names, "/a")
		}
		if err := s.AddUsage(context.Background(), b); err != nil {
			return err
		}
		report(0, b.To.At)
		if _, err := s.PruneUsage(context.Background(), latchward.UsageRetention{}, 100); err != nil { // merges packs
			return err
		}
	}
}
