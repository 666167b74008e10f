package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/template"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/demo"
	"github.com/latchward/latchward/operation"
	"github.com/latchward/latchward/server"
)

type demoCommand struct {
	Listen string `help:"Address of the API; port 0 for one that is free." default:"127.0.0.1:3010" placeholder:"ADDRESS"`
	Quiet  bool   `short:"q" help:"Print shell lines that set the environment, close standard output, and send no sample traffic."`
}

// Help implements kong.HelpProvider.
func (demoCommand) Help() string {
	return `Examples:
  latchward demo
  eval "$(latchward demo --quiet &)"; curl -H "Authorization: Bearer $TOKEN" "$LATCHWARD_URL/api/products?store_id=1"`
}

// Run serves in the foreground until a signal comes, and leaves nothing behind.
func (c *demoCommand) Run(ctx context.Context, s *session) error {
	ctx, stop := untilSignal(ctx)
	defer stop()
	signal.Ignore(syscall.SIGPIPE) // a reader that goes away, as head does, is an error and not the end
	folder, err := os.MkdirTemp("", "latchward-demo-")
	if err != nil {
		return fmt.Errorf("making a temporary folder: %w", err)
	}
	defer os.RemoveAll(folder)
	upstream, err := startSampleAPI()
	if err != nil {
		return err
	}
	defer upstream.server.Close()
	config, err := c.config(folder, upstream.url)
	if err != nil {
		return err
	}
	config.Version, config.Logs = version(), s.err
	latchward, err := c.open(ctx, config)
	if err != nil {
		return err
	}
	return c.serve(ctx, s, config, latchward)
}

// open listens. Where operations and pages are is on the screen only, so a free port does when theirs is taken; the address
// of the API stands in documents, so people choose another one themselves.
func (c *demoCommand) open(ctx context.Context, config server.Config) (*server.Server, error) {
	opened, err := server.Open(ctx, config)
	for err != nil {
		taken := &config.OperationsListen
		if refused(err, "pages.listen") != nil {
			taken = &config.PagesListen
		} else if refused(err, "operations.listen") == nil {
			break
		}
		if *taken == "127.0.0.1:0" {
			break
		}
		*taken = "127.0.0.1:0"
		opened, err = server.Open(ctx, config)
	}
	if fault := refused(err, "api.listen"); fault != nil {
		return nil, latchward.Errorf(latchward.CodeInvalid,
			"--listen: %s: choose another address, such as --listen 127.0.0.1:0 for a free port",
			strings.TrimPrefix(fault.Message, "api.listen: "))
	}
	return opened, err
}

// refused returns the error that is about a setting, or nil.
func refused(err error, setting string) *latchward.Error {
	var fault *latchward.Error
	if !errors.As(err, &fault) || fault.Field != setting {
		return nil
	}
	return fault
}

func (c *demoCommand) serve(ctx context.Context, s *session, config server.Config, latchward *server.Server) error {
	api := latchward.Operations(operation.Options{
		Title: "Sample operations", Version: version(), Document: demo.OperationsDocument,
	})
	demo.AddOperations(api)
	shown, err := c.prepare(ctx, latchward, config)
	if err == nil {
		err = latchward.Handle(demo.OperationsPrefix, api)
	}
	if err == nil {
		err = c.show(s.out, shown)
	}
	if err != nil {
		return errors.Join(err, latchward.Close())
	}
	if !c.Quiet {
		go demo.Traffic(ctx, &http.Client{Timeout: 5 * time.Second}, latchward.URL(), shown.tokens)
	}
	return latchward.Run(ctx)
}

// sampleAPI is the service behind the gateway.
type sampleAPI struct {
	server *http.Server
	url    string
}

func startSampleAPI() (*sampleAPI, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting the sample API: %w", err)
	}
	api := &sampleAPI{
		server: &http.Server{Handler: demo.API(), ReadHeaderTimeout: 10 * time.Second},
		url:    "http://" + listener.Addr().String(),
	}
	go api.server.Serve(listener) //nolint:errcheck // ends with Close
	return api, nil
}

// config is that of a server which takes nothing from this machine's own configuration.
func (c *demoCommand) config(folder, upstream string) (server.Config, error) {
	return server.Load(server.Sources{File: os.DevNull, Flags: map[string]string{
		"data": folder, "api.listen": c.Listen, "upstreams": upstream,
		"gateway.accept_jwt": "true", "log.level": "warn", "shutdown.delay": "0s", "shutdown.timeout": "2s",
	}})
}

// shownDemo is what the demo prints.
type shownDemo struct {
	URL, PagesURL, OperationsURL, Folder    string
	Email, Password                         string // of the administrator, on the pages
	AdminJWT, Token, VerifyToken, TillToken string
	DeviceID                                latchward.TokenID
	tokens                                  demo.Tokens
}

func (c *demoCommand) prepare(ctx context.Context, s *server.Server, config server.Config) (*shownDemo, error) {
	tokens, err := demo.Seed(ctx, s.Service())
	if err != nil {
		return nil, err
	}
	jwt, err := server.MintJWT(config, server.Person{
		Subject: demo.Administrator, Administrator: true, ExpiresIn: 30 * 24 * time.Hour,
	})
	if err != nil {
		return nil, err
	}
	password, err := setPassword(ctx, s.Service())
	if err != nil {
		return nil, err
	}
	return &shownDemo{
		PagesURL: s.PagesURL(), Email: demo.AdministratorEmail, Password: password.Expose(),
		URL: s.URL(), OperationsURL: s.OperationsURL(), Folder: config.Data, AdminJWT: jwt.Expose(),
		Token: tokens.WordPress.Secret.Expose(), VerifyToken: tokens.Verifier.Secret.Expose(),
		TillToken: tokens.Till.Secret.Expose(), DeviceID: tokens.Device.Token.ID, tokens: tokens,
	}, nil
}

// setPassword gives the administrator a password that nobody could know before.
func setPassword(ctx context.Context, s *latchward.Service) (latchward.Secret, error) {
	password := latchward.SecretFromText(strings.ToLower(rand.Text()))
	ctx = latchward.WithPrincipal(ctx, latchward.Principal{
		Type: latchward.PrincipalSystem, Name: "demo", Administrator: true,
	})
	user, err := s.UserByEmail(ctx, demo.AdministratorEmail)
	if err != nil {
		return password, err
	}
	code, _, err := s.IssuePasswordCode(ctx, user.ID)
	if err != nil {
		return password, err
	}
	return password, s.UsePasswordCode(ctx, latchward.PasswordCodeUse{
		Email: demo.AdministratorEmail, Code: code, Password: password,
	})
}

const exportsText = `export LATCHWARD_URL={{.URL}}
export ADMIN_JWT={{.AdminJWT}}
export TOKEN={{.Token}}
export VERIFY_TOKEN={{.VerifyToken}}
export TILL_TOKEN={{.TillToken}}
`

const introductionText = `Latchward is running with a sample store API behind it. Ctrl-C stops it and removes everything.

  API and gateway  {{.URL}}
  API reference    {{.URL}}/api/latchward/docs
  Pages            {{.PagesURL}}  (sign in as {{.Email}} with {{.Password}})
  Metrics, health  {{.OperationsURL}}/metrics  {{.OperationsURL}}/readyz
  Data folder      {{.Folder}}

Paste these five lines into another shell:

` + exportsText + `
and try:

# Call the sample API through the gateway with a token (200 requests a minute, three patterns).
curl -i -H "Authorization: Bearer $TOKEN" "$LATCHWARD_URL/api/products?store_id=1"

# The token may not call this.
curl -i -H "Authorization: Bearer $TOKEN" "$LATCHWARD_URL/api/orders"

# Operations that ask for a token, a role, a group, a permission or a license. The till has all of them.
curl -H "Authorization: Bearer $TILL_TOKEN" "$LATCHWARD_URL/api/v1/protected"
curl -H "Authorization: Bearer $TILL_TOKEN" "$LATCHWARD_URL/api/v1/stock"
curl -H "Authorization: Bearer $VERIFY_TOKEN" "$LATCHWARD_URL/api/v1/stock"

# List all tokens with their counters, and see what one of them did.
curl -H "Authorization: Bearer $ADMIN_JWT" "$LATCHWARD_URL/api/api-tokens"
curl -H "Authorization: Bearer $ADMIN_JWT" "$LATCHWARD_URL/api/api-tokens/1/usage?days=7"

# Create a token. Its secret is shown once.
curl -X POST -H "Authorization: Bearer $ADMIN_JWT" -H "Content-Type: application/json" \
  -d '{"name": "My first token", "rate_limit": 60, "allowed_endpoints": ["GET /products*"]}' "$LATCHWARD_URL/api/api-tokens"

# A service of your own asks about a token that it was shown.
curl -X POST -H "Authorization: Bearer $VERIFY_TOKEN" -H "Content-Type: application/json" \
  -d "{\"token\": \"$TOKEN\", \"method\": \"GET\", \"path\": \"/products\"}" "$LATCHWARD_URL/api/latchward/verify"

# Revoke the token of the hive's camera: its next request fails.
curl -X POST -H "Authorization: Bearer $ADMIN_JWT" -H "Content-Type: application/json" \
  -d '{"reason": "camera was stolen"}' "$LATCHWARD_URL/api/api-tokens/{{.DeviceID}}/revoke"

The command line works on it, too: latchward token list
`

// show prints what can be done. Quiet output is closed, so that a shell that reads it to its end goes on.
func (c *demoCommand) show(to io.Writer, shown *shownDemo) error {
	text := introductionText
	if c.Quiet {
		text = exportsText
	}
	var filled bytes.Buffer
	if err := template.Must(template.New("").Parse(text)).Execute(&filled, shown); err != nil {
		return err
	}
	if _, err := filled.WriteTo(to); err != nil {
		return fmt.Errorf("printing what can be done: %w", err)
	}
	if closer, ok := to.(io.Closer); ok && c.Quiet {
		return closer.Close()
	}
	return nil
}
