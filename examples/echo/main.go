// Command echo is a whole program on echo: token management by one call, and a handler that needs a token.
//
//	go run ./echo          # prints URL and ADMIN_JWT; paste them into another shell
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

	"github.com/labstack/echo/v5"

	"github.com/latchward/latchward/httpauth"
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
	tokens, err := server.Activate(ctx, nil, server.Activation{Data: data})
	if err != nil {
		return err
	}
	defer tokens.Close()

	router := echo.New()
	router.Any("/api/api-tokens", echo.WrapHandler(tokens))
	router.Any("/api/api-tokens/*", echo.WrapHandler(tokens))
	router.Any("/api/latchward/*", echo.WrapHandler(tokens))
	protect := echo.WrapMiddleware(tokens.Middleware(httpauth.Options{Rights: true}))
	v1 := router.Group("/api/v1", protect, answerErrors)
	v1.GET("/protected", protected)
	return serve(ctx, listen, router, tokens)
}

func protected(c *echo.Context) error {
	subject := operation.SubjectFrom(c.Request().Context())
	return c.JSON(http.StatusOK, map[string]string{"Message": "Access granted for " + subject.ID()})
}

// answerErrors answers the errors of handlers where the middleware around it sees, and records, what the answer is.
func answerErrors(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) error {
		if err := next(c); err != nil {
			c.Echo().HTTPErrorHandler(c, err)
		}
		return nil
	}
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
