package httpauth

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
)

// bar 46, 48: a flood of addresses takes a bounded number of counters, and they go when the flood is over
func TestGuardMemoryIsBounded(t *testing.T) {
	now := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	guard := NewGuard(100, func() time.Time { return now })
	for i := range 2 * guardSlots {
		var bytes [16]byte
		binary.BigEndian.PutUint64(bytes[:], 0x20010db8_00000000|uint64(i))
		guard.Failed(netip.AddrFrom16(bytes))
	}
	if n := guard.limiter.Len(); n > guardSlots || n < guardSlots/2 {
		t.Errorf("%d counters for %d addresses", n, 2*guardSlots)
	}
	now = now.Add(2*attemptWindow + 1)
	guard.Failed(netip.AddrFrom4([4]byte{203, 0, 113, 5}))
	if n := guard.limiter.Len(); n != 1 {
		t.Errorf("%d counters two minutes later", n)
	}
}
