package signin_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/signin"
)

// cheap is what tests can afford.
func cheap() *signin.Passwords {
	return signin.NewPasswords(signin.PasswordOptions{Memory: 64, Passes: 1})
}

func text(s string) latchward.Secret { return latchward.SecretFromText(s) }

func TestPasswords(t *testing.T) {
	p := cheap()
	digest, err := p.Digest(t.Context(), text("secret"))
	if err != nil || !strings.HasPrefix(digest, "$argon2id$v=19$m=64,t=1,p=1$") || strings.Contains(digest, "secret") {
		t.Fatalf("%s, %v", digest, err)
	}
	again, _ := p.Digest(t.Context(), text("secret"))
	if again == digest {
		t.Error("two digests with one salt")
	}
	for password, want := range map[string]bool{"secret": true, "Secret": false, "": false, "secret ": false} {
		if got, err := p.Matches(t.Context(), text(password), digest); got != want || err != nil {
			t.Errorf("%q: %v, %v", password, got, err)
		}
	}
	if got, err := p.Matches(t.Context(), text(""), ""); got || err != nil {
		t.Errorf("nobody's password: %v, %v", got, err)
	}
	for _, bad := range []string{
		"x", "$argon2i$v=19$m=64,t=1,p=1$AAAA$AAAA", "$argon2id$v=19$m=64,t=1,p=1$AAAA$AAAA", "$argon2id$v=16$m=64,t=1,p=1$a$b",
		strings.Replace(digest, "m=64", "m=4000000000", 1), strings.Replace(digest, "t=1", "t=4000000000", 1),
		strings.Replace(digest, "p=1", "p=0", 1), strings.Replace(digest, "m=64", "m=x", 1), digest + "$",
	} {
		if got, err := p.Matches(t.Context(), text("secret"), bad); got || err == nil {
			t.Errorf("the digest %q: %v, %v", bad, got, err)
		}
	}
}

func TestOutdatedPasswords(t *testing.T) {
	digest, err := cheap().Digest(t.Context(), text("secret"))
	if err != nil {
		t.Fatal(err)
	}
	for o, want := range map[signin.PasswordOptions]bool{
		{Memory: 64, Passes: 1}: false, {Memory: 32, Passes: 1}: false, {Memory: 128, Passes: 1}: true, {Memory: 64,
			Passes: 2}: true,
	} {
		if got := signin.NewPasswords(o).Outdated(digest); got != want {
			t.Errorf("%+v: %v", o, got)
		}
	}
}

// bar 117: the default costs what OWASP asks for at least
func TestDefaultCost(t *testing.T) {
	digest, err := signin.NewPasswords(signin.PasswordOptions{}).Digest(t.Context(), text("secret"))
	if err != nil || !strings.Contains(digest, "$m=19456,t=") || strings.Contains(digest, "t=1,") ||
		strings.Contains(digest, "t=0,") {
		t.Errorf("%s, %v", digest, err)
	}
}

// bar 117: four at a time, 64 wait, and the others are told at once
func TestPasswordsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := cheap()
		release := p.Hold()
		if release == nil {
			t.Fatal("no turn")
		}
		ctx, cancel := context.WithCancel(t.Context())
		var waiting sync.WaitGroup
		results := make(chan error, 64)
		for range 64 {
			waiting.Go(func() {
				_, err := p.Digest(ctx, text("secret"))
				results <- err
			})
		}
		synctest.Wait()
		_, err := p.Digest(t.Context(), text("secret"))
		if latchward.ErrorCode(err) != latchward.CodeUnavailable {
			t.Errorf("the 65th in the queue: %v", err)
		}
		cancel()
		waiting.Wait()
		close(results)
		for err := range results {
			if latchward.ErrorCode(err) != latchward.CodeUnavailable {
				t.Errorf("somebody who went away: %v", err)
			}
		}
		release()
		if _, err := p.Digest(t.Context(), text("secret")); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}
