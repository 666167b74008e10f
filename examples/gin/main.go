// Command gin is a whole program on gin: token management by one call, and a handler that needs a token.
//
//	go run ./gin          # prints URL and ADMIN_JWT; paste them into another shell
//	curl -X POST -H "Authorization: Bearer $ADMIN_JWT" -H "Content-Type: application/json" \
//	  -d '{"name": "First", "allowed_endpoints": ["GET /v1/*"]}' "$URL/api/api-tokens"
//	curl -H "Authorization: Bearer <its token>" "$URL/api/v1/protected"
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"

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

	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.Any("/api/api-tokens", gin.WrapH(tokens))
	router.Any("/api/api-tokens/*path", gin.WrapH(tokens))
	router.Any("/api/latchward/*path", gin.WrapH(tokens))
	v1 := router.Group("/api/v1", wrap(tokens.Middleware(httpauth.Options{Rights: true})))
	v1.GET("/protected", protected)
	return serve(ctx, listen, router, tokens)
}

func protected(c *gin.Context) {
	subject := operation.SubjectFrom(c.Request.Context())
	c.JSON(http.StatusOK, gin.H{"Message": "Access granted for " + subject.ID()})
}

// wrap makes middleware of net/http that of gin. What the handler writes goes through the middleware, which records it.
func wrap(middleware func(http.Handler) http.Handler) gin.HandlerFunc {
	return func(c *gin.Context) {
		passed, outer := false, c.Writer
		middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			passed, c.Request, c.Writer = true, r, &writer{outer, w}
			c.Next()
		})).ServeHTTP(outer, c.Request)
		if c.Writer = outer; !passed {
			c.Abort()
		}
	}
}

// writer is a gin.ResponseWriter that writes to another writer.
type writer struct {
	gin.ResponseWriter
	to http.ResponseWriter
}

func (w *writer) WriteHeader(status int)               { w.to.WriteHeader(status) }
func (w *writer) Write(data []byte) (int, error)       { return w.to.Write(data) }
func (w *writer) WriteString(text string) (int, error) { return io.WriteString(w.to, text) }

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
