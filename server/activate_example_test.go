package server_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/operation"
	"github.com/latchward/latchward/server"
)

type protectedRequest struct{ Subject operation.Subject }

type protectedReply struct{ Message string }

// One call gives a program tokens, the API to manage them, and what protects its own operations.
func ExampleActivate() {
	folder, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	mux := http.NewServeMux()
	tokens, err := server.Activate(context.Background(), mux, server.Activation{Data: folder})
	if err != nil {
		log.Fatal(err)
	}
	defer tokens.Close()

	api := tokens.Operations(operation.Options{Title: "Store"})
	operation.Get(api, operation.Operation{Path: "/v1/protected", Permissions: "orders.read"},
		func(_ context.Context, in protectedRequest) (protectedReply, error) {
			return protectedReply{"Access granted for " + in.Subject.ID()}, nil
		})
	mux.Handle("/api/v1/", api)

	shop := issue(tokens)
	web := httptest.NewServer(mux) // or http.ListenAndServe
	defer web.Close()
	for _, secret := range []string{shop.Expose(), ""} {
		r, err := http.NewRequest(http.MethodGet, web.URL+"/api/v1/protected", nil)
		if err != nil {
			log.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+secret)
		if secret == "" {
			r.Header.Del("Authorization")
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			log.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%d %.32s\n", answer.StatusCode, body)
	}
	// Output:
	// 200 {"Message":"Access granted for t
	// 401 {"type":"about:blank","title":"U
}

// issue makes a role, a group that has it, and a token that belongs to the group. People do that through the management
// API; here the program does.
func issue(tokens *server.TokenManagement) latchward.Secret {
	ctx := tokens.AsAdministrator(context.Background())
	role := latchward.NewRole{Name: "clerk", Permissions: []string{"orders.*"}}
	if _, err := tokens.UseCases.CreateRole(ctx, role); err != nil {
		log.Fatal(err)
	}
	group, err := tokens.UseCases.CreateGroup(ctx, latchward.NewGroup{Name: "shop", Roles: []string{"clerk"}})
	if err != nil {
		log.Fatal(err)
	}
	issued, err := tokens.UseCases.CreateToken(ctx, latchward.NewToken{
		Name: "Till", Kind: latchward.KindService, Groups: []string{"shop"},
		Owner: &latchward.Owner{Type: latchward.OwnerGroup, ID: int64(group.ID)},
	})
	if err != nil {
		log.Fatal(err)
	}
	return issued.Secret
}
