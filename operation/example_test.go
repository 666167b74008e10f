package operation_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/memory"
	"github.com/latchward/latchward/operation"
)

type orderRequest struct {
	Subject operation.Subject
	ID      int64 `path:"id" range:"1,"`
}

type order struct {
	ID    int64  `json:"id"`
	Buyer string `json:"buyer"`
}

func readOrder(_ context.Context, in orderRequest) (order, error) {
	if in.ID > 100 {
		return order{}, latchward.Errorf(latchward.CodeNotFound, "There is no such order")
	}
	buyer := "known to those who may see it"
	if in.Subject.HasPermission("buyers.read") {
		buyer = "Ada"
	}
	return order{ID: in.ID, Buyer: buyer}, nil
}

// One function, one permission, one OpenAPI document.
func Example() {
	ctx := latchward.WithPrincipal(context.Background(), latchward.Principal{
		Type: latchward.PrincipalLocal, Administrator: true,
	})
	service, issued := newService(ctx)
	api := operation.New(operation.Options{Verifier: service, Title: "Store", Base: "/api"})
	operation.Get(api, operation.Operation{
		Path: "/v1/orders/{id}", Summary: "Show an order", Permissions: "orders.read",
	}, readOrder)

	ask := func(path, token string) {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Header().Get("Content-Type"))
		if w.Code == http.StatusOK {
			fmt.Print(w.Body)
		}
	}
	ask("/api/v1/orders/7", issued.Secret.Expose())
	ask("/api/v1/orders/seven", issued.Secret.Expose())
	ask("/api/v1/orders/700", issued.Secret.Expose())
	ask("/api/v1/orders/7", "")
	// Output:
	// 200 application/json; charset=utf-8
	// {"id":7,"buyer":"known to those who may see it"}
	// 400 application/problem+json; charset=utf-8
	// 404 application/problem+json; charset=utf-8
	// 401 application/problem+json; charset=utf-8
}

// newService returns a service in memory, and a token that holds orders.read.
func newService(ctx context.Context) (*latchward.Service, latchward.IssuedToken) {
	keys, err := latchward.GenerateKeyRing(rand.Reader, time.Now())
	if err != nil {
		log.Fatal(err)
	}
	service, err := latchward.New(ctx, latchward.Options{Store: memory.New(), Keys: keys})
	if err != nil {
		log.Fatal(err)
	}
	owner, err := service.CreateUser(ctx, latchward.NewUser{Name: "Ada", Administrator: true})
	if err != nil {
		log.Fatal(err)
	}
	issued, err := service.CreateToken(ctx, latchward.NewToken{
		Name: "Shop", Kind: latchward.KindService, Permissions: []string{"orders.*"},
		Owner: &latchward.Owner{Type: latchward.OwnerUser, ID: int64(owner.ID)},
	})
	if err != nil {
		log.Fatal(err)
	}
	return service, issued
}
