// Command grpc is a whole program on gRPC: token management by one call, and a service whose every call, unary or
// stream, needs a token. The service is that of health checks; the management API is HTTP, on another port.
//
//	go run ./grpc             # prints URL, GRPC and ADMIN_JWT; paste them into another shell
//	curl -X POST -H "Authorization: Bearer $ADMIN_JWT" -H "Content-Type: application/json" \
//	  -d '{"name": "First", "allowed_endpoints": ["/grpc.health.v1.Health/*"]}' "$URL/api/api-tokens"
//	grpcurl -plaintext -H "Authorization: Bearer <its token>" $GRPC grpc.health.v1.Health/Check
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

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	"github.com/latchward/latchward/extauthz"
	"github.com/latchward/latchward/server"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address of the management API")
	calls := flag.String("grpc", "127.0.0.1:8081", "address of the service")
	data := flag.String("data", "data", "folder of the database")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *listen, *calls, *data); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, listen, calls, data string) error {
	mux := http.NewServeMux()
	tokens, err := server.Activate(ctx, mux, server.Activation{Data: data})
	if err != nil {
		return err
	}
	defer tokens.Close()

	o := extauthz.Options{Verifier: tokens.UseCases, Needs: needs}
	service := grpc.NewServer(
		grpc.UnaryInterceptor(extauthz.UnaryInterceptor(o)), grpc.StreamInterceptor(extauthz.StreamInterceptor(o)),
	)
	grpc_health_v1.RegisterHealthServer(service, health.NewServer())
	reflection.Register(service)
	return serve(ctx, listen, calls, mux, service, tokens)
}

// needs lets everybody see what services there are, as grpcurl does first, and nobody call them without a token.
func needs(method string) extauthz.Needs {
	return extauthz.Needs{Public: method == "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"}
}

// serve serves both until ctx is done, and then answers what was asked already.
func serve(
	ctx context.Context, listen, calls string, h http.Handler, service *grpc.Server, tokens *server.TokenManagement,
) error {
	jwt, err := tokens.MintJWT(server.Person{Subject: "you", Administrator: true, ExpiresIn: 24 * time.Hour})
	if err != nil {
		return err
	}
	web, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", calls)
	if err != nil {
		return err
	}
	fmt.Printf("URL=http://%s\nGRPC=%s\nADMIN_JWT=%s\n", web.Addr(), listener.Addr(), jwt.Expose())
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() {
		<-ctx.Done()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		context.AfterFunc(ctx, service.Stop) // streams may go on for ever
		service.GracefulStop()
		ended <- s.Shutdown(ctx)
	}()
	go service.Serve(listener) //nolint:errcheck // ends with GracefulStop
	if err := s.Serve(web); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-ended
}
