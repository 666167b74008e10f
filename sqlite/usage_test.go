package sqlite

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
)

// batchOf returns n accepted events of a token from an offset on, a millisecond apart, each with a request id made of
// prefix; "" gives them none.
func batchOf(id latchward.TokenID, from int64, n int, prefix string) latchward.UsageBatch {
	b := latchward.UsageBatch{
		Node: "node", From: latchward.JournalOffset{At: from}, To: latchward.JournalOffset{At: from + int64(n)},
	}
	for i := range n {
		e := latchward.UsageEvent{
			At: time.UnixMilli(1_790_000_000_000 + from + int64(i)), TokenID: id, Credential: latchward.CredentialToken,
			Reason: latchward.ReasonAllowed, Endpoint: fmt.Sprintf("/products/%d", i%50), Method: "GET", Status: 200,
			Duration: 12345 * time.Microsecond, ResponseBytes: 1500,
			UserAgent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120 Safari/537.36",
		}
		if prefix != "" {
			e.RequestID = fmt.Sprintf("%s%d", prefix, i)
		}
		b.Events, b.Names = append(b.Events, e), append(b.Names, e.Endpoint)
	}
	return b
}

func addUsage(t testing.TB, s *Store, b latchward.UsageBatch) {
	t.Helper()
	if err := s.AddUsage(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

func number(t testing.TB, s *Store, query string, args ...any) int64 {
	t.Helper()
	n, err := one(t.Context(), unprepared{s.readers}, scalar[int64], query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// counted returns how many requests the rollups tell of, the same whatever they are asked by.
func counted(t testing.TB, s *Store) int64 {
	t.Helper()
	var sums []int64
	for _, by := range []latchward.UsageDimension{0, latchward.ByToken, latchward.ByEndpoint | latchward.ByHour} {
		sum := int64(0)
		err := s.UsageCells(t.Context(), latchward.UsageQuery{By: by}, func(_ latchward.UsageKey, c latchward.UsageCell) error {
			sum += c.Requests
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, sum)
	}
	if slices.Min(sums) != slices.Max(sums) {
		t.Errorf("rollups contradict each other: %v", sums)
	}
	return sums[0]
}

// rawEvents is a query for how many raw events there are.
const rawEvents = `SELECT (SELECT count(*) FROM api_token_usage) + (SELECT ifnull(sum(events), 0) FROM usage_pack)`

// A batch that does not divide into statements of many rows is added whole.
func TestBatchesOfAllSizes(t *testing.T) {
	t.Run("packs", func(t *testing.T) { testBatchesOfAllSizes(t, Options{}) })
	t.Run("rows", func(t *testing.T) { testBatchesOfAllSizes(t, Options{UsageRows: true}) })
}

func testBatchesOfAllSizes(t *testing.T, o Options) {
	s := open(t, newPath(t), o)
	token, from := addToken(t, s, addUser(t, s), 1), int64(0)
	for _, size := range []int{0, 1, bulkRows - 1, bulkRows, bulkRows + 1, 3*bulkRows + 7} {
		b := batchOf(token.ID, from, size, "")
		b.To.At = max(b.To.At, b.From.At+1)
		addUsage(t, s, b)
		raw := number(t, s, rawEvents)
		if want := counted(t, s); raw != want {
			t.Errorf("after a batch of %d there are %d events and sums of %d", size, raw, want)
		}
		from = b.To.At
	}
	if n := number(t, s, rawEvents); n != 1+6*bulkRows+7 {
		t.Errorf("%d events", n)
	}
	rows := number(t, s, `SELECT count(*) FROM api_token_usage`)
	if want := map[bool]int64{true: 1 + 6*bulkRows + 7}[o.UsageRows]; rows != want {
		t.Errorf("%d events are rows, want %d", rows, want)
	}
}

// Request ids come from outside: whatever bytes they are, each counts once.
func TestOddRequestIDs(t *testing.T) {
	s := open(t, newPath(t), Options{})
	token := addToken(t, s, addUser(t, s), 1)
	ids := []string{"\xff", "\x00", "a\x00b", "a", `"`, `\`, "é", "[]", "null", "1", "01", " 1"}
	for round := range 2 {
		b := batchOf(token.ID, int64(round*len(ids)), len(ids), "")
		for i, id := range ids {
			b.Events[i].RequestID = id
		}
		addUsage(t, s, b)
		if n := number(t, s, rawEvents); n != int64(len(ids)) {
			t.Errorf("after round %d there are %d events, want %d", round, n, len(ids))
		}
	}
}

// Request ids are recognised for a day and then forgotten, a batch at a time.
func TestRequestIDsAreForgotten(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := open(t, newPath(t), Options{Now: func() time.Time { return now }})
	token := addToken(t, s, addUser(t, s), 1)
	addUsage(t, s, batchOf(token.ID, 0, 10, "a"))
	prune := func(want int) {
		t.Helper()
		if n, err := s.PruneUsage(t.Context(), latchward.UsageRetention{}, 4); err != nil || n != want {
			t.Errorf("PruneUsage removed %d rows, error %v, want %d", n, err, want)
		}
	}
	now = now.Add(keepRequestIDs)
	prune(0)
	addUsage(t, s, batchOf(token.ID, 10, 10, "a"))
	now = now.Add(time.Millisecond)
	prune(4)
	prune(4)
	prune(2)
	prune(0)
	if n := counted(t, s); n != 10 {
		t.Errorf("%d requests were counted, want each id once", n)
	}
}

// the token is gone at once, its raw rows go in batches, and the row itself last.
func TestDeletedTokenGoesInSteps(t *testing.T) {
	t.Run("packs", func(t *testing.T) { testDeletedTokenGoesInSteps(t, Options{}) })
	t.Run("rows", func(t *testing.T) { testDeletedTokenGoesInSteps(t, Options{UsageRows: true}) })
}

func testDeletedTokenGoesInSteps(t *testing.T, o Options) {
	s := open(t, newPath(t), o)
	owner := addUser(t, s)
	token, other := addToken(t, s, owner, 1), addToken(t, s, owner, 2)
	addUsage(t, s, batchOf(token.ID, 0, 10, ""))
	addUsage(t, s, batchOf(other.ID, 10, 5, ""))
	if _, err := s.Tx(t.Context(), func(tx latchward.Tx) error { return tx.DeleteToken(token.ID) }); err != nil {
		t.Fatal(err)
	}
	steps := []struct{ removed, rows, tokens int64 }{{4, 11, 2}, {4, 7, 2}, {2, 5, 1}, {0, 5, 1}}
	for i, want := range steps {
		removed, err := s.ForgetUsage(t.Context(), 4)
		rows := number(t, s, rawEvents)
		tokens := number(t, s, `SELECT count(*) FROM api_tokens`)
		if err != nil || int64(removed) != want.removed || rows != want.rows || tokens != want.tokens {
			t.Errorf("step %d removed %d, error %v, leaving %d events and %d tokens, want %+v",
				i, removed, err, rows, tokens, want)
		}
	}
	if fresh := addToken(t, s, owner, 3); fresh.ID <= other.ID {
		t.Errorf("id %d was used again", fresh.ID)
	}
	if n := number(t, s, `SELECT count(*) FROM usage_subject WHERE token_id = ? AND name = 'token 1'`, token.ID); n != 1 {
		t.Errorf("the name of the deleted token is not remembered")
	}
}

// What is left of a deleted token until its usage is gone tells nothing about it.
func TestDeletedRowHoldsNothing(t *testing.T) {
	s := open(t, newPath(t), Options{})
	token := newToken(addUser(t, s), 1)
	token.Description, token.Tags, token.Metadata = "private", []string{"private"}, map[string]any{"a": "private"}
	_, err := s.Tx(t.Context(), func(tx latchward.Tx) error {
		if err := tx.SaveToken(token); err != nil {
			return err
		}
		return tx.DeleteToken(token.ID)
	})
	if err != nil {
		t.Fatal(err)
	}
	left := number(t, s, `SELECT count(*) FROM api_tokens WHERE name = '' AND token NOT LIKE ?
		AND coalesce(key_id, description, tags, metadata) IS NULL`, token.Secret.Digest.String())
	if left != 1 {
		t.Errorf("the row of the deleted token still tells something")
	}
}

// C-08: last_used_at is written once per token and batch, and not at all when it does not move.
func TestLastUsedIsWrittenOncePerBatch(t *testing.T) {
	writes := 0
	f := &faults{after: func(statement string) {
		if strings.HasPrefix(statement, "UPDATE api_tokens SET last_used_at") {
			writes++
		}
	}}
	s := open(t, newPath(t), Options{wrap: f.wrap})
	owner := addUser(t, s)
	one, two := addToken(t, s, owner, 1), addToken(t, s, owner, 2)
	b, c := batchOf(one.ID, 0, 500, ""), batchOf(two.ID, 500, 500, "")
	b.To, b.Events, b.Names = c.To, append(b.Events, c.Events...), append(b.Names, c.Names...)
	addUsage(t, s, b)
	if writes != 1 {
		t.Errorf("last_used_at was written by %d statements for 1,000 events of 2 tokens, want 1", writes)
	}
}

// The number of statements grows with what is written, not with the events that fall into it.
func TestStatementsPerBatch(t *testing.T) {
	statements := 0
	f := &faults{after: func(string) { statements++ }}
	s := open(t, newPath(t), Options{wrap: f.wrap})
	token := addToken(t, s, addUser(t, s), 1)
	statements = 0
	addUsage(t, s, batchOf(token.ID, 0, 5000, ""))
	if most := 30; statements > most {
		t.Errorf("%d statements for 5,000 events, want at most %d", statements, most)
	}
}

// S2-34: names of endpoints stay as long as sums name them.
func TestEndpointNamesGoWithTheirSums(t *testing.T) {
	s := open(t, newPath(t), Options{})
	token := addToken(t, s, addUser(t, s), 1)
	old, recent := batchOf(token.ID, 0, 2, ""), batchOf(token.ID, 2, 1, "")
	recent.Events[0].At = recent.Events[0].At.Add(2 * time.Hour)
	addUsage(t, s, old)
	addUsage(t, s, recent)
	keep := latchward.UsageRetention{Hours: old.Events[0].At.Add(time.Hour)}
	if _, err := s.PruneUsage(t.Context(), keep, 100); err != nil {
		t.Fatal(err)
	}
	names, err := s.EndpointNames(t.Context())
	if err != nil || !slices.Equal(names, []string{"/products/0"}) {
		t.Errorf("the names are %q, error %v, want the one that is still counted", names, err)
	}
}

func TestDurationsAreExact(t *testing.T) {
	s := open(t, newPath(t), Options{})
	token := addToken(t, s, addUser(t, s), 1)
	durations := []time.Duration{0, 1, 999_999, time.Millisecond, 1_234_567_891, 24*time.Hour + 1, 100 * 24 * time.Hour}
	b := batchOf(token.ID, 0, len(durations), "")
	var total time.Duration
	for i, d := range durations {
		b.Events[i].Duration = d
		total += d
	}
	addUsage(t, s, b)
	i := len(durations)
	err := s.UsageEvents(t.Context(), latchward.UsageEventQuery{}, func(e *latchward.UsageEvent) error {
		if i--; e.Duration != durations[i] {
			t.Errorf("%v became %v", durations[i], e.Duration)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = s.UsageCells(t.Context(), latchward.UsageQuery{}, func(_ latchward.UsageKey, c latchward.UsageCell) error {
		if c.Duration != total {
			t.Errorf("the sum is %v, want %v", c.Duration, total)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
