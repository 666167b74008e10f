package server_test

import (
	"context"
	"strings"
	"testing"

	"github.com/latchward/latchward/demo"
	"github.com/latchward/latchward/operation"
	"github.com/latchward/latchward/rest"
)

// S5-09, B-17: operations of another program, which asks this server, open to the same callers and name what is missing.
func TestOperationsOfAnotherProgram(t *testing.T) {
	r := start(t, settings(t, folder(t)))
	tokens, err := demo.Seed(t.Context(), r.Service())
	if err != nil {
		t.Fatal(err)
	}
	client, err := rest.NewClient(r.URL(), rest.ClientOptions{Token: tokens.Verifier.Secret})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	reported := make(chan error, 1)
	go func() { reported <- client.Run(ctx) }()
	api := operation.New(operation.Options{Verifier: client, Base: "/api", Document: demo.OperationsDocument})
	demo.AddOperations(api)
	for path, needs := range map[string]string{
		"stock/count": "Needs the role stock-keeper", "shifts": "Needs the group meadow-hive",
		"stock": "Needs the permission stock.read", "forecast": "Needs the license forecasts",
	} {
		if status, body := ask(api, "/api/v1/"+path, tokens.Till.Secret.Expose()); status != 200 {
			t.Errorf("%s: %d %s", path, status, body)
		}
		status, body := ask(api, "/api/v1/"+path, tokens.Device.Secret.Expose())
		if status != 403 || !strings.Contains(body, needs) {
			t.Errorf("%s as a device: %d %s", path, status, body)
		}
		if status, _ := ask(api, "/api/v1/"+path, ""); status != 401 {
			t.Errorf("%s as nobody: %d", path, status)
		}
	}
	stop()
	if err := <-reported; err != nil {
		t.Error(err)
	}
	usage, err := r.administrator(t).TokenUsage(t.Context(), int64(tokens.Till.Token.ID), 1)
	if err != nil || len(usage.RecentRequests) != 4 {
		t.Errorf("reported %+v, %v", usage, err)
	}
}
