package leak_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/leak"
)

func newSecret(t testing.TB, prefix string) string {
	t.Helper()
	ring, err := latchward.GenerateKeyRing(rand.Reader, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	secret, _, err := latchward.NewSecret(rand.Reader, prefix, ring)
	if err != nil {
		t.Fatal(err)
	}
	return secret.Expose()
}

func write(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// files returns what a scan of a folder finds, as path:line:column secret, sorted.
func files(t *testing.T, s *leak.Scanner, root string) (found []string) {
	t.Helper()
	err := s.Files(t.Context(), root, func(f leak.Finding) {
		name, err := filepath.Rel(root, f.Path)
		if err != nil {
			t.Error(err)
		}
		found = append(found, fmt.Sprintf("%s:%d:%d %s", name, f.Line, f.Column, f.Secret.Expose()))
	}, func(u leak.Unread) { t.Errorf("not read: %v", u.Err) })
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	return found
}

func TestFiles(t *testing.T) {
	secret, other := newSecret(t, "lw_"), newSecret(t, "shop_live_")
	mistyped := []byte(secret)
	mistyped[20] ^= 1
	wide := utf16.Encode([]rune("\ufeffset TOKEN=" + secret + "\r\n"))
	var utf16le []byte
	for _, unit := range wide {
		utf16le = append(utf16le, byte(unit), byte(unit>>8))
	}
	root := t.TempDir()
	for name, text := range map[string]string{
		"plain.env":             "# ünï\nTOKEN=" + secret + "\n",
		"twice":                 secret + secret + "\n\n" + secret,
		"deep/er/config.yaml":   "a: 1\r\nb: \"" + secret + "\"\r\n",
		"other":                 "x" + other + "x",
		"binary":                "\x00\x01" + secret + "\xff",
		"mistyped":              string(mistyped),
		"cut":                   secret[:len(secret)-1],
		"allowed":               "v = " + secret + " // latchward:allow\n# latchward:allow\n" + secret,
		"power.ps1":             string(utf16le),
		"empty":                 "",
		"one":                   "l",
		".git/config":           secret,
		"sub/.git/objects/x":    secret,
		"node_modules/a.js":     secret,
		"dist/app.min.js":       secret,
		"vendor/keep/secret.go": secret,
	} {
		write(t, filepath.Join(root, name), []byte(text))
	}
	if err := os.Symlink(filepath.Join(root, "plain.env"), filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(root, "broken")); err != nil {
		t.Fatal(err)
	}
	got := files(t, &leak.Scanner{
		Prefixes: []string{"lw_", "shop_live_"}, Exclude: []string{"node_modules", "*.min.js", "vendor/keep"},
	}, root)
	want := []string{
		"allowed:3:1 " + secret,
		"binary:1:3 " + secret,
		"deep/er/config.yaml:2:5 " + secret,
		"other:1:2 " + other,
		"plain.env:2:7 " + secret,
		"power.ps1:1:11 " + secret,
		"twice:1:1 " + secret, fmt.Sprintf("twice:1:%d %s", len(secret)+1, secret), "twice:3:1 " + secret,
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A secret is found once and where it is, wherever buffers end. The seed is printed.
func TestScanAcrossBuffers(t *testing.T) {
	const buffer = 1 << 20
	seed := mathrand.Uint64()
	random := mathrand.New(mathrand.NewPCG(seed, 0))
	secret := newSecret(t, "lw_")
	for shift := -len(secret) - 2; shift <= 2; shift++ {
		text := bytes.Repeat([]byte("x"), 2*buffer+len(secret)*3)
		for range 50 {
			text[random.IntN(len(text))] = '\n'
		}
		at := buffer + shift
		copy(text[at:], secret)
		again := at + len(secret) + random.IntN(buffer)
		copy(text[again:], secret)
		var got []leak.Place
		err := new(leak.Scanner).Text("-", bytes.NewReader(text), func(f leak.Finding) { got = append(got, f.Place) })
		if err != nil {
			t.Fatal(err)
		}
		if want := []leak.Place{placeOf(text, at), placeOf(text, again)}; !slices.Equal(got, want) {
			t.Errorf("seed %d, shift %d: found at %v, want %v", seed, shift, got, want)
		}
	}
}

func placeOf(text []byte, at int) leak.Place {
	before := text[:at]
	return leak.Place{Line: bytes.Count(before, []byte("\n")) + 1, Column: at - bytes.LastIndexByte(before, '\n')}
}

func TestScanOfOneFileAndProgress(t *testing.T) {
	secret := newSecret(t, "lw_")
	name := filepath.Join(t.TempDir(), "node_modules")
	write(t, name, []byte(secret))
	var done, total int64
	s := &leak.Scanner{Exclude: []string{"node_modules"}, Jobs: 1, Progress: func(d, of int64) { done, total = d, of }}
	got := files(t, s, name)
	if len(got) != 1 { // what is named is searched, whatever is excluded
		t.Errorf("found %v, want the secret", got)
	}
	if done != int64(len(secret)) || total != done {
		t.Errorf("progress %d of %d, want all %d bytes", done, total, len(secret))
	}
}

func TestScanErrors(t *testing.T) {
	none, unread := func(leak.Finding) {}, func(leak.Unread) {}
	for name, c := range map[string]struct {
		scanner leak.Scanner
		root    string
		want    latchward.Code
	}{
		"no such folder": {leak.Scanner{}, filepath.Join(t.TempDir(), "none"), latchward.CodeNotFound},
		"bad prefix":     {leak.Scanner{Prefixes: []string{"LW"}}, t.TempDir(), latchward.CodeInvalid},
		"bad pattern":    {leak.Scanner{Exclude: []string{"[a-"}}, t.TempDir(), latchward.CodeInvalid},
	} {
		if err := c.scanner.Files(t.Context(), c.root, none, unread); latchward.ErrorCode(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := new(leak.Scanner).Files(ctx, t.TempDir(), none, unread); err == nil {
		t.Error("a cancelled scan has no error")
	}
}

func FuzzText(f *testing.F) {
	secret := newSecret(f, "lw_")
	f.Add([]byte("a"+secret+"b"), uint8(3))
	f.Add([]byte("\xff\xfea"), uint8(0))
	f.Fuzz(func(t *testing.T, text []byte, at uint8) {
		if i := int(at); i <= len(text) && !bytes.Contains(text, []byte(leak.AllowMark)) && !bytes.HasPrefix(text, []byte("\xff\xfe")) &&
			!bytes.HasPrefix(text, []byte("\xfe\xff")) && i > 1 {
			text = slices.Concat(text[:i], []byte(secret), text[i:])
			found := 0
			if err := new(leak.Scanner).Text("-", bytes.NewReader(text), func(leak.Finding) { found++ }); err != nil {
				t.Fatal(err)
			}
			if found == 0 {
				t.Errorf("the secret in %q was not found", text)
			}
			return
		}
		if err := new(leak.Scanner).Text("-", bytes.NewReader(text), func(leak.Finding) {}); err != nil {
			t.Fatal(err)
		}
	})
}
