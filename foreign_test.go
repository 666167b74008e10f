package latchward_test

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/latchtest"
)

// plainDigests stand for bcrypt and argon2: a digest is $2b$ and the secret backwards.
type plainDigests struct {
	calls   atomic.Int64
	at      atomic.Int64 // calls at the same time
	most    atomic.Int64
	entered chan struct{} // nil = nobody waits for it
	leave   chan struct{}
}

func (d *plainDigests) Check(_ latchward.ForeignAlgorithm, digest string) error {
	if len(digest) < 20 {
		return latchward.Invalid("digest", "is cut off")
	}
	return nil
}

func (d *plainDigests) Matches(secret latchward.Secret, _ latchward.ForeignAlgorithm, digest string) (bool, error) {
	d.calls.Add(1)
	now := d.at.Add(1)
	defer d.at.Add(-1)
	for most := d.most.Load(); now > most && !d.most.CompareAndSwap(most, now); most = d.most.Load() {
	}
	if d.entered != nil {
		d.entered <- struct{}{}
		<-d.leave
	}
	return slowDigest(secret.Expose()) == digest, nil
}

func slowDigest(text string) string {
	backwards := []byte(text)
	for i, j := 0, len(backwards)-1; i < j; i, j = i+1, j-1 {
		backwards[i], backwards[j] = backwards[j], backwards[i]
	}
	return "$2b$" + string(backwards)
}

// foreignText returns a secret as somebody else makes them.
func foreignText(n int) string { return fmt.Sprintf("acme-%04x-5Hk2mQ8ZtR4w-%d", n, n) }

func sha(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// imported imports lines as batch "test" and returns what became of them.
func (f *fixture) imported(t testing.TB, lines ...latchward.ImportLine) []latchward.ImportResult {
	t.Helper()
	for i := range lines {
		lines[i].Number = int64(i + 1)
		if lines[i].Owner == "" {
			lines[i].Owner = fmt.Sprint(f.owner)
		}
	}
	results, err := f.ImportTokens(f.ctx, latchward.ImportBatch{Name: "test", Source: "test.csv", Lines: lines})
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func (f *fixture) mustImport(t testing.TB, lines ...latchward.ImportLine) []latchward.TokenID {
	t.Helper()
	var ids []latchward.TokenID
	for _, result := range f.imported(t, lines...) {
		if result.Status != latchward.ImportCreated {
			t.Fatalf("line %d: %s, %v", result.Line, result.Status, result.Err)
		}
		ids = append(ids, result.TokenID)
	}
	return ids
}

func digestLine(algorithm latchward.ForeignAlgorithm, digest, salt, prefix string) latchward.ImportLine {
	return latchward.ImportLine{Foreign: latchward.Foreign{
		Algorithm: algorithm, Digest: digest, Salt: []byte(salt), LookupPrefix: prefix,
	}}
}

func withSlow(d *plainDigests) func(o *latchward.Options) {
	return func(o *latchward.Options) { o.SlowDigests = d }
}

// B-03: whatever way a secret was digested in, the old one goes on working, and no other does.
func TestImportedSecretsVerify(t *testing.T) {
	text := foreignText(7)
	sum256, sum512 := sha256.Sum256([]byte(text)), sha512.Sum512([]byte(text))
	salted256 := sha256.Sum256([]byte("pinch" + text))
	salted512 := sha512.Sum512([]byte(text + "pinch"))
	prefix := text[:8]
	for name, line := range map[string]latchward.ImportLine{
		"raw":               {Foreign: latchward.Foreign{Value: latchward.SecretFromText(text)}},
		"sha256 hex":        digestLine("sha256", hex.EncodeToString(sum256[:]), "", ""),
		"sha256 upper case": digestLine("", strings.ToUpper(hex.EncodeToString(sum256[:])), "", ""),
		"sha256 base64":     digestLine("", base64.StdEncoding.EncodeToString(sum256[:]), "", ""),
		"sha256 base64url":  digestLine("sha256", base64.RawURLEncoding.EncodeToString(sum256[:]), "", prefix),
		"sha512 hex":        digestLine("", hex.EncodeToString(sum512[:]), "", ""),
		"sha512 base64":     digestLine("sha512", base64.StdEncoding.EncodeToString(sum512[:]), "", ""),
		"salt first":        digestLine("sha256-salt-token", hex.EncodeToString(salted256[:]), "pinch", prefix),
		"salt last":         digestLine("sha512-token-salt", hex.EncodeToString(salted512[:]), "pinch", prefix),
		"bcrypt":            digestLine("", slowDigest(text), "", prefix),
	} {
		t.Run(name, func(t *testing.T) {
			slow := &plainDigests{}
			f := newFixture(t, withSlow(slow))
			id := f.mustImport(t, line)[0]
			for range 3 {
				if got := f.reason(t, latchward.SecretFromText(text)); got != latchward.ReasonAllowed {
					t.Fatalf("the secret: %s", got)
				}
			}
			if slow.calls.Load() > 1 {
				t.Errorf("%d slow digests for one secret: it was not re-hashed", slow.calls.Load())
			}
			for _, other := range []string{text + "x", text[:len(text)-1], strings.ToUpper(text), foreignText(8)} {
				if got := f.reason(t, latchward.SecretFromText(other)); got != latchward.ReasonNotFound {
					t.Errorf("%q: %s", other, got)
				}
			}
			token := must[*latchward.Token](t)(f.Token(f.ctx, id))
			if token.Imported != "test" || !strings.HasPrefix(text, token.Prefix) {
				t.Errorf("imported %q, prefix %q", token.Imported, token.Prefix)
			}
		})
	}
}

// An imported token is a token like any other: all that can be done to one can be done to it.
func TestImportedTokensLive(t *testing.T) {
	for name, line := range map[string]latchward.ImportLine{
		"fast": digestLine("", sha(foreignText(1)), "", ""),
		"slow": digestLine("", slowDigest(foreignText(1)), "", "acme"),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, withSlow(&plainDigests{}))
			line.Token.RateLimit = 1000
			id, old := f.mustImport(t, line)[0], latchward.SecretFromText(foreignText(1))
			step := func(what string, secret latchward.Secret, want latchward.Reason) {
				t.Helper()
				if got := f.reason(t, secret); got != want {
					t.Errorf("%s: %s, want %s", what, got, want)
				}
			}
			issued := must[latchward.IssuedToken](t)(f.RotateToken(f.ctx, id, latchward.Rotation{Grace: time.Hour}))
			if !strings.HasPrefix(issued.Secret.Expose(), "lw_") {
				t.Error("rotating does not give a secret of our own")
			}
			step("the new secret", issued.Secret, latchward.ReasonAllowed)
			step("the old one in its grace", old, latchward.ReasonAllowed)
			step("the old one in its grace again", old, latchward.ReasonAllowed)
			f.advance(time.Hour)
			step("the old one after it", old, latchward.ReasonRotated)
			active := false
			must[latchward.IssuedToken](t)(f.UpdateToken(f.ctx, id, latchward.TokenUpdate{Active: &active}))
			step("when disabled", issued.Secret, latchward.ReasonDisabled)
			must[*latchward.Token](t)(f.RevokeToken(f.ctx, id, latchward.Revocation{Note: "lost"}))
			step("when revoked", issued.Secret, latchward.ReasonRevoked)
			step("the old one when revoked", old, latchward.ReasonRevoked)
			f.must(t, f.DeleteToken(f.ctx, id), "")
			step("when deleted", old, latchward.ReasonNotFound)
		})
	}
}

// Where nothing was imported, a string that is not ours costs nothing; nor does one with our prefix, unless an import
// declared that.
func TestForeignStringsCostNothingWithoutImports(t *testing.T) {
	f := newFixture(t, nil)
	ours := "lw_" + strings.Repeat("a", 30)
	for range 10 {
		if got := f.reason(t, latchward.SecretFromText(foreignText(1))); got != latchward.ReasonMalformed {
			t.Errorf("without imports: %s", got)
		}
	}
	if reads := f.store.reads.Load(); reads != 0 {
		t.Errorf("%d reads without imports", reads)
	}
	f.mustImport(t, digestLine("", sha(foreignText(1)), "", ""))
	if got := f.reason(t, latchward.SecretFromText(ours)); got != latchward.ReasonMalformed {
		t.Errorf("with our prefix: %s", got)
	}
	if reads := f.store.reads.Load(); reads != 0 {
		t.Errorf("%d reads for a string with our prefix", reads)
	}
	line := latchward.ImportLine{Number: 1, Owner: fmt.Sprint(f.owner), Foreign: latchward.Foreign{Value: latchward.SecretFromText("lw_from-another-Latchward")}}
	if results := f.imported(t, line); latchward.ErrorField(results[0].Err) != "token" {
		t.Errorf("a secret with our prefix was imported without saying so: %v", results[0].Err)
	}
	results, err := f.ImportTokens(f.ctx, latchward.ImportBatch{Name: "own", OwnPrefix: true, Lines: []latchward.ImportLine{line}})
	if err != nil || results[0].Status != latchward.ImportCreated {
		t.Fatal(results, err)
	}
	if got := f.reason(t, line.Value); got != latchward.ReasonAllowed {
		t.Errorf("with our prefix, declared: %s", got)
	}
}

// Unknown strings do not reach the database without bound (C-02), and known ones go on whatever their neighbours send.
func TestUnknownForeignStringsAreThrottled(t *testing.T) {
	f := newFixture(t, nil)
	f.mustImport(t, digestLine("", sha(foreignText(0)), "", ""), digestLine("", sha(foreignText(-1)), "", ""))
	address := netip.MustParseAddr("203.0.113.7")
	ask := func(text string, address netip.Addr) latchward.Verdict {
		t.Helper()
		v, err := f.Verify(context.Background(), latchward.VerifyRequest{Secret: latchward.SecretFromText(text), Address: address})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if v := ask(foreignText(0), address); !v.Allowed() {
		t.Fatal(v.Reason)
	}
	before := f.store.reads.Load()
	reasons := map[latchward.Reason]int{}
	for i := range 1000 {
		v := ask(foreignText(i+1), address)
		reasons[v.Reason]++
		if v.Reason == latchward.ReasonRateLimited && (v.RetryAfter() < time.Second || v.RetryAfter() > time.Minute || v.Token.ID != 0) {
			t.Fatalf("%+v", v)
		}
	}
	if reads := f.store.reads.Load() - before; reads != 100 {
		t.Errorf("%d reads for 1,000 unknown strings, want 100", reads)
	}
	if reasons[latchward.ReasonNotFound] != 100 || reasons[latchward.ReasonRateLimited] != 900 {
		t.Errorf("%v", reasons)
	}
	if v := ask(foreignText(0), address); !v.Allowed() {
		t.Errorf("a known secret from the same address: %s", v.Reason)
	}
	if v := ask(foreignText(-1), netip.MustParseAddr("203.0.113.8")); !v.Allowed() {
		t.Errorf("an unknown one from another address: %s", v.Reason)
	}
	own := f.create(t, latchward.NewToken{})
	if v := ask(own.Secret.Expose(), address); !v.Allowed() {
		t.Errorf("one of our own from the same address: %s", v.Reason)
	}
	f.advance(time.Minute)
	if v := ask(foreignText(5000), address); v.Reason != latchward.ReasonNotFound {
		t.Errorf("a minute later: %s", v.Reason)
	}
}

// An unknown string that comes again and again costs one look-up, until what was imported may have made it known.
func TestUnknownForeignStringsAreRemembered(t *testing.T) {
	slow := &plainDigests{}
	f := newFixture(t, withSlow(slow))
	f.mustImport(t, digestLine("", sha(foreignText(0)), "", ""), digestLine("", slowDigest(foreignText(1)), "", "acme"))
	later := latchward.SecretFromText(foreignText(2))
	for range 50 {
		if got := f.reason(t, later); got != latchward.ReasonNotFound {
			t.Fatal(got)
		}
	}
	if reads, calls := f.store.reads.Load(), slow.calls.Load(); reads != 1 || calls != 1 {
		t.Errorf("%d reads, %d slow digests", reads, calls)
	}
	f.mustImport(t, digestLine("", slowDigest(foreignText(2)), "", "acme"))
	if got := f.reason(t, later); got != latchward.ReasonAllowed { // bar 17
		t.Errorf("right after it was imported: %s", got)
	}
}

// At most two slow digests are made at once, one for a string that several present, and too many in line are told to
// come again; secrets of our own pass by.
func TestSlowDigestsAreBounded(t *testing.T) {
	slow := &plainDigests{entered: make(chan struct{}, 100), leave: make(chan struct{})}
	f := newFixture(t, withSlow(slow))
	var lines []latchward.ImportLine
	for i := range 60 {
		text := fmt.Sprintf("%08d-5Hk2mQ8ZtR4w", i)
		lines = append(lines, digestLine("", slowDigest(text), "", text[:8]))
	}
	f.mustImport(t, lines...)
	reasons := make(chan latchward.Reason, 300)
	present := func(text string) {
		v, err := f.Verify(context.Background(), latchward.VerifyRequest{Secret: latchward.SecretFromText(text)})
		if err != nil {
			t.Error(err)
		}
		reasons <- v.Reason
	}
	for i := range 60 {
		for range 5 {
			go present(fmt.Sprintf("%08d-5Hk2mQ8ZtR4w", i))
		}
	}
	<-slow.entered
	<-slow.entered
	for range 5 * 42 { // two are at it and sixteen in line
		if reason := <-reasons; reason != latchward.ReasonRateLimited {
			t.Errorf("not in line: %s", reason)
		}
	}
	if got := f.reason(t, f.create(t, latchward.NewToken{}).Secret); got != latchward.ReasonAllowed {
		t.Errorf("one of our own meanwhile: %s", got)
	}
	close(slow.leave)
	for range 5 * 18 {
		if reason := <-reasons; reason != latchward.ReasonAllowed {
			t.Errorf("in line: %s", reason)
		}
	}
	if most, calls := slow.most.Load(), slow.calls.Load(); most != 2 || calls != 18 {
		t.Errorf("%d slow digests, %d of them at once; want 18 and 2", calls, most)
	}
	slow.entered = nil
	for i := range 60 { // whoever comes again gets in
		if got := f.reason(t, latchward.SecretFromText(fmt.Sprintf("%08d-5Hk2mQ8ZtR4w", i))); got != latchward.ReasonAllowed {
			t.Errorf("secret %d later: %s", i, got)
		}
	}
}

// Guessing at one lookup prefix, or from one address, costs a bounded number of slow digests.
func TestGuessesAtSlowDigestsAreBounded(t *testing.T) {
	slow := &plainDigests{}
	f := newFixture(t, withSlow(slow))
	f.mustImport(t, digestLine("", slowDigest(foreignText(0)), "", "acme-"))
	for i := range 200 {
		address := netip.AddrFrom4([4]byte{198, 51, byte(i / 250), byte(i)})
		_, err := f.Verify(context.Background(), latchward.VerifyRequest{
			Secret: latchward.SecretFromText(foreignText(i + 1)), Address: address,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if calls := slow.calls.Load(); calls != 10 {
		t.Errorf("%d slow digests for 200 guesses at one prefix, want 10", calls)
	}
}

// Whoever can write to the database alone can neither move a digest to another token nor make one (B-02).
func TestSwappedDigestsAreRefused(t *testing.T) {
	type secret = latchward.ForeignSecret
	for name, forge := range map[string]func(a, b secret) secret{
		"the digest":            func(a, b secret) secret { b.Sealed = a.Sealed; return b },
		"digest and prefix":     func(a, b secret) secret { b.Sealed, b.LookupPrefix = a.Sealed, a.LookupPrefix; return b },
		"the prefix":            func(_, b secret) secret { b.LookupPrefix = "acme"; return b },
		"the token":             func(a, b secret) secret { b.TokenID = a.TokenID; return b },
		"the key id":            func(a, b secret) secret { b.KeyID = a.KeyID; return b },
		"and the other way":     func(a, b secret) secret { a.KeyID = b.KeyID; return a },
		"a digest in the clear": func(_, b secret) secret { b.Sealed = slowDigest(foreignText(3)); return b },
		"the whole row":         func(a, b secret) secret { a.TokenID = b.TokenID; return a },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, withSlow(&plainDigests{}))
			ids := f.mustImport(t, digestLine("", slowDigest(foreignText(1)), "", "acme-0001"),
				digestLine("", slowDigest(foreignText(2)), "", "acme-0002"), digestLine("", slowDigest(foreignText(9)), "", "acme"))
			rows := must[[]secret](t)(f.store.ForeignSecrets(f.ctx, []string{"acme-0001", "acme-0002"}, 10))
			if rows[0].TokenID != ids[0] {
				rows[0], rows[1] = rows[1], rows[0]
			}
			forged := forge(rows[0], rows[1])
			_, err := f.store.Tx(f.ctx, func(tx latchward.Tx) error { return tx.SaveForeignSecret(forged) })
			f.must(t, err, "")
			for i, want := range map[int]latchward.TokenID{1: ids[0], 2: ids[1], 3: 0} {
				if i < 3 && forged.KeyID == rows[i-1].KeyID {
					want = 0 // what was changed is good for nothing
				}
				v, err := f.Verify(context.Background(), latchward.VerifyRequest{Secret: latchward.SecretFromText(foreignText(i))})
				if err != nil || v.Token.ID != want {
					t.Errorf("secret %d: %s, token %d, want %d; %v", i, v.Reason, v.Token.ID, want, err)
				}
			}
		})
	}
}

// Server keys are rotated under imported secrets, too: those that are used move to the new key, and dropping the old
// one refuses exactly the others (B-02, bar 136).
func TestImportedSecretsFollowServerKeys(t *testing.T) {
	f := newFixture(t, withSlow(&plainDigests{}))
	f.mustImport(t, digestLine("", sha(foreignText(1)), "", ""), digestLine("", sha(foreignText(2)), "", ""),
		digestLine("", slowDigest(foreignText(3)), "", "acme"), digestLine("", slowDigest(foreignText(4)), "", "acme"))
	used := func(n int) latchward.Reason { return f.reason(t, latchward.SecretFromText(foreignText(n))) }
	if got := used(1); got != latchward.ReasonAllowed { // it is remembered when the key is rotated
		t.Error(got)
	}
	next := must[*latchward.KeyRing](t)(f.Keys().Rotate(latchtest.Seeded(9), f.clock()))
	f.must(t, f.UseKeys(f.ctx, next), "")
	for _, n := range []int{1, 3} {
		for range 2 {
			if got := used(n); got != latchward.ReasonAllowed {
				t.Errorf("secret %d after the rotation: %s", n, got)
			}
		}
	}
	if status := must[[]latchward.KeyStatus](t)(f.KeyStatus(f.ctx)); status[0].Tokens != 2 || status[1].Tokens != 2 {
		t.Errorf("key status %+v", status)
	}
	if results := f.imported(t, digestLine("", sha(foreignText(1)), "", ""), digestLine("", slowDigest(foreignText(3)), "", "acme"),
		digestLine("", sha(foreignText(2)), "", "")); results[0].Status != latchward.ImportSkipped ||
		results[1].Status != latchward.ImportSkipped || results[2].Status != latchward.ImportSkipped {
		t.Errorf("imported again after the rotation: %+v", results)
	}
	f.must(t, f.UseKeys(f.ctx, must[*latchward.KeyRing](t)(next.Drop(1))), "")
	for n, want := range map[int]latchward.Reason{
		1: latchward.ReasonAllowed, 2: latchward.ReasonNotFound, 3: latchward.ReasonAllowed, 4: latchward.ReasonNotFound,
	} {
		if got := used(n); got != want {
			t.Errorf("secret %d after the old key was dropped: %s, want %s", n, got, want)
		}
	}
}
