package usagepack

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/latchward/latchward"
)

// someCells returns sorted cells of up to so many tokens, with values at their bounds now and then.
func someCells(seed uint64, n, tokens int) []Cell {
	r := rand.New(rand.NewPCG(seed, 2))
	values := []int64{0, 1, 300, 1 << 40, 1<<63 - 1}
	var cells []Cell
	for i := range n {
		cells = append(cells, Cell{
			Token: latchward.TokenID(r.IntN(tokens)), Endpoint: fmt.Sprint("/", i), Method: []string{"GET", "POST"}[r.IntN(2)],
			Class: r.IntN(6), Credential: latchward.CredentialToken, UsageCell: latchward.UsageCell{
				Requests: values[r.IntN(5)], Failed: values[r.IntN(5)], Duration: time.Duration(values[r.IntN(5)]),
				RequestBytes: values[r.IntN(5)], ResponseBytes: values[r.IntN(5)],
			},
		})
	}
	SortCells(cells)
	return cells
}

func TestCellsKeepEverything(t *testing.T) {
	codec := newCodec(t)
	for _, n := range []int{0, 1, 5, 100, 20_000} { // as they are, and compressed
		cells := someCells(1, n, 100)
		got, err := codec.Cells(codec.PackCells(cells))
		if err != nil || len(got) != n {
			t.Fatalf("%d cells of %d, error %v", len(got), n, err)
		}
		reader, err := codec.ReadCells(codec.PackCells(cells))
		for i := range got {
			token, requests, more, err2 := reader.NextRequests()
			if err != nil || err2 != nil || !more || token != cells[i].Token || requests != cells[i].Requests {
				t.Fatalf("cell %d is said to be of %d, %d requests, errors %v, %v", i, token, requests, err, err2)
			}
			if got[i] != cells[i] {
				t.Fatalf("%+v became %+v", cells[i], got[i])
			}
		}
	}
}

func TestMergeCells(t *testing.T) {
	for seed := range uint64(20) {
		a, b := someCells(seed, int(seed)*3, 2), someCells(seed+100, int(seed)*2, 2)
		sums := map[Cell]latchward.UsageCell{}
		for _, cell := range append(append([]Cell{}, a...), b...) {
			key := cell
			key.UsageCell = latchward.UsageCell{}
			sum := sums[key]
			sum.Add(cell.UsageCell)
			sums[key] = sum
		}
		merged := MergeCells(a, b)
		for i := range merged {
			key := merged[i]
			key.UsageCell = latchward.UsageCell{}
			if sums[key] != merged[i].UsageCell || i > 0 && merged[i-1].Compare(&merged[i]) >= 0 {
				t.Errorf("%+v, want %+v, behind %+v", merged[i], sums[key], merged[max(0, i-1)])
			}
		}
		if len(merged) != len(sums) {
			t.Errorf("%d cells, want %d", len(merged), len(sums))
		}
	}
}

// bar 70
func TestDamagedCellsAreRefused(t *testing.T) {
	codec := newCodec(t)
	for _, n := range []int{3, 200} {
		payload := codec.PackCells(someCells(1, n, 5))
		want, err := codec.plainCells(payload)
		if err != nil {
			t.Fatal(err)
		}
		for i := range payload {
			if _, err := codec.Cells(payload[:i]); err == nil {
				t.Errorf("%d cells cut to %d bytes were read", n, i)
			}
			damaged := bytes.Clone(payload)
			damaged[i] ^= 1 << (i % 8)
			if got, err := codec.plainCells(damaged); err == nil && !bytes.Equal(got, want) {
				t.Errorf("%d cells with a flipped bit in byte %d were read as something else", n, i)
			}
		}
	}
}

func FuzzCells(f *testing.F) {
	codec := newCodec(f)
	f.Add(codec.PackCells(someCells(1, 3, 2)))
	f.Add(codec.PackCells(someCells(1, 300, 2)))
	f.Fuzz(func(t *testing.T, payload []byte) {
		cells, err := codec.Cells(payload)
		if err != nil {
			return
		}
		again, err := codec.Cells(codec.PackCells(cells))
		if err != nil || len(again) != len(cells) {
			t.Errorf("%d cells became %d: %v", len(cells), len(again), err)
		}
	})
}
