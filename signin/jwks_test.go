package signin_test

import (
	"bytes"
	"context"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/signin"
)

// bar 106: the key fixes the algorithm
func TestAlgorithmsOfPublicKeys(t *testing.T) {
	ec, ed := newECKey(t, elliptic.P256()), newEdKey(t)
	large := newECKey(t, elliptic.P384())
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	encryption := strings.Replace(publicJWK(t, "enc", "", ec.Public()), "{", `{"use":"enc",`, 1)
	shared := `{"kty":"oct","kid":"shared","k":"` + encode(string(secret)) + `"}`
	private, err := (&jose.JSONWebKey{Key: ed, KeyID: "private"}).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	file := writeKeySet(t, keySet(
		`{"kty":"future","kid":"future"}`, `7`, `{"kty":"RSA"}`,
		publicJWK(t, "rsa", "", rsaKey().Public()), publicJWK(t, "pss", "PS256", rsaKey().Public()),
		publicJWK(t, "ec", "ES256", ec.Public()), publicJWK(t, "ed", "", ed.Public()),
		publicJWK(t, "large", "", large.Public()), publicJWK(t, "small", "", small.Public()),
		publicJWK(t, "wrong", "RS256", ec.Public()), encryption, shared, string(private),
	))
	j := newJWT(t, &people{}, signin.JWTOptions{JWKSFile: file})
	for _, test := range []struct {
		name string
		jwt  latchward.Secret
		ok   bool
	}{
		{"RS256", signWith(t, jose.RS256, "rsa", rsaKey()), true},
		{"PS256", signWith(t, jose.PS256, "rsa", rsaKey()), true},
		{"PS256 by alg", signWith(t, jose.PS256, "pss", rsaKey()), true},
		{"ES256", signWith(t, jose.ES256, "ec", ec), true},
		{"EdDSA", signWith(t, jose.EdDSA, "ed", ed), true},
		{"the only key of its algorithm", signWith(t, jose.EdDSA, "", ed), true},

		{"one of several keys", signWith(t, jose.PS256, "", rsaKey()), false},
		{"RS256 with a key for PS256", signWith(t, jose.RS256, "pss", rsaKey()), false},
		{"RS512", signWith(t, jose.RS512, "rsa", rsaKey()), false},
		{"ES384", signWith(t, jose.ES384, "large", large), false},
		{"a small key", signWith(t, jose.RS256, "small", rsaKey()), false},
		{"a key of another type", signWith(t, jose.ES256, "rsa", ec), false},
		{"a key with the wrong alg", signWith(t, jose.ES256, "wrong", ec), false},
		{"a key for encryption", signWith(t, jose.ES256, "enc", ec), false},
		{"a shared key", signWith(t, jose.HS256, "shared", secret), false},
		{"a private key", signWith(t, jose.EdDSA, "private", ed), false},
		{"another key", signWith(t, jose.EdDSA, "ed", newEdKey(t)), false},
		{"an id in another case", signWith(t, jose.EdDSA, "ED", ed), false},
		{"an id that is a path", signWith(t, jose.EdDSA, "../../etc/passwd", ed), false},
		{"an id that is a query", signWith(t, jose.EdDSA, "' OR 1=1", ed), false},
	} {
		_, err := j.Authenticate(t.Context(), test.jwt)
		if (err == nil) != test.ok || err != nil && latchward.ErrorCode(err) != latchward.CodeUnauthenticated {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	header := `{"alg":"EdDSA","kid":"` + strings.Repeat("k", 1<<20) + `"}`
	text := latchward.SecretFromText(signHS256(secret, header, claimsWith()))
	if _, err := j.Authenticate(t.Context(), text); latchward.ErrorCode(err) != latchward.CodeUnauthenticated {
		t.Errorf("an id of 1 MiB: %v", err)
	}
}

// bar 107
func TestKeysAreFetchedRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, p := newEdKey(t), &provider{}
		p.serve(keySet(publicJWK(t, "a", "", key.Public())))
		j := p.remote(t)
		known, unknown := signWith(t, jose.EdDSA, "a", key), signWith(t, jose.EdDSA, "b", key)
		check := func(name string, jwt latchward.Secret, want latchward.Code, fetches int64) {
			t.Helper()
			_, err := j.Authenticate(t.Context(), jwt)
			synctest.Wait()
			if latchward.ErrorCode(err) != want || p.fetches.Load() != fetches {
				t.Errorf("%s: %v after %d fetches, want %d", name, err, p.fetches.Load(), fetches)
			}
		}
		check("first", known, "", 1)
		for range 1000 {
			check("known", known, "", 1)
			check("unknown in the same minute", unknown, latchward.CodeUnauthenticated, 1)
		}
		time.Sleep(time.Minute)
		check("unknown in the next minute", unknown, latchward.CodeUnauthenticated, 2)
		check("unknown again", unknown, latchward.CodeUnauthenticated, 2)
		check("known", known, "", 2)
		time.Sleep(9 * time.Minute)
		check("known and fresh", known, "", 2)
		time.Sleep(time.Minute)
		check("known and old", known, "", 3)
		check("known and fresh again", known, "", 3)
	})
}

// bar 107: keys that are known serve for a day without their provider, and then nobody is let in
func TestKeysOutliveTheirProvider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, p := newEdKey(t), &provider{}
		p.serve(keySet(publicJWK(t, "a", "", key.Public())))
		j := p.remote(t)
		jwt := signWith(t, jose.EdDSA, "a", key)
		check := func(name string, want latchward.Code) {
			t.Helper()
			if _, err := j.Authenticate(t.Context(), jwt); latchward.ErrorCode(err) != want {
				t.Errorf("%s: %v", name, err)
			}
			synctest.Wait()
		}
		check("first", "")
		p.fail()
		time.Sleep(24*time.Hour - time.Second)
		check("within a day", "")
		time.Sleep(time.Second)
		check("after a day", latchward.CodeUnavailable)
		p.serve(keySet(publicJWK(t, "a", "", key.Public())))
		check("provider back, within the minute", latchward.CodeUnavailable)
		time.Sleep(time.Minute)
		check("provider back", "")
	})
}

// Without any keys nothing can be decided, and that is no reason to ask more often.
func TestNoKeysAtAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, p := newEdKey(t), &provider{}
		p.fail()
		j := p.remote(t)
		jwt := signWith(t, jose.EdDSA, "a", key)
		for range 100 {
			_, err := j.Authenticate(t.Context(), jwt)
			if latchward.ErrorCode(err) != latchward.CodeUnavailable || p.fetches.Load() != 1 {
				t.Fatalf("%v after %d fetches", err, p.fetches.Load())
			}
			checkSilent(t, "no keys", jwt.Expose(), err)
		}
	})
}

// bar 107: a key that replaces another while both are published fails nobody
func TestKeysRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, fresh, p := newEdKey(t), newEdKey(t), &provider{}
		p.serve(keySet(publicJWK(t, "old", "", old.Public())))
		j := p.remote(t)
		byOld, byNew := signWith(t, jose.EdDSA, "old", old), signWith(t, jose.EdDSA, "new", fresh)
		check := func(name string, jwt latchward.Secret, want latchward.Code) {
			t.Helper()
			if _, err := j.Authenticate(t.Context(), jwt); latchward.ErrorCode(err) != want {
				t.Errorf("%s: %v", name, err)
			}
		}
		check("old", byOld, "")
		time.Sleep(time.Minute)
		p.serve(keySet(publicJWK(t, "old", "", old.Public()), publicJWK(t, "new", "", fresh.Public())))
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { check("new, at the same time", byNew, "") })
			all.Go(func() { check("old, meanwhile", byOld, "") })
		}
		all.Wait()
		if p.fetches.Load() != 2 {
			t.Errorf("%d fetches", p.fetches.Load())
		}
		p.serve(keySet(publicJWK(t, "new", "", fresh.Public())))
		time.Sleep(10 * time.Minute)
		check("old, served once more while the keys are loaded", byOld, "")
		synctest.Wait()
		check("old, no longer published", byOld, latchward.CodeUnauthenticated)
		check("new", byNew, "")
	})
}

// A fetch serves everybody who waits for it: who leaves takes nothing from the others.
func TestFetchOutlivesItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, p := newEdKey(t), &provider{}
		release := make(chan struct{})
		p.set(func(r *http.Request) (*http.Response, error) {
			select {
			case <-release:
				return reply(200, strings.NewReader(keySet(publicJWK(t, "a", "", key.Public())))), nil
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		})
		j := p.remote(t)
		jwt := signWith(t, jose.EdDSA, "a", key)
		ctx, cancel := context.WithCancel(t.Context())
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { _, err := j.Authenticate(ctx, jwt); first <- err }()
		synctest.Wait()
		go func() { _, err := j.Authenticate(t.Context(), jwt); second <- err }()
		synctest.Wait()
		cancel()
		if err := <-first; latchward.ErrorCode(err) != latchward.CodeUnavailable {
			t.Errorf("who left: %v", err)
		}
		close(release)
		if err := <-second; err != nil || p.fetches.Load() != 1 {
			t.Errorf("who waited: %v after %d fetches", err, p.fetches.Load())
		}
	})
}

// bar 107: answers that are no good leave the keys as they are
func TestBadAnswersOfTheProvider(t *testing.T) {
	key := newEdKey(t)
	good := keySet(publicJWK(t, "a", "", key.Public()))
	var endless counted
	for name, answer := range map[string]func(*http.Request) (*http.Response, error){
		"error page": func(*http.Request) (*http.Response, error) { return reply(503, strings.NewReader(good)), nil },
		"redirect":   func(*http.Request) (*http.Response, error) { return reply(302, strings.NewReader(good)), nil },
		"no JSON":    func(*http.Request) (*http.Response, error) { return reply(200, strings.NewReader("<html>")), nil },
		"no keys":    func(*http.Request) (*http.Response, error) { return reply(200, strings.NewReader(`{}`)), nil },
		"keys twice": func(*http.Request) (*http.Response, error) {
			return reply(200, strings.NewReader(`{"keys":[],`+good[1:])), nil
		},
		"100 MiB": func(*http.Request) (*http.Response, error) {
			wanted := strings.NewReader(keySet(publicJWK(t, "b", "", key.Public())))
			return reply(200, io.MultiReader(wanted, io.LimitReader(&endless, 100<<20))), nil
		},
		"hangs": func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &provider{}
				p.serve(good)
				j := p.remote(t)
				jwt, unknown := signWith(t, jose.EdDSA, "a", key), signWith(t, jose.EdDSA, "b", key)
				if _, err := j.Authenticate(t.Context(), jwt); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				p.set(answer)
				if _, err := j.Authenticate(t.Context(), unknown); latchward.ErrorCode(err) != latchward.CodeUnauthenticated {
					t.Errorf("unknown: %v", err)
				}
				if _, err := j.Authenticate(t.Context(), jwt); err != nil || p.fetches.Load() != 2 {
					t.Errorf("known: %v after %d fetches", err, p.fetches.Load())
				}
			})
		})
	}
	if endless.n > 2<<20 {
		t.Errorf("%d bytes were read of 100 MiB", endless.n)
	}
}

type counted struct{ n int }

func (c *counted) Read(p []byte) (int, error) {
	c.n += len(p)
	return copy(p, bytes.Repeat([]byte(" "), len(p))), nil
}

// Without a client of its own, it follows nobody to another address.
func TestDefaultClientFollowsNoRedirects(t *testing.T) {
	var followed atomic.Int64
	target := serveLocal(t, func(w http.ResponseWriter, _ *http.Request) { followed.Add(1) })
	redirect := serveLocal(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, target, http.StatusFound)
	})
	j := newJWT(t, &people{}, signin.JWTOptions{JWKSURL: redirect})
	_, err := j.Authenticate(t.Context(), signWith(t, jose.EdDSA, "a", newEdKey(t)))
	if latchward.ErrorCode(err) != latchward.CodeUnavailable || followed.Load() != 0 {
		t.Errorf("%v, followed %d times", err, followed.Load())
	}
}

// A file is read again as an address is.
func TestKeyFileIsReadAgain(t *testing.T) {
	old, fresh := newEdKey(t), newEdKey(t)
	file := writeKeySet(t, keySet(publicJWK(t, "old", "", old.Public())))
	var offset atomic.Int64
	clock := func() time.Time { return now.Add(time.Duration(offset.Load())) }
	j := newJWT(t, &people{}, signin.JWTOptions{JWKSFile: file, Now: clock})
	text := keySet(publicJWK(t, "new", "", fresh.Public()))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	jwt := signWith(t, jose.EdDSA, "new", fresh)
	offset.Store(int64(time.Minute))
	if _, err := j.Authenticate(t.Context(), jwt); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}
