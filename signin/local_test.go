package signin_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// serveLocal returns the address of a server on this machine.
func serveLocal(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}
