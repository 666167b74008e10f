package sqlite

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/latchward/latchward"
)

// What earlier versions kept as rows, sums by hour and single requests, is there after the upgrade (S2-34).
func TestUpgradeToPackedUsage(t *testing.T) {
	const hour = 1_790_000_000_000 / 3_600_000 * 3_600_000
	path, want := newPath(t), map[latchward.UsageKey]latchward.UsageCell{}
	var rows strings.Builder
	rows.WriteString(`INSERT INTO users (id, name, active, created_at, updated_at) VALUES (1, 'ada', 1, 0, 0);
		INSERT INTO api_tokens (id, name, token, user_id, created_at, updated_at, kind, key_id, token_prefix)
			VALUES (200, 'token', 'x', 1, 0, 0, 'personal', '10000000000', 'lw_');
		INSERT INTO usage_subject (token_id, name) VALUES (1, 'gone');`)
	totals := map[latchward.TokenID]int64{}
	names := map[int64]string{1: "gone", 200: "token"}
	for i := range int64(300) {
		token := []int64{0, 1, 200}[i%3]
		at, class := hour-3_600_000*(i%50), 2+i%4
		credential := map[bool]string{true: "jwt", false: "token"}[token == 0]
		values := fmt.Sprintf("%d, %d, '%s', '/a%d', 'GET', %d, %d, %d, %d, 7, 8", at, token, credential, i, class, i+1, i/2, i*1001)
		fmt.Fprintf(&rows, "INSERT INTO usage_hourly VALUES (%s);", values)
		fmt.Fprintf(&rows, "INSERT INTO usage_total VALUES (%d, %d, 1, 2, 3, 4) ON CONFLICT DO UPDATE SET requests = requests + %d;",
			token, i+1, i+1)
		totals[latchward.TokenID(token)] += i + 1
		if token != 1 { // which was deleted
			fmt.Fprintf(&rows, `INSERT INTO api_token_usage (token_id, endpoint, method, status_code, response_time_ms, request_size,
			response_size, created_at, credential, reason) VALUES (nullif(%d, 0), '/a%d', 'GET', 200, 1.5, 0, 0, %d, '%s', 'allowed');`,
				token, i, at+i, credential)
		}
		key := latchward.UsageKey{
			Hour: time.UnixMilli(at).UTC(), Token: latchward.TokenID(token), TokenName: names[token],
			Credential: latchward.CredentialType(credential), Endpoint: fmt.Sprint("/a", i), Method: "GET", Class: int(class),
		}
		want[key] = latchward.UsageCell{
			Requests: i + 1, Failed: i / 2, Duration: time.Duration(i * 1001), RequestBytes: 7, ResponseBytes: 8,
		}
	}
	makeSchema(t, path, 5, rows.String())
	s := open(t, path, Options{})
	for _, by := range []latchward.UsageDimension{31, 31 &^ latchward.ByToken} {
		got := map[latchward.UsageKey]latchward.UsageCell{}
		err := s.UsageCells(t.Context(), latchward.UsageQuery{By: by}, func(k latchward.UsageKey, c latchward.UsageCell) error {
			got[k] = c
			return nil
		})
		expected := map[latchward.UsageKey]latchward.UsageCell{}
		for k, c := range want {
			if by&latchward.ByToken == 0 {
				k.Token, k.TokenName = 0, ""
			}
			expected[k] = c
		}
		if diff := cmp.Diff(expected, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("error %v (-want +got)\n%.2000s", err, diff)
		}
	}
	counts, err := s.TokenCounts(t.Context(), []latchward.TokenID{1, 200}, time.UnixMilli(hour))
	if err != nil || counts[1].Total != totals[1] || counts[200].Total != totals[200] {
		t.Errorf("totals are %+v, error %v, want %v", counts, err, totals)
	}
	if events := allEvents(t, s, latchward.UsageEventQuery{}); len(events) != 200 { // of JWTs and of the token that is there
		t.Errorf("%d events are there after the upgrade, want 200", len(events))
	}
}
