package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward/rest"
)

// everyToken returns all tokens, page by page.
func (p *program) everyToken() (tokens []rest.Token) {
	p.t.Helper()
	args := []string{"token", "list", "-o", "json"}
	for next := args; next != nil; {
		var list rest.TokenList
		if err := json.Unmarshal([]byte(p.run(next...)), &list); err != nil {
			p.t.Fatal(err)
		}
		tokens, next = append(tokens, list.Tokens...), nil
		if list.NextCursor != nil {
			next = append(args[:len(args):len(args)], "--cursor", *list.NextCursor)
		}
	}
	return tokens
}

// B-03: killed at any moment of an import, the program goes on where it was; in the end each line is one token.
func TestKilledWhileImporting(t *testing.T) {
	lines, kills := 5000, 4
	if os.Getenv("LATCHWARD_SCALE") == "full" {
		lines, kills = 100_000, 200
	}
	const seed = 3
	random := rand.New(rand.NewPCG(seed, seed))
	p := &program{t, t.TempDir()}
	p.run("migrate", "up")
	p.run("user", "add", "--admin", "ada@example.com")
	var text strings.Builder
	text.WriteString("digest,external_id\n")
	for n := range lines {
		fmt.Fprintf(&text, "%x,%d\n", sha256.Sum256(fmt.Appendf(nil, "acme-%08d-5Hk2mQ8ZtR4w", n)), n)
	}
	if err := os.WriteFile(filepath.Join(p.folder, "tokens.csv"), []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	p.run("keys", "status")
	start := time.Since(begun)
	p.run("token", "import", "tokens.csv", "--dry-run")
	whole := time.Since(begun) - 2*start
	partly := 0
	for range kills {
		p.kill(start+time.Duration(random.Int64N(int64(whole/4+time.Millisecond))), "token", "import", "tokens.csv")
		if n := len(p.everyToken()); n > 0 && n < lines {
			partly++
		}
	}
	p.run("token", "import", "tokens.csv")
	seen := map[any]bool{}
	for _, token := range p.everyToken() {
		if id := token.Metadata["external_id"]; seen[id] {
			t.Errorf("line %v is two tokens (seed %d)", id, seed)
		} else {
			seen[id] = true
		}
	}
	if len(seen) != lines {
		t.Errorf("%d tokens of %d lines (seed %d)", len(seen), lines, seed)
	}
	var again importSummary
	if err := json.Unmarshal([]byte(p.run("token", "import", "tokens.csv", "-o", "json")), &again); err != nil {
		t.Fatal(err)
	}
	if again.Created != 0 || again.Skipped != int64(lines) || again.Failed != 0 {
		t.Errorf("once more: %+v", again)
	}
	p.run("audit", "verify")
	t.Logf("%d of %d kills left the import half done", partly, kills)
}
