package journal

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/latchward/latchward"
)

// faultyDisk is a segment on a disk that fails, and that forgets what was not synced when the power goes.
type faultyDisk struct {
	disk
	faults *diskFaults
	synced []byte
	failed []byte // what the file held when a sync failed; what of it was not synced before never comes to the disk
}

type diskFaults struct {
	write, sync error
	torn        int // bytes of a failing write that reach the file all the same
	disks       map[string]*faultyDisk
}

func (f *diskFaults) wrap(file *os.File) disk {
	d := &faultyDisk{disk: systemFile{file}, faults: f}
	if f.disks == nil {
		f.disks = map[string]*faultyDisk{}
	}
	f.disks[file.Name()] = d
	return d
}

func (d *faultyDisk) WriteAt(b []byte, at int64) (int, error) {
	if err := d.faults.write; err != nil {
		n, _ := d.disk.WriteAt(b[:min(len(b), d.faults.torn)], at)
		return n, err
	}
	return d.disk.WriteAt(b, at)
}

func (d *faultyDisk) Datasync() error {
	now, err := os.ReadFile(d.disk.(systemFile).Name())
	if err != nil {
		return err
	}
	if err := d.faults.sync; err != nil {
		d.failed = now
		return err
	}
	for i := len(d.synced); i < min(len(d.failed), len(now)); i++ {
		now[i] = 0
	}
	d.synced = now
	return nil
}

// cutPower makes of each segment what is certainly on the disk: a part of what came behind may be there too.
func (f *diskFaults) cutPower(t *testing.T, random *rand.Rand) {
	t.Helper()
	for name, d := range f.disks {
		now, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		kept := append([]byte(nil), d.synced...)
		if len(now) > len(kept) && random.IntN(2) == 0 {
			kept = append(kept, now[len(kept):len(kept)+random.IntN(len(now)-len(kept))]...)
		}
		if err := os.WriteFile(name, kept, privateFile); err != nil {
			t.Fatal(err)
		}
	}
}

// bar 68: on a full disk everything accepted waits in the ring, and is stored when there is room again.
func TestDiskFull(t *testing.T) {
	bothKinds(t, func(t *testing.T, o Options) {
		faults, full := &diskFaults{}, errors.New("disk full")
		o.wrap = faults.wrap
		folder := t.TempDir()
		j, r := openAt(t, folder, o), reader{release: true}
		appendN(t, j, 0, 50)
		r.must(t, j)
		faults.write = full
		accepted := 50
		for round := range 10 {
			faults.torn = round * 100
			accepted += appendN(t, j, accepted, accepted+100)
			if err := r.read(j); !errors.Is(err, full) {
				t.Fatalf("reading returned %v", err)
			}
		}
		r.isAll(t, "while full", 0, 50)
		if j.Stats().Failures != 10 {
			t.Errorf("%d failures were counted", j.Stats().Failures)
		}
		if accepted > 50+minRingBytes/96 {
			t.Errorf("%d events were accepted into a ring of %d bytes", accepted, minRingBytes)
		}
		faults.write = nil
		r.must(t, j)
		r.isAll(t, "with room again", 0, accepted)
		appendN(t, j, accepted, accepted+5)
		leave(t, j)
		r.must(t, openAt(t, folder, o))
		r.isAll(t, "afterwards", 0, accepted+5)
	})
}

// bar 69: after a failed sync nobody claims that what was written is there. It is written again, elsewhere, once.
func TestSyncFails(t *testing.T) {
	bothKinds(t, func(t *testing.T, o Options) {
		for _, dies := range []bool{false, true} {
			faults, failed := &diskFaults{}, errors.New("input/output error")
			o.wrap = faults.wrap
			folder := t.TempDir()
			j, r := openAt(t, folder, o), reader{release: true}
			appendN(t, j, 0, 20)
			r.must(t, j)
			faults.sync = failed
			for i := range 3 {
				appendN(t, j, 20+i*10, 30+i*10)
				if err := r.read(j); !errors.Is(err, failed) {
					t.Fatalf("reading returned %v", err)
				}
			}
			r.isAll(t, "what is certainly on the disk", 0, 20)
			faults.sync = nil
			if dies {
				leave(t, j)
				j = openAt(t, folder, o)
			}
			r.must(t, j)
			r.isAll(t, "after a sync that succeeded", 0, 50)
			appendN(t, j, 50, 60)
			r.must(t, j)
			r.isAll(t, "afterwards", 0, 60)
		}
	})
}

// bar 74: a power cut takes along what was not synced, and nothing else; nothing comes twice, and what a reader got is
// never taken back.
func TestPowerCut(t *testing.T) {
	random := rand.New(rand.NewPCG(74, 74))
	lost := 0
	for range 30 {
		folder, faults, r, n, certain := t.TempDir(), &diskFaults{}, reader{release: random.IntN(2) == 0}, 0, map[int]bool{}
		o := small()
		o.wrap, o.SegmentBytes = faults.wrap, 8<<10
		for range 4 {
			j := openAt(t, folder, o)
			waiting := []int{}
			for range random.IntN(6) {
				for range random.IntN(60) {
					n += appendN(t, j, n, n+1)
					waiting = append(waiting, n-1)
				}
				switch random.IntN(3) {
				case 0:
					continue
				case 1:
					r.must(t, j)
				case 2:
					if err := j.drain(); err != nil {
						t.Fatal(err)
					}
				}
				for _, n := range waiting {
					certain[n] = true
				}
			}
			leave(t, j)
			faults.cutPower(t, random)
			if random.IntN(2) == 0 {
				emptyRing(t, folder)
			}
			faults.disks = nil
		}
		r.must(t, openAt(t, folder, o))
		checkOnce(t, r.events, n, certain)
		lost += n - len(r.events)
	}
	if lost == 0 {
		t.Error("no power cut took anything along: they were none")
	}
}

// emptyRing makes of a ring what is on a disk to which the system never wrote it.
func emptyRing(t *testing.T, folder string) {
	t.Helper()
	file, err := os.OpenFile(filepath.Join(folder, "ring-0"), os.O_WRONLY, 0)
	if err == nil {
		_, err = file.WriteAt(make([]byte, minRingBytes), ringHeader)
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// checkOnce checks that events are some of n, each at most once and as it was appended, and those that are certain
// among them.
func checkOnce(t *testing.T, events []latchward.UsageEvent, n int, certain map[int]bool) {
	t.Helper()
	seen := map[int]bool{}
	for _, e := range events {
		number := int(e.At.UnixNano() - 1_790_000_000_000_000_000)
		if number < 0 || number >= n || e != eventOf(number) || seen[number] {
			t.Fatalf("read %+v, of %d events, seen before: %v", e, n, seen[number])
		}
		seen[number] = true
	}
	for number := range certain {
		if !seen[number] {
			t.Fatalf("event %d of %d was on the disk and is lost", number, n)
		}
	}
}

// bar 69: what a failed sync may have dropped is not believed to be there because a later one succeeds.
func TestSyncThatSucceedsProvesNothing(t *testing.T) {
	faults := &diskFaults{}
	o, folder := small(), t.TempDir()
	o.wrap = faults.wrap
	j := openAt(t, folder, o)
	appendN(t, j, 0, 10)
	faults.sync = errors.New("input/output error")
	if err := j.drain(); err == nil {
		t.Fatal("the sync did not fail")
	}
	faults.sync = nil
	appendN(t, j, 10, 20)
	if err := j.drain(); err != nil {
		t.Fatal(err)
	}
	leave(t, j)
	faults.cutPower(t, rand.New(rand.NewPCG(1, 1)))
	emptyRing(t, folder)
	var r reader
	r.must(t, openAt(t, folder, small()))
	r.isAll(t, "after the power cut", 0, 20)
}
