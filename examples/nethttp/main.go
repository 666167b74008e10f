// Command nethttp is a whole program on net/http: token management by one call, and an operation that needs a token.
//
//	go run ./nethttp          # prints URL and ADMIN_JWT; paste them into another shell
//	curl -X POST -H "Authorization: Bearer $ADMIN_JWT" -H "Content-Type: application/json" \
//	  -d '{"name": "First", "allowed_endpoints": ["GET /v1/*"]}' "$URL/api/api-tokens"
//	curl -H "Authorization: Bearer <its token>" "$URL/api/v1/protected"
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/latchward/latchward/operation"
	"github.com/latchward/latchward/server"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address of the API")
	data := flag.String("data", "data", "folder of the database")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *listen, *data); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, listen, data string) error {
	mux := http.NewServeMux()
	tokens, err := server.Activate(ctx, mux, server.Activation{Data: data})
	if err != nil {
		return err
	}
	defer tokens.Close()

	api := tokens.Operations(operation.Options{Title: "Example", Document: "/v1/openapi.json"})
	operation.Get(api, operation.Operation{Path: "/v1/protected", Summary: "Say who calls"}, protected)
	mux.Handle("/api/v1/", api)

	return serve(ctx, listen, mux, tokens)
}

type request struct{ Subject operation.Subject }

type reply struct{ Message string }

func protected(_ context.Context, in request) (reply, error) {
	return reply{"Access granted for " + in.Subject.ID()}, nil
}

// serve serves h until ctx is done, and then answers what was asked already.
func serve(ctx context.Context, listen string, h http.Handler, tokens *server.TokenManagement) error {
	jwt, err := tokens.MintJWT(server.Person{Subject: "you", Administrator: true, ExpiresIn: 24 * time.Hour})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	fmt.Printf("URL=http://%s\nADMIN_JWT=%s\n", listener.Addr(), jwt.Expose())
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() {
		<-ctx.Done()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		ended <- s.Shutdown(ctx)
	}()
	if err := s.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-ended
}
