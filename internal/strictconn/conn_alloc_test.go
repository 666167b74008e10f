//go:build !race

package strictconn

import (
	"testing"
)

// A request costs no allocation, whatever its framing.
func TestConnAllocations(t *testing.T) {
	data := []byte(browserRequest + chunkedRequest)
	r := &repeated{data: data}
	c, buffer := newConn(r, true), make([]byte, 4096)
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := c.Read(buffer); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("reading 4 KiB costs %v allocations", n)
	}
}
