// Command provider is an OpenID provider for tests: that of github.com/zitadel/oidc with its two sample users. It is a
// module of its own, so that the product depends on nothing of it. It prints its issuer and serves until standard input
// is closed.
package main

import (
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
)

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: provider CLIENT_ID CLIENT_SECRET REDIRECT_URI")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	issuer := "http://" + listener.Addr().String() + "/"
	storage.RegisterClients(storage.WebClient(os.Args[1], os.Args[2], os.Args[3]))
	store := storage.NewStorage(storage.NewUserStore(issuer))
	router := exampleop.SetupServer(issuer, store, slog.New(slog.DiscardHandler), false)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Println(issuer)
	log.Fatal(http.Serve(listener, router))
}
