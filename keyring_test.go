package latchward

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"
)

func mustRotate(tb testing.TB, ring *KeyRing, seed byte) *KeyRing {
	tb.Helper()
	next, err := ring.Rotate(seededRandom(seed), keyTime.Add(time.Hour))
	if err != nil {
		tb.Fatal(err)
	}
	return next
}

// B-02, bar 136: secrets of a retired key live until it is dropped, and others do not notice
func TestKeyRingRotateAndDrop(t *testing.T) {
	first := mustKeyRing(t, 60)
	old, _ := mustSecret(t, seededRandom(1), DefaultPrefix, first)
	second := mustRotate(t, first, 61)
	text, credential := mustSecret(t, seededRandom(2), DefaultPrefix, second)
	if credential.KeyID.Version() != 2 || second.Current() != 2 || first.Current() != 1 || len(first.Versions()) != 1 {
		t.Errorf("a new secret is of %v; rings are at %d and %d", credential.KeyID, second.Current(), first.Current())
	}
	for _, known := range []string{old, text} {
		if _, err := ParseSecret(SecretFromText(known), DefaultPrefix, second); err != nil {
			t.Errorf("after rotating: %v", err)
		}
	}
	expectRefusal(t, text, first, ErrForged)
	dropped, err := second.Drop(1)
	if err != nil {
		t.Fatal(err)
	}
	expectRefusal(t, old, dropped, ErrForged)
	if _, err := ParseSecret(SecretFromText(text), DefaultPrefix, dropped); err != nil || len(second.Versions()) != 2 {
		t.Errorf("dropping one key touched another: %v", err)
	}
}

func TestKeyRingRefusals(t *testing.T) {
	ring, failure := mustRotate(t, mustKeyRing(t, 62), 63), errors.New("no entropy")
	if next, err := ring.Drop(2); ErrorCode(err) != CodeConflict || next != nil {
		t.Errorf("dropping the current key: %v", err)
	}
	for _, version := range []int{0, 3, -1, 62, 1 << 40} {
		if next, err := ring.Drop(version); ErrorCode(err) != CodeNotFound || next != nil {
			t.Errorf("Drop(%d): %v", version, err)
		}
	}
	for name, random := range map[string]io.Reader{
		"fails": iotest.ErrReader(failure), "is short": io.LimitReader(seededRandom(1), 31),
		"is zero": constantReader(0), "is one": constantReader(255),
	} {
		if next, err := ring.Rotate(random, keyTime); ErrorCode(err) != CodeUnavailable || next != nil {
			t.Errorf("Rotate when random %s: %v", name, err)
		}
		if made, err := GenerateKeyRing(random, keyTime); ErrorCode(err) != CodeUnavailable || made != nil {
			t.Errorf("GenerateKeyRing when random %s: %v", name, err)
		}
	}
}

// Versions are one digit: they start again, never take one that is in use, and end when all are.
func TestKeyRingVersionsStartAgain(t *testing.T) {
	ring := mustKeyRing(t, 64)
	for version := 2; version <= maxKeyVersion; version++ {
		ring = mustRotate(t, ring, byte(64+version))
		if ring.Current() != version || len(ring.Versions()) != version {
			t.Fatalf("version %d of %d after rotating to %d", ring.Current(), len(ring.Versions()), version)
		}
	}
	if text, _ := mustSecret(t, seededRandom(3), DefaultPrefix, ring); text[3] != 'z' {
		t.Errorf("version 61 is digit %c", text[3])
	}
	if next, err := ring.Rotate(seededRandom(4), keyTime); ErrorCode(err) != CodeConflict || next != nil {
		t.Errorf("a 62nd key: %v", err)
	}
	for _, version := range []int{7, 30} {
		ring, _ = ring.Drop(version)
	}
	for _, want := range []int{7, 30} {
		if ring = mustRotate(t, ring, byte(200+want)); ring.Current() != want {
			t.Errorf("rotated to %d, want %d", ring.Current(), want)
		}
	}
}

func TestKeyRingMarshalRoundTrip(t *testing.T) {
	ring, _ := mustRotate(t, mustRotate(t, mustKeyRing(t, 65), 66), 67).Drop(2)
	text, credential := mustSecret(t, seededRandom(5), DefaultPrefix, ring)
	again, err := ParseKeyRing(ring.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.Marshal(), ring.Marshal()) || again.Current() != 3 || len(again.Versions()) != 2 {
		t.Errorf("read as %s", again.Marshal())
	}
	if parsed, err := ParseSecret(SecretFromText(text), DefaultPrefix, again); err != nil || parsed != credential {
		t.Errorf("%v, %v", parsed, err)
	}
	elsewhere := keyTime.Add(999 * time.Millisecond).In(time.FixedZone("", 3600))
	late, err := again.Rotate(seededRandom(5), elsewhere)
	if err != nil || late.Versions()[2].CreatedAt != keyTime {
		t.Errorf("%v, %v; want UTC and whole seconds", late.Versions(), err)
	}
	want := KeyVersion{Version: 1, CreatedAt: keyTime, Fingerprint: ring.Versions()[0].Fingerprint}
	if got := again.Versions()[0]; got != want {
		t.Errorf("%v, want %v", got, want)
	}
}

// bar 135: a wrong key is told by its fingerprint, which gives nothing away
func TestKeyRingFingerprint(t *testing.T) {
	ring := mustRotate(t, mustKeyRing(t, 68), 69)
	seen := make(map[string]bool)
	for _, v := range append(ring.Versions(), mustKeyRing(t, 70).Versions()...) {
		if len(v.Fingerprint) != 16 || seen[v.Fingerprint] {
			t.Errorf("fingerprint %q is not one of its own", v.Fingerprint)
		}
		seen[v.Fingerprint] = true
	}
	mac := hmac.New(sha256.New, ring.keys[1].bytes())
	mac.Write([]byte("server key fingerprint"))
	if want := hex.EncodeToString(mac.Sum(nil)[:8]); ring.Versions()[0].Fingerprint != want {
		t.Errorf("fingerprint %s, want %s", ring.Versions()[0].Fingerprint, want)
	}
}

func TestKeyRingDerive(t *testing.T) {
	ring := mustRotate(t, mustKeyRing(t, 71), 72)
	seen := make(map[[32]byte]bool)
	for version := 1; version <= 2; version++ {
		for _, purpose := range []string{"", "cursors", "imported tokens", strings.Repeat("long", 100)} {
			derived, ok := ring.Derive(version, purpose)
			if again, _ := ring.Derive(version, purpose); !ok || again != derived || seen[derived] {
				t.Errorf("version %d, %q: %x, %v", version, purpose, derived, ok)
			}
			if strings.HasPrefix(hex.EncodeToString(derived[:]), ring.Versions()[version-1].Fingerprint) {
				t.Error("the fingerprint gives a derived key away")
			}
			seen[derived] = true
		}
	}
	mac := hmac.New(sha256.New, ring.keys[2].bytes())
	mac.Write([]byte("server key derived for cursors"))
	if derived, _ := ring.Derive(2, "cursors"); !bytes.Equal(derived[:], mac.Sum(nil)) {
		t.Errorf("derived %x is not as documented", derived)
	}
	for _, version := range []int{0, 3, -1, 62} {
		if derived, ok := ring.Derive(version, "cursors"); ok || derived != [32]byte{} {
			t.Errorf("version %d: %x", version, derived)
		}
	}
}

// bar 139: what is not exactly right is refused, by line and without repeating it
func TestParseKeyRingRefuses(t *testing.T) {
	const hex1 = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	const hex2 = "4f49e873c943a7bb60ddaf14c1aa9fe813029d5add0075b83a73efd292e56728"
	const good = "key 1 2026-11-22T14:46:07Z current " + hex1
	for text, want := range map[string]string{
		"": "no current key", "# nothing\n\n": "no current key", "\x00": "line 1", "lw_" + hex1: "line 1",
		strings.Replace(good, "current", "retired", 1):                             "no current key",
		good + "\n" + strings.Replace(good, "current", "retired", 1):               "line 2",
		good + "\nkey 2 2026-11-22T14:46:07Z current " + hex2:                      "line 2",
		good + "\nkey 2 2026-11-22T14:46:07Z retired " + hex1:                      "line 2",
		good + "\nkey 2 2026-11-22T14:46:07Z retired " + strings.ToUpper(hex1):     "line 2",
		good + "\nkey 1 2026-11-22T14:46:07Z retired " + hex2:                      "line 2",
		good + "\n\n# comment\nsalt " + hex2:                                       "line 4",
		good + " " + hex2:                                                          "line 1",
		"key 1 2026-11-22T14:46:07Z " + hex1:                                       "line 1",
		"KEY" + good[3:]:                                                           "line 1",
		strings.Replace(good, "key 1", "key 0", 1):                                 "the version",
		strings.Replace(good, "key 1", "key 62", 1):                                "the version",
		strings.Replace(good, "key 1", "key -1", 1):                                "the version",
		strings.Replace(good, "key 1", "key 01", 1):                                "the version",
		strings.Replace(good, "key 1", "key +1", 1):                                "the version",
		strings.Replace(good, "key 1", "key "+hex2, 1):                             "the version",
		strings.Replace(good, "2026-11-22T14:46:07Z", "2026-11-22", 1):             "the time",
		strings.Replace(good, "2026-11-22T14:46:07Z", hex2, 1):                     "the time",
		strings.Replace(good, "current", "active", 1):                              "the state",
		strings.Replace(good, "current", hex2, 1):                                  "the state",
		good[:len(good)-1]:                                                         "64 hexadecimal digits",
		good[:len(good)-2]:                                                         "64 hexadecimal digits",
		good + "20":                                                                "64 hexadecimal digits",
		good[:len(good)-1] + "g":                                                   "64 hexadecimal digits",
		"key 1 2026-11-22T14:46:07Z current " + strings.Repeat("00", serverKeyLen): "cannot be used",
	} {
		ring, err := ParseKeyRing([]byte(text))
		if ErrorCode(err) != CodeInvalid || ErrorField(err) != "key_ring" || ring != nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want one of %q", text, err, want)
			continue
		}
		for i := range len(hex1) - 8 {
			if strings.Contains(err.Error(), hex1[i:i+8]) || strings.Contains(err.Error(), hex2[i:i+8]) {
				t.Errorf("the error repeats a key: %v", err)
			}
		}
	}
	for _, text := range []string{
		good, "\r\n" + good + "\r\n", "  # indented\n\t" + strings.ReplaceAll(good, " ", "\t ") + "\n\n",
	} {
		if _, err := ParseKeyRing([]byte(text)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// bar 130: neither the ring nor what it describes shows a key
func TestKeyRingShowsNothing(t *testing.T) {
	ring := mustRotate(t, mustKeyRing(t, 73), 74)
	type inner struct{ ring *KeyRing }
	type innerValue struct{ ring KeyRing }
	type innerKey struct{ key *serverKey }
	values := map[string]any{
		"pointer": ring, "value": *ring, "versions": ring.Versions(), "key": innerKey{ring.keys[1]},
		"unexported": inner{ring}, "unexported value": innerValue{*ring},
		"exported": struct{ Ring *KeyRing }{ring}, "map": map[string]*KeyRing{"k": ring},
	}
	for name, v := range values {
		for way, output := range prints(v) {
			for _, key := range ring.keys[1:3] {
				if form := leaked(output, key.secret.Expose()); form != "" {
					t.Errorf("%s by %s shows a key (%s): %.200s", name, way, form, output)
				}
			}
		}
	}
	output := fmt.Sprintf("%v %+v %#v %s", ring, *ring, ring, ring)
	if output != "[redacted] [redacted] [redacted] [redacted]" {
		t.Errorf("the ring prints as %s", output)
	}
}

// One ring serves all callers at once, while another takes its place.
func TestKeyRingConcurrently(t *testing.T) {
	first := mustKeyRing(t, 75)
	text, want := mustSecret(t, seededRandom(6), DefaultPrefix, first)
	var current atomic.Pointer[KeyRing]
	current.Store(first)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			random := seededRandom(byte(i))
			for range 200 {
				ring := current.Load()
				if got, err := ParseSecret(SecretFromText(text), DefaultPrefix, ring); err != nil || got != want {
					t.Errorf("%v, %v", got, err)
				}
				secret, made, err := NewSecret(random, DefaultPrefix, ring)
				if err != nil {
					t.Error(err)
				}
				if got, err := ParseSecret(secret, DefaultPrefix, current.Load()); err != nil || got != made {
					t.Errorf("a new one: %v, %v", got, err)
				}
			}
		})
	}
	for i := range 20 {
		current.Store(mustRotate(t, current.Load(), byte(100+i)))
	}
	group.Wait()
}

// FuzzParseKeyRing: what is read is written and read again as the same.
func FuzzParseKeyRing(f *testing.F) {
	f.Add(mustRotate(f, mustKeyRing(f, 76), 77).Marshal())
	f.Add([]byte("key 1 2026-11-22T14:46:07.5+01:00 current " + strings.Repeat("0123", 16)))
	for _, created := range []string{"0000-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"} {
		f.Add([]byte("key 1 " + created + " current " + strings.Repeat("0123", 16)))
	}
	f.Add([]byte("key 1 x"))
	f.Fuzz(func(t *testing.T, text []byte) {
		ring, err := ParseKeyRing(text)
		if err != nil {
			return
		}
		again, err := ParseKeyRing(ring.Marshal())
		if err != nil || !bytes.Equal(again.Marshal(), ring.Marshal()) || again.Current() != ring.Current() {
			t.Fatalf("%q is written as %q, and that: %v", text, ring.Marshal(), err)
		}
	})
}
