package httpauth_test

import (
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
	"github.com/latchward/latchward/memory"
)

// service returns a real Service in memory with one token of its one user.
func service(t testing.TB, n latchward.NewToken) (*latchward.Service, latchward.Secret) {
	t.Helper()
	ring, err := latchward.GenerateKeyRing(latchtest.Seeded(1), epoch)
	if err != nil {
		t.Fatal(err)
	}
	ctx := latchtest.Local(t.Context())
	s, err := latchward.New(ctx, latchward.Options{Store: memory.New(), Keys: ring})
	if err != nil {
		t.Fatal(err)
	}
	user, err := s.CreateUser(ctx, latchward.NewUser{Name: "Ada"})
	if err != nil {
		t.Fatal(err)
	}
	n.Owner = &latchward.Owner{Type: latchward.OwnerUser, ID: int64(user.ID)}
	issued, err := s.CreateToken(ctx, n)
	if err != nil {
		t.Fatal(err)
	}
	return s, issued.Secret
}
