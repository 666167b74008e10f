package memory_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/memory"
)

// A token's short life: it is created, verified, rotated, revoked and deleted. Nothing is left when the program ends.
func Example() {
	ring, err := latchward.GenerateKeyRing(rand.Reader, time.Now())
	if err != nil {
		log.Fatal(err)
	}
	// Whoever runs this is the local administrator. A server takes the principal from a sign-in.
	ctx := latchward.WithPrincipal(context.Background(), latchward.Principal{
		Type: latchward.PrincipalLocal, Name: "example", Administrator: true,
	})
	service, err := latchward.New(ctx, latchward.Options{Store: memory.New(), Keys: ring})
	if err != nil {
		log.Fatal(err)
	}
	ada, err := service.CreateUser(ctx, latchward.NewUser{Name: "Ada"})
	if err != nil {
		log.Fatal(err)
	}
	created, err := service.CreateToken(ctx, latchward.NewToken{
		Name:             "Shop window",
		Owner:            &latchward.Owner{Type: latchward.OwnerUser, ID: int64(ada.ID)},
		AllowedEndpoints: []string{"/products*"},
	})
	if err != nil {
		log.Fatal(err)
	}
	ask := func(when string, secret latchward.Secret, path string) {
		verdict, err := service.Verify(ctx, latchward.VerifyRequest{Secret: secret, Method: "GET", Path: path})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %s\n", when, verdict.Reason)
	}
	ask("created", created.Secret, "/products/17")
	ask("elsewhere", created.Secret, "/stores")

	rotated, err := service.RotateToken(ctx, created.Token.ID, latchward.Rotation{})
	if err != nil {
		log.Fatal(err)
	}
	ask("the old secret", created.Secret, "/products/17")
	ask("the new secret", rotated.Secret, "/products/17")

	if _, err := service.RevokeToken(ctx, created.Token.ID, latchward.Revocation{Note: "no longer needed"}); err != nil {
		log.Fatal(err)
	}
	ask("revoked", rotated.Secret, "/products/17")

	if err := service.DeleteToken(ctx, created.Token.ID); err != nil {
		log.Fatal(err)
	}
	ask("deleted", rotated.Secret, "/products/17")

	entries, err := service.AuditEntries(ctx, latchward.AuditFilter{TargetType: "token"})
	if err != nil {
		log.Fatal(err)
	}
	for _, e := range entries {
		fmt.Println(e.Action, e.TargetName)
	}
	// Output:
	// created: allowed
	// elsewhere: endpoint_not_allowed
	// the old secret: rotated
	// the new secret: allowed
	// revoked: revoked
	// deleted: not_found
	// token.delete Shop window
	// token.revoke Shop window
	// token.reuse Shop window
	// token.rotate Shop window
	// token.create Shop window
}
