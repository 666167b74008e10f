//go:build !race

package rest_test

import (
	"net/http"
	"testing"
)

// What a verification costs beside the connection: the texts of the request and nothing that lives longer.
func TestVerifyAllocations(t *testing.T) {
	const most = 8
	for name, extra := range map[string]string{
		"recorded": "", "not recorded": `,"record":false`, "with a query that was asked before": `,"query":"NOT a.b OR c.d"`,
	} {
		verify := hotVerify(t, extra)
		if status := verify(); status != http.StatusOK {
			t.Fatalf("status %d", status)
		}
		if got := testing.AllocsPerRun(1000, func() { verify() }); got > most {
			t.Errorf("%s: %v allocations, want at most %d", name, got, most)
		}
	}
}
