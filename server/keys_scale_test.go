package server

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchward/latchward"
)

// fleet is a data folder with many tokens, and who uses them.
type fleet struct {
	*core
	t      *testing.T
	ctx    context.Context
	tokens []member
}

// member is a token of a fleet with the secret that its holder uses.
type member struct {
	id     latchward.TokenID
	secret latchward.Secret
}

func newFleet(t *testing.T, size int) *fleet {
	c, err := Load(Sources{Flags: map[string]string{"data": t.TempDir(), "log.level": "error"}})
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{t: t, ctx: latchward.WithPrincipal(t.Context(), localAdministrator())}
	if f.core, err = openCore(f.ctx, c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.must(f.close()) })
	user, err := f.service.CreateUser(f.ctx, latchward.NewUser{Name: "fleet", Administrator: true})
	f.must(err)
	owner := latchward.Owner{Type: latchward.OwnerUser, ID: int64(user.ID)}
	const batch = 5000
	for len(f.tokens) < size {
		_, err := f.store.Tx(f.ctx, func(tx latchward.Tx) error {
			for range min(batch, size-len(f.tokens)) {
				if err := f.fill(tx, owner); err != nil {
					return err
				}
			}
			return nil
		})
		f.must(err)
	}
	return f
}

func (f *fleet) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// fill adds a token as CreateToken would, but many to a transaction.
func (f *fleet) fill(tx latchward.Tx, owner latchward.Owner) error {
	secret, credential, err := latchward.NewSecret(rand.Reader, latchward.DefaultPrefix, f.service.Keys())
	if err != nil {
		return err
	}
	at := time.Now().UTC().Truncate(time.Millisecond)
	t := &latchward.Token{
		Name: fmt.Sprint("token ", len(f.tokens)), Kind: latchward.KindPersonal, Owner: owner, Active: true,
		RateLimit: latchward.MaxRateLimit, Secret: credential, CreatedAt: at, UpdatedAt: at,
		Prefix: latchward.TokenPrefix(latchward.DefaultPrefix, credential.KeyID),
	}
	err = tx.SaveToken(t)
	f.tokens = append(f.tokens, member{t.ID, secret})
	return err
}

func (f *fleet) reason(m member) latchward.Reason {
	v, err := f.service.Verify(context.Background(), latchward.VerifyRequest{Secret: m.secret})
	if err != nil {
		f.t.Error(err)
	}
	return v.Reason
}

// load has members verified, in any order, until it is stopped; stop returns how often, and checks that all were let in.
func (f *fleet) load(members []member) (stop func() int64) {
	var verified, refused atomic.Int64
	done := make(chan struct{})
	var workers sync.WaitGroup
	for range 2 {
		workers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if reason := f.reason(members[mathrand.IntN(len(members))]); reason != latchward.ReasonAllowed {
					refused.Add(1)
				}
				verified.Add(1)
			}
		})
	}
	end := sync.OnceFunc(func() { close(done); workers.Wait() })
	f.t.Cleanup(end)
	return func() int64 {
		end()
		if n := refused.Load(); n > 0 || verified.Load() == 0 {
			f.t.Errorf("%d of %d verifications failed", n, verified.Load())
		}
		return verified.Load()
	}
}

// timed runs f and logs how long it took.
func (f *fleet) timed(what string, do func()) {
	begun := time.Now()
	do()
	f.t.Logf("%s: %s", what, time.Since(begun).Round(10*time.Microsecond))
}

// stragglers lists all tokens that depend on a server key, page by page.
func (f *fleet) stragglers(version int) map[latchward.TokenID]bool {
	found := map[latchward.TokenID]bool{}
	filter := latchward.TokenFilter{ServerKey: version, Limit: latchward.MaxPage}
	for {
		page, err := f.service.Tokens(f.ctx, filter)
		f.must(err)
		for _, t := range page.Tokens {
			found[t.ID] = true
		}
		if page.Next == nil {
			return found
		}
		filter.After = page.Next
	}
}

func (f *fleet) status(version int) latchward.KeyStatus {
	list, err := f.service.KeyStatus(f.ctx)
	f.must(err)
	for _, s := range list {
		if s.Version == version {
			return s
		}
	}
	return latchward.KeyStatus{}
}

// replaced is what creating and rotating give while the key is new.
type replaced struct{ old, new []member }

// renew creates some tokens and rotates some, with grace, and checks that all new secrets are under the version.
func (f *fleet) renew(n, version int) (r replaced) {
	for i := range n {
		created, err := f.service.CreateToken(f.ctx, latchward.NewToken{RateLimit: latchward.MaxRateLimit})
		f.must(err)
		old := f.tokens[i]
		rotated, err := f.service.RotateToken(f.ctx, old.id, latchward.Rotation{Grace: time.Hour})
		f.must(err)
		for _, issued := range []latchward.IssuedToken{created, rotated} {
			if got := issued.Token.Secret.KeyID.Version(); got != version {
				f.t.Fatalf("a secret made after the rotation is under v%d", got)
			}
			r.new = append(r.new, member{issued.Token.ID, issued.Secret})
		}
		r.old = append(r.old, old)
	}
	return r
}

// bar 136: the server key is rotated under load with a million tokens; no verification fails, what is new is under the
// new key, those who depend on the old one are counted and listed, and dropping it refuses exactly them.
func TestKeyRotationAtScale(t *testing.T) {
	size := 4_000
	if os.Getenv("LATCHWARD_SCALE") == "full" {
		size = 1_000_000
	}
	begun := time.Now()
	f := newFleet(t, size)
	t.Logf("%d tokens made: %s", size, time.Since(begun).Round(time.Millisecond))
	stop := f.load(f.tokens)
	f.timed("rotation of the key under load", func() { f.must(f.keys.RotateKey(f.ctx)) })
	fresh := max(100, size/1000)
	renewed := f.renew(fresh, 2)
	f.timed("keys status under load", func() {
		if s := f.status(1); int(s.Tokens) != size-fresh || int(s.Retiring) != fresh {
			t.Errorf("%d tokens are said to be under v1, and %d secrets that were rotated out", s.Tokens, s.Retiring)
		}
	})
	if s := f.status(2); int(s.Tokens) != 2*fresh || s.Retiring != 0 {
		t.Errorf("%d tokens are said to be under v2", s.Tokens)
	}
	f.timed("list of all under the old key, under load", func() {
		found := f.stragglers(1)
		for _, m := range f.tokens {
			if !found[m.id] {
				t.Fatalf("token %d depends on v1 and is not listed", m.id)
			}
		}
		if len(found) != size {
			t.Errorf("%d tokens are listed, %d depend on v1", len(found), size)
		}
	})
	t.Logf("%d verifications of all tokens meanwhile", stop())

	stop = f.load(renewed.new)
	f.timed("drop of the old key under load", func() { f.must(f.keys.DropKey(f.ctx, 1)) })
	for _, m := range f.tokens {
		if reason := f.reason(m); reason != latchward.ReasonMalformed {
			t.Fatalf("a secret under the dropped key: %s", reason)
		}
	}
	t.Logf("%d verifications under the new key meanwhile", stop())
	for _, m := range renewed.new {
		if reason := f.reason(m); reason != latchward.ReasonAllowed {
			t.Fatalf("a secret under the new key: %s", reason)
		}
	}
	if s := f.stragglers(1); len(s) != size { // which stay listed, for whoever wants to rotate them
		t.Errorf("%d tokens are listed after the drop", len(s))
	}
}
