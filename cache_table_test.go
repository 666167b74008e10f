package latchward

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

func tableKeyID(n int) KeyID { return KeyID([]byte(fmt.Sprintf("1%010d", n))) }

// The table holds what a map would hold after any puts and removals, as long as it is not full.
func TestFactsTableIsAMap(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var table factsTable
	table.clear()
	model := map[KeyID]*facts{}
	for step := range 50_000 {
		id := tableKeyID(random.IntN(300))
		switch random.IntN(5) {
		case 0, 1:
			f := &facts{keyID: id}
			table.put(f, 1000)
			model[id] = f
		case 2, 3:
			table.remove(id)
			delete(model, id)
		default:
			if got := table.get(id, hashKeyID(id)); got != model[id] {
				t.Fatalf("step %d: %v, want %v", step, got, model[id])
			}
		}
		if step%20_000 == 19_999 {
			table.clear()
			clear(model)
		}
		if table.count != len(model) {
			t.Fatalf("step %d: it counts %d, want %d", step, table.count, len(model))
		}
		if s := *table.slots.Load(); 4*table.used > 3*len(s) || len(s) > 2048 {
			t.Fatalf("step %d: %d of %d slots used for %d", step, table.used, len(s), table.count)
		}
	}
}

// bar 16: a full table drops one for each that comes, never the newcomer, and grows no further.
func TestFactsTableFull(t *testing.T) {
	var table factsTable
	table.clear()
	for n := range 10_000 {
		f := &facts{keyID: tableKeyID(n)}
		table.put(f, 100)
		if got := table.get(f.keyID, hashKeyID(f.keyID)); got != f {
			t.Fatalf("%d is not there right after it was put", n)
		}
		if table.count != min(n+1, 100) || len(*table.slots.Load()) > 256 {
			t.Fatalf("%d facts in %d slots after %d", table.count, len(*table.slots.Load()), n+1)
		}
	}
}

// Readers need no lock: whatever a writer does to other facts, those that stay are found each time and those removed
// for good are not.
func TestFactsTableReadersTakeNoLock(t *testing.T) {
	var table factsTable
	table.clear()
	for n := range 20 {
		table.put(&facts{keyID: tableKeyID(n)}, 1000)
	}
	gone := tableKeyID(7)
	table.remove(gone)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for n := 0; ; n = (n + 1) % 20 {
				select {
				case <-stop:
					return
				default:
				}
				id := tableKeyID(n)
				if f := table.get(id, hashKeyID(id)); (f == nil) != (id == gone) {
					t.Errorf("%s: found is %t", id, f != nil)
					return
				}
			}
		})
	}
	for n := range 20_000 {
		id := tableKeyID(20 + n%200)
		if n/200%2 == 0 {
			table.put(&facts{keyID: id}, 1000)
		} else {
			table.remove(id)
		}
	}
	close(stop)
	readers.Wait()
}
