package extauthz_test

import (
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/extauthz"
	"github.com/latchward/latchward/httpauth"
)

// The tables miss no reason and no code, and say the same as those of HTTP.
func TestTablesAreComplete(t *testing.T) {
	like := map[int]codes.Code{
		200: codes.OK, 400: codes.InvalidArgument, 401: codes.Unauthenticated, 403: codes.PermissionDenied,
		404: codes.NotFound, 409: codes.FailedPrecondition, 429: codes.ResourceExhausted, 500: codes.Internal,
		503: codes.Unavailable,
	}
	for _, reason := range latchward.Reasons() {
		if got, want := extauthz.CodeOf(reason), like[httpauth.StatusOf(reason)]; got != want || got == codes.Internal {
			t.Errorf("reason %s: %s, want %s", reason, got, want)
		}
	}
	for _, code := range latchward.Codes() {
		if got, want := extauthz.CodeOfError(code), like[httpauth.StatusOfCode(code)]; got != want {
			t.Errorf("code %s: %s, want %s", code, got, want)
		}
	}
	if extauthz.CodeOf("new") != codes.Internal || extauthz.CodeOfError("new") != codes.Internal {
		t.Error("what is not in a table must be internal")
	}
}
