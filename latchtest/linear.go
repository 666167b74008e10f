package latchtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/latchward/latchward"
)

// Scale returns how large a test should be: full is what the code must withstand, and is used when LATCHWARD_SCALE is
// "full"; otherwise a hundredth of it, at least least.
func Scale(full, least int) int {
	if os.Getenv("LATCHWARD_SCALE") == "full" {
		return full
	}
	return max(full/100, least)
}

// Seeded returns a source of bytes that is the same for the same seed. It is not random: use it in tests only.
func Seeded(seed byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{seed}) }

// ServiceSurface asks the service itself.
func ServiceSurface(_ *testing.T, s *latchward.Service, _ func() time.Time) Surface {
	return Surface{Verify: func(ctx context.Context, r latchward.VerifyRequest) (latchward.Reason, int64, error) {
		v, err := s.Verify(ctx, r)
		return v.Reason, v.Limit.Remaining, err
	}}
}

// tokenInput is one operation on one token.
type tokenInput struct {
	token  int
	revoke bool
}

// revocation is the specification: a token is active until it is revoked, and a verification allows exactly the
// active ones.
var revocation = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byToken := map[int][]porcupine.Operation{}
		for _, op := range history {
			token := op.Input.(tokenInput).token
			byToken[token] = append(byToken[token], op)
		}
		var parts [][]porcupine.Operation
		for _, part := range byToken {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return true },
	Step: func(state, input, output any) (bool, any) {
		if input.(tokenInput).revoke {
			return true, false
		}
		return output.(bool) == state.(bool), state
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %v", input, output) },
}

// RunLinearizable records what 8 clients see who verify and revoke tokens of one service at the same time, and checks
// that the history is one that a single register could have given: no verification that begins after a revocation has
// returned is allowed (bar 49). The cache is kept small, so that fills race with revocations.
func RunLinearizable(t *testing.T, newStore func(t *testing.T) latchward.Store) {
	t.Helper()
	const clients = 8
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	l := newLinear(t, newStore(t), Scale(20_000, 200))
	var done sync.WaitGroup
	histories := make([][]porcupine.Operation, clients)
	for client := range clients {
		done.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(client)))
			for range Scale(200_000, 2_000) / clients {
				op, err := l.step(client, random)
				if err != nil {
					t.Errorf("client %d: %v", client, err)
					return
				}
				histories[client] = append(histories[client], op)
			}
		})
	}
	done.Wait()
	var history []porcupine.Operation
	for _, h := range histories {
		history = append(history, h...)
	}
	if result := porcupine.CheckOperationsTimeout(revocation, history, time.Minute); result != porcupine.Ok {
		t.Errorf("history of %d operations is not linearizable: %v", len(history), result)
	}
}

type linear struct {
	service *latchward.Service
	ctx     context.Context
	start   time.Time
	ids     []latchward.TokenID
	secrets []latchward.Secret
}

func newLinear(t *testing.T, store latchward.Store, tokens int) *linear {
	t.Helper()
	l := &linear{ctx: Local(context.Background()), start: time.Now()}
	ring, err := latchward.GenerateKeyRing(Seeded(1), l.start)
	if err != nil {
		t.Fatal(err)
	}
	l.service, err = latchward.New(l.ctx, latchward.Options{Store: store, Keys: ring, CacheSize: tokens / 4})
	if err != nil {
		t.Fatal(err)
	}
	user, err := l.service.CreateUser(l.ctx, latchward.NewUser{Name: "linear"})
	if err != nil {
		t.Fatal(err)
	}
	owner := latchward.Owner{Type: latchward.OwnerUser, ID: int64(user.ID)}
	for range tokens {
		issued, err := l.service.CreateToken(l.ctx, latchward.NewToken{Owner: &owner, RateLimit: latchward.MaxRateLimit})
		if err != nil {
			t.Fatal(err)
		}
		l.ids, l.secrets = append(l.ids, issued.Token.ID), append(l.secrets, issued.Secret)
	}
	return l
}

// step revokes a token now and then and verifies otherwise; most of the time a token near those being revoked.
func (l *linear) step(client int, random *rand.Rand) (porcupine.Operation, error) {
	input := tokenInput{token: random.IntN(len(l.ids)), revoke: random.IntN(20) == 0}
	op := porcupine.Operation{ClientId: client, Input: input, Call: time.Since(l.start).Nanoseconds()}
	var err error
	if input.revoke {
		_, err = l.service.RevokeToken(l.ctx, l.ids[input.token], latchward.Revocation{})
		op.Output = true
	} else {
		var v latchward.Verdict
		v, err = l.service.Verify(l.ctx, latchward.VerifyRequest{Secret: l.secrets[input.token]})
		op.Output = v.Allowed()
	}
	op.Return = time.Since(l.start).Nanoseconds()
	return op, err
}
