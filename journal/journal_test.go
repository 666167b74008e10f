package journal

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/latchward/latchward"
)

// small is a journal that fits into a test.
func small() Options { return Options{Rings: 1, RingBytes: minRingBytes} }

// eventOf returns the n-th event, which no other equals.
func eventOf(n int) latchward.UsageEvent {
	e := latchward.UsageEvent{
		At: time.Unix(1_790_000_000, int64(n)).UTC(), TokenID: latchward.TokenID(n), Credential: latchward.CredentialToken,
		Reason: latchward.ReasonAllowed, Endpoint: fmt.Sprintf("/products/%d", n), Method: "GET", Status: 200,
		Duration: time.Duration(n) * time.Microsecond, ResponseBytes: int64(n) << 30, UserAgent: "curl/8",
	}
	switch n % 4 {
	case 1:
		e.Address = netip.AddrFrom4([4]byte{192, 0, 2, byte(n)})
	case 2:
		e.Address, e.UserAgent = netip.MustParseAddr("2001:db8::1"), strings.Repeat("a", n%256)
	case 3:
		e.TokenID, e.UserID, e.Credential, e.RequestID = 0, 7, latchward.CredentialJWT, fmt.Sprint("r-", n)
		e.RequestBytes, e.Status = math.MaxInt64, -1
	}
	return e
}

func openAt(t testing.TB, folder string, o Options) *Journal {
	t.Helper()
	j, err := Open(folder, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

// appendN appends events from one number to another and returns how many were accepted.
func appendN(t testing.TB, j *Journal, from, to int) (accepted int) {
	t.Helper()
	for n := from; n < to; n++ {
		e := eventOf(n)
		if j.Append(&e) {
			accepted++
		}
	}
	return accepted
}

// reader reads on where it stopped, as whoever stores events does.
type reader struct {
	at      latchward.JournalOffset
	events  []latchward.UsageEvent
	release bool
}

func (r *reader) read(j *Journal) error {
	return j.Read(context.Background(), r.at, func(events []latchward.UsageEvent, to latchward.JournalOffset) error {
		if to.Segment < r.at.Segment || to.Segment == r.at.Segment && to.At <= r.at.At {
			return fmt.Errorf("offset %+v comes behind %+v", to, r.at)
		}
		r.at, r.events = to, append(r.events, events...)
		if r.release {
			return j.Release(to)
		}
		return nil
	})
}

func (r *reader) must(t testing.TB, j *Journal) {
	t.Helper()
	if err := r.read(j); err != nil {
		t.Fatal(err)
	}
}

// isAll checks that exactly the events of some numbers were read, in order.
func (r *reader) isAll(t testing.TB, what string, from, to int) {
	t.Helper()
	var want []latchward.UsageEvent
	for n := from; n < to; n++ {
		want = append(want, eventOf(n))
	}
	if diff := cmp.Diff(want, r.events, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Fatalf("%s: (-want +got)\n%.2000s", what, diff)
	}
}

// bothKinds runs a test with rings that are mapped and with rings that are written to.
func bothKinds(t *testing.T, test func(t *testing.T, o Options)) {
	for _, unmapped := range []bool{false, true} {
		t.Run(fmt.Sprintf("unmapped=%v", unmapped), func(t *testing.T) {
			o := small()
			o.unmapped = unmapped
			test(t, o)
		})
	}
}

func TestWhatIsAppendedIsRead(t *testing.T) {
	bothKinds(t, func(t *testing.T, o Options) {
		folder, r, n := t.TempDir(), reader{release: true}, 0
		for range 4 {
			j := openAt(t, folder, o)
			for range 5 { // some laps of the ring in all
				if got := appendN(t, j, n, n+150); got != 150 {
					t.Fatalf("%d of 150 events were accepted", got)
				}
				n += 150
				r.must(t, j)
				r.isAll(t, "read", 0, n)
				r.must(t, j) // nothing comes twice
			}
			appendN(t, j, n, n+10)
			n += 10
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			if e := eventOf(n); j.Append(&e) {
				t.Error("a closed journal accepts events")
			}
		}
		j := openAt(t, folder, o)
		r.must(t, j)
		r.isAll(t, "after all", 0, n)
		if segments, _ := listSegments(folder); len(segments) > 2 {
			t.Errorf("%d segments are left of what was released", len(segments))
		}
	})
}

// The name stays with the folder: offsets are the node's.
func TestNode(t *testing.T) {
	folder := t.TempDir()
	one := openAt(t, folder, small())
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	again, other := openAt(t, folder, small()), openAt(t, t.TempDir(), small())
	if one.Node() == "" || again.Node() != one.Node() || other.Node() == one.Node() {
		t.Errorf("the nodes are %q, %q and %q", one.Node(), again.Node(), other.Node())
	}
}

// bar 71
func TestOneProcessAtATime(t *testing.T) {
	folder := t.TempDir()
	j := openAt(t, folder, small())
	appendN(t, j, 0, 3)
	if _, err := Open(folder, small()); latchward.ErrorCode(err) != latchward.CodeConflict {
		t.Errorf("opening it twice returned %v, want code conflict", err)
	}
	var r reader
	r.must(t, j)
	r.isAll(t, "the first goes on", 0, 3)
}

// bar 72
func TestFilesArePrivate(t *testing.T) {
	j := openAt(t, filepath.Join(t.TempDir(), "journal"), small())
	appendN(t, j, 0, 1)
	_ = filepath.Walk(j.folder, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %v, error %v", path, info.Mode(), err)
		}
		return nil
	})
}

// leave lets go of a journal as a process does that is killed: nothing is drained.
func leave(t *testing.T, j *Journal) {
	t.Helper()
	j.closed.Store(true)
	if err := j.closeFiles(); err != nil {
		t.Fatal(err)
	}
}

// bar 74: what was accepted is in the ring, and the next process finds it there, each event once.
func TestRingsAreRecovered(t *testing.T) {
	bothKinds(t, func(t *testing.T, o Options) {
		o.Rings = 3
		folder, r, n := t.TempDir(), reader{release: true}, 0
		for round := range 8 {
			j := openAt(t, folder, o)
			n += appendN(t, j, n, n+20)
			if round%3 > 0 {
				r.must(t, j)
			}
			n += appendN(t, j, n, n+round*5)
			leave(t, j)
		}
		r.must(t, openAt(t, folder, o))
		seen := map[int64]int{}
		for _, e := range r.events {
			seen[e.At.UnixNano()]++
		}
		for i := range n {
			if times := seen[eventOf(i).At.UnixNano()]; times != 1 {
				t.Errorf("event %d was read %d times", i, times)
			}
		}
		if len(r.events) != n {
			t.Errorf("%d events were read, %d accepted", len(r.events), n)
		}
	})
}

// A full ring refuses; what it holds is not touched.
func TestFullRing(t *testing.T) {
	bothKinds(t, func(t *testing.T, o Options) {
		j := openAt(t, t.TempDir(), o)
		accepted := appendN(t, j, 0, 2000)
		if accepted < 200 || accepted > minRingBytes/128 {
			t.Errorf("a ring of %d bytes accepted %d events", minRingBytes, accepted)
		}
		var r reader
		r.must(t, j)
		r.isAll(t, "read", 0, accepted)
		if got := appendN(t, j, accepted, accepted+10); got != 10 {
			t.Errorf("%d of 10 events were accepted once there was room", got)
		}
		r.must(t, j)
		r.isAll(t, "read again", 0, accepted+10)
	})
}

// Whatever place in the ring the next record would come to when it is full, it overwrites nothing that waits, also where
// the end of the ring has to be passed over.
func TestFullRingAnywhere(t *testing.T) {
	bothKinds(t, func(t *testing.T, o Options) {
		for first := range 8 {
			j, r, accepted := openAt(t, t.TempDir(), o), reader{}, map[int]bool{}
			appendN(t, j, 0, first)
			r.must(t, j)
			n := first
			for refused := 0; refused < 300; n++ { // of different lengths: some may fit where others do not
				if appendN(t, j, n, n+1) == 1 {
					accepted[n] = true
				} else {
					refused++
				}
			}
			r.must(t, j)
			checkOnce(t, r.events, n, accepted)
			if len(r.events) != first+len(accepted) {
				t.Errorf("%d events were read, %d accepted", len(r.events), first+len(accepted))
			}
		}
	})
}

// A writer that was stopped between reserving and writing holds up the drainer of its ring, and only that; when it
// is gone for good, the next process passes over the hole.
func TestHoles(t *testing.T) {
	bothKinds(t, func(t *testing.T, o Options) {
		folder := t.TempDir()
		j, r := openAt(t, folder, o), reader{}
		appendN(t, j, 0, 5)
		j.rings[0].head.Add(7 * unit)
		appendN(t, j, 5, 10)
		r.must(t, j)
		r.isAll(t, "before the hole", 0, 5)
		leave(t, j)
		j = openAt(t, folder, o)
		r.must(t, j)
		r.isAll(t, "behind the hole", 0, 10)
		appendN(t, j, 10, 20)
		r.must(t, j)
		r.isAll(t, "afterwards", 0, 20)
	})
}

// Segments follow each other; those that were read go.
func TestSegmentsRotate(t *testing.T) {
	o := small()
	o.SegmentBytes = 4096
	folder := t.TempDir()
	j, slow, fast := openAt(t, folder, o), reader{}, reader{release: true}
	for i := range 20 {
		appendN(t, j, i*20, i*20+20)
		slow.must(t, j)
	}
	if got := j.Stats().Segments; got < 5 {
		t.Errorf("there are %d segments", got)
	}
	slow.isAll(t, "read as it came", 0, 400)
	fast.must(t, j)
	fast.isAll(t, "read at once", 0, 400)
	if got := j.Stats(); got.Segments > 2 || got.Waiting > 8192 {
		t.Errorf("behind the reader there are %+v", got)
	}
}

// While the database is away, what waits is compressed.
func TestWaitingSegmentsAreCompressed(t *testing.T) {
	o := small()
	o.SegmentBytes = 64 << 10
	j, n := openAt(t, t.TempDir(), o), 0
	for range 40 {
		n += appendN(t, j, n, n+100)
		if err := j.drain(); err != nil {
			t.Fatal(err)
		}
	}
	if got := j.Stats().Waiting; got > int64(n)*100 {
		t.Errorf("%d events take %d bytes", n, got)
	}
	var r reader
	r.must(t, j)
	r.isAll(t, "read", 0, n)
}

// Over budget nothing is taken from the rings, which then refuse; what was accepted is there when the database is back.
func TestBudget(t *testing.T) {
	o := small()
	o.Budget, o.SegmentBytes = 100<<10, 16<<10
	folder := t.TempDir()
	j, accepted := openAt(t, folder, o), []int{}
	refused := false
	for n := range 5000 {
		if e := eventOf(n); j.Append(&e) {
			accepted = append(accepted, n)
		} else {
			refused = true
		}
		if n%50 == 0 {
			if err := j.drain(); err != nil && !errors.Is(err, errBudget) {
				t.Fatal(err)
			}
		}
	}
	if got := j.Stats(); !refused || got.Waiting > o.Budget || got.Failures == 0 {
		t.Errorf("refused is %v with %+v", refused, got)
	}
	leave(t, j)
	j, r := openAt(t, folder, o), reader{release: true}
	r.must(t, j)
	var want []latchward.UsageEvent
	for _, n := range accepted {
		want = append(want, eventOf(n))
	}
	if diff := cmp.Diff(want, r.events, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("(-want +got)\n%.2000s", diff)
	}
	if e := eventOf(1); !j.Append(&e) || j.drain() != nil {
		t.Error("an empty journal takes nothing")
	}
}

// A database that knows more than the journal is one whose journal was lost: nothing is read twice, and what comes is
// read.
func TestDatabaseAheadOfJournal(t *testing.T) {
	for _, at := range []latchward.JournalOffset{{Segment: 1, At: 1 << 40}, {Segment: 1 << 40, At: 7}} {
		j, r := openAt(t, t.TempDir(), small()), reader{at: at}
		appendN(t, j, 0, 5)
		r.must(t, j)
		r.isAll(t, "of before", 0, 0)
		appendN(t, j, 0, 5)
		r.must(t, j)
		r.isAll(t, "of afterwards", 0, 5)
	}
}

func TestErrorOfTheReaderEndsReading(t *testing.T) {
	j, stop, calls := openAt(t, t.TempDir(), small()), errors.New("stop"), 0
	appendN(t, j, 0, 5)
	err := j.Read(t.Context(), latchward.JournalOffset{}, func([]latchward.UsageEvent, latchward.JournalOffset) error {
		calls++
		return stop
	})
	if !errors.Is(err, stop) || calls != 1 {
		t.Errorf("%d calls, error %v", calls, err)
	}
}

// Many append while others read: each event comes once, whole.
func TestConcurrentAppends(t *testing.T) {
	bothKinds(t, func(t *testing.T, o Options) {
		o.Rings, o.SegmentBytes = 2, 64<<10
		j, r := openAt(t, t.TempDir(), o), reader{release: true}
		const writers, each = 4, 1500
		var group sync.WaitGroup
		for w := range writers {
			group.Go(func() {
				for n := range each {
					e := eventOf(w*each + n)
					for !j.Append(&e) {
						_ = j.drain()
					}
				}
			})
		}
		done := make(chan struct{})
		go func() { group.Wait(); close(done) }()
		for running := true; running; {
			select {
			case <-done:
				running = false
			default:
			}
			r.must(t, j)
		}
		seen := map[latchward.UsageEvent]bool{}
		for _, e := range r.events {
			if e != eventOf(int(e.At.UnixNano()-1_790_000_000_000_000_000)) || seen[e] {
				t.Fatalf("read %+v", e)
			}
			seen[e] = true
		}
		if len(seen) != writers*each {
			t.Errorf("%d events were read, want %d", len(seen), writers*each)
		}
	})
}

// Texts that are too long are cut, never refused.
func TestLongTextsAreCut(t *testing.T) {
	j, r, long := openAt(t, t.TempDir(), small()), reader{}, strings.Repeat("é", 400)
	e := latchward.UsageEvent{
		At: time.Unix(0, 0).UTC(), Reason: latchward.Reason(long), Credential: latchward.CredentialType(long),
		Method: long, Endpoint: long, UserAgent: long, RequestID: long,
	}
	if !j.Append(&e) {
		t.Fatal("refused")
	}
	r.must(t, j)
	cut := long[:255]
	want := latchward.UsageEvent{
		At: e.At, Reason: latchward.Reason(cut), Credential: latchward.CredentialType(cut),
		Method: cut, Endpoint: cut, UserAgent: cut, RequestID: cut,
	}
	if len(r.events) != 1 || r.events[0] != want {
		t.Errorf("read %+v", r.events)
	}
}
