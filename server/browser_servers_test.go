//go:build servers

package server_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
	"github.com/pquerna/otp/totp"
)

// browser is a real Chromium with one tab.
type browser struct {
	t    *testing.T
	ctx  context.Context
	base string

	mu       sync.Mutex
	faults   []string // what the console says
	requests []string // to other hosts

	seen map[string]bool // pages that were looked at
}

// chromium starts a browser; where none is installed, `make test` installs it.
func chromium(t *testing.T, base string) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("Chromium is missing: install it (Debian: apt-get install chromium), or run make test, which does")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path),
		chromedp.WSURLReadTimeout(time.Minute))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // its sandbox cannot be built by root
	}
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(allocator)
	t.Cleanup(end)
	b := &browser{t: t, ctx: ctx, base: base, seen: map[string]bool{}}
	b.run("starting Chromium")
	limited, cancel := context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	b.ctx = limited
	b.listen()
	call(b, network.Enable, network.EnableParams{})
	call(b, log.Enable, cdp.Empty{})
	call(b, runtime.Enable, cdp.Empty{})
	return b
}

func (b *browser) listen() {
	host, _ := url.Parse(b.base)
	err := chromedp.Listen(b.ctx, func(event any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			b.faults = append(b.faults, e.ExceptionDetails.Text)
		case *log.EventEntryAdded:
			if e.Entry.Source == log.EntrySourceSecurity || e.Entry.Source == log.EntrySourceViolation ||
				e.Entry.Source == log.EntrySourceJavascript {
				b.faults = append(b.faults, e.Entry.Text)
			}
		case *network.EventRequestWillBeSent:
			if u, err := url.Parse(e.Request.URL); err != nil || u.Host != host.Host {
				b.requests = append(b.requests, e.Request.URL)
			}
		}
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// call sends a command of the browser's own protocol.
func call[P, R any](b *browser, command cdp.Command[P, R], params P) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, command, params); err != nil {
		b.t.Fatal(err)
	}
}

// answered runs an action that answers.
func answered[T any](b *browser, what string, action chromedp.Action[T]) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, action)
	if err != nil {
		text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
		b.t.Fatalf("%s: %v\n%s", what, err, text)
	}
	return value
}

func (b *browser) run(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	answered(b, what, chromedp.Steps(actions...))
}

// open goes to a page, submit presses the button of a form with an action and waits for the page that has the heading.
func (b *browser) open(path, heading string) {
	b.t.Helper()
	b.run("opening "+path, chromedp.Navigate(b.base+path))
	b.heading(heading)
}

func (b *browser) submit(form, heading string) {
	b.t.Helper()
	b.leave(form + " button")
	b.heading(heading)
}

// leave clicks on what leads to another page, and marks this one, which may look alike.
func (b *browser) leave(selector string) {
	b.t.Helper()
	b.run("clicking on "+selector, chromedp.Evaluate[chromedp.Void](`document.documentElement.dataset.left = ""`),
		chromedp.Click(selector))
}

func (b *browser) heading(text string) {
	b.t.Helper()
	b.run("waiting for "+text, chromedp.WaitVisible(fmt.Sprintf(`//html[not(@data-left)]//h1[text()=%q]`, text)),
		chromedp.WaitReady("body"))
	if !b.seen[text] {
		b.seen[text] = true
		b.look(text)
	}
}

func (b *browser) fill(pairs ...string) {
	b.t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		b.run("filling in "+pairs[i], chromedp.SetValue(pairs[i], pairs[i+1]))
	}
}

func (b *browser) text(selector string) string {
	b.t.Helper()
	return answered(b, "reading "+selector, chromedp.Text(selector))
}

// faulty finds what keeps people from using a page: fields and buttons without a name, duplicate ids, no or several
// headings, text with too little contrast (WCAG 2.2, 1.4.3), and what is wider than the screen.
const faulty = `(() => {
  const found = [];
  const seen = new Set();
  const visible = e => e.getClientRects().length > 0;
  for (const e of document.querySelectorAll("[id]")) { if (seen.has(e.id)) found.push("two of #" + e.id); seen.add(e.id); }
  for (const e of document.querySelectorAll("input:not([type=hidden]), button, a")) {
    if (!visible(e)) continue;
    const name = e.getAttribute("aria-label") || [...(e.labels || [])].map(l => l.innerText).join("") || e.innerText;
    if (!name.trim()) found.push("no name: " + e.outerHTML);
    if (e.tagName !== "A" && e.getBoundingClientRect().height < 44) found.push("too low to touch: " + e.outerHTML);
  }
  if (document.querySelectorAll("h1").length !== 1) found.push("not one heading");
  if (!document.documentElement.lang) found.push("no language");
  if (document.documentElement.scrollWidth > innerWidth) found.push("wider than the screen: " + document.documentElement.scrollWidth);
  const parse = c => (c.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const light = ([r, g, b]) => { const f = v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
    return .2126 * f(r) + .7152 * f(g) + .0722 * f(b); };
  const back = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
  for (const e of document.querySelectorAll("main *, header *")) {
    if (!visible(e) || ![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
    const a = light(parse(getComputedStyle(e).color)), b = light(back(e));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) found.push("contrast " + ratio.toFixed(2) + ": " + e.outerHTML.slice(0, 80));
  }
  return found;
})()`

// look checks a page at the widths of a phone, a laptop and a large screen, in light and dark, and takes its picture.
// LATCHWARD_SCREENSHOTS names a folder to keep the pictures in.
func (b *browser) look(name string) {
	b.t.Helper()
	folder := os.Getenv("LATCHWARD_SCREENSHOTS")
	for _, width := range []int64{390, 1280, 1920} {
		for _, scheme := range []string{"light", "dark"} {
			media := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}
			b.run("resizing", chromedp.EmulateViewport(width, 900))
			call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: media})
			for _, fault := range answered(b, "looking at "+name, chromedp.Evaluate[[]string](faulty)) {
				b.t.Errorf("%s, %d pixels, %s: %s", name, width, scheme, fault)
			}
			picture := answered(b, "taking a picture of "+name, chromedp.FullScreenshot(100))
			if len(picture) < 5000 {
				b.t.Errorf("%s, %d pixels, %s: a picture of %d bytes", name, width, scheme, len(picture))
			}
			if folder != "" {
				file := fmt.Sprintf("%s-%d-%s.png", strings.ReplaceAll(strings.ToLower(name), " ", "-"), width, scheme)
				if err := os.WriteFile(filepath.Join(folder, file), picture, 0o600); err != nil {
					b.t.Fatal(err)
				}
			}
		}
	}
}

// quiet checks that nothing went wrong that people do not see.
func (b *browser) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.faults) > 0 || len(b.requests) > 0 {
		b.t.Errorf("the console says %q; requests to others: %q", b.faults, b.requests)
	}
}

// B-18, C-07, bar 117-119, 142: from the first start to a second factor, by hand
func TestPeopleInABrowser(t *testing.T) {
	r := start(t, settings(t, folder(t)))
	b := chromium(t, r.PagesURL())
	b.open("/", "Set up Latchward")
	b.fill("#secret", setupSecret(t, r), "#name", "Ada <b>Example</b>", "#email", adaEmail, "#new", adaPassword, "#again",
		"other")
	b.submit("main form", "Set up Latchward")
	if text := b.text("[role=alert]"); !strings.Contains(text, "differ") {
		t.Errorf("two different passwords: %s", text)
	}
	b.look("Set up with an error")
	b.fill("#secret", setupSecret(t, r), "#new", adaPassword, "#again", adaPassword)
	b.submit("main form", "Your account")
	if text := b.text("header span"); text != "Ada <b>Example</b>" {
		t.Errorf("the header says %q", text)
	}
	b.submit(`form[action="/account/totp"]`, "Turn on codes")
	secret := strings.ReplaceAll(b.text("p.code"), " ", "")
	code := func(ago time.Duration) string {
		text, err := totp.GenerateCode(secret, time.Now().Add(-ago))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	b.fill("#code", code(30*time.Second))
	b.submit("main form", "Recovery codes")
	b.leave("main a.button")
	b.heading("Your account")
	b.submit(`form[action="/signout"]`, "Sign in")
	b.fill("#email", adaEmail, "#password", "not the password")
	b.submit(`form[action="/signin"]`, "Sign in")
	b.fill("#email", adaEmail, "#password", adaPassword)
	b.submit(`form[action="/signin"]`, "Enter a code")
	b.fill("#code", code(0))
	b.submit("main form", "Your account")
	b.open("/account/confirm", "Confirm that it is you")
	b.fill("#password", adaPassword)
	b.submit("main form", "Your account")
	b.submit(`form[action="/account/totp/remove"]`, "Your account")
	b.submit(`form[action="/signout"]`, "Sign in")
	b.open("/signin/password", "Set a password")
	b.open("/nothing", "Not Found")
	b.quiet()
}

// B-18: a passkey from its making to its removal, with the authenticator that Chromium plays
func TestPasskeyInABrowser(t *testing.T) {
	r := start(t, settings(t, folder(t)))
	b := chromium(t, r.PagesURL())
	call(b, webauthn.Enable, webauthn.EnableParams{})
	call(b, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{
		Options: &webauthn.VirtualAuthenticatorOptions{
			Protocol: "ctap2", Transport: "internal", HasResidentKey: true, HasUserVerification: true, IsUserVerified: true,
			AutomaticPresenceSimulation: true,
		},
	})
	b.open("/setup", "Set up Latchward")
	b.fill("#secret", setupSecret(t, r), "#email", adaEmail, "#new", adaPassword, "#again", adaPassword)
	b.submit("main form", "Your account")
	b.fill("#passkey-name", "My phone")
	b.run("adding a passkey", chromedp.Click("#passkey-add button"),
		chromedp.WaitVisible(`//strong[text()="My phone"]`))
	b.look("Account with a passkey")
	b.submit(`form[action="/signout"]`, "Sign in")
	b.leave("#passkey-sign-in button")
	b.heading("Your account")
	if text := b.text(`section[aria-labelledby="passkeys"] .soft`); !strings.Contains(text, "last used") {
		t.Errorf("the passkey was not used: %s", text)
	}
	b.submit(`form[action="/account/passkeys/remove"]`, "Your account")
	b.submit(`form[action="/signout"]`, "Sign in")
	b.run("signing in with a removed passkey", chromedp.Click("#passkey-sign-in button"),
		chromedp.WaitVisible(`//p[text()="This passkey was not accepted. Try again."]`))
	b.quiet()
}
