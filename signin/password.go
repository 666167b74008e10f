package signin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/latchward/latchward"
)

// Parameters of argon2id (RFC 9106): OWASP's minimum of memory and passes, of which there are more where the machine
// is fast.
const (
	argonMemory  = 19 << 10 // KiB
	argonPasses  = 2
	argonThreads = 1
	argonSalt    = 16 // bytes
	argonDigest  = 32

	leastTime  = 50 * time.Millisecond // that a guess takes (bar 117)
	mostPasses = 64
	calibrated = 3 // runs, the fastest of which counts

	hashersAtOnce  = 4
	hashersWaiting = 64
)

// PasswordOptions are the options of [Passwords]. The zero value is what everybody but tests wants.
type PasswordOptions struct {
	Memory uint32 // KiB; 0 = 19 MiB
	Passes uint32 // 0 = as many as take 50 ms on this machine, at least 2
}

// Passwords makes digests of passwords with argon2id. At most four are made at a time, and at most 64 more callers wait
// for their turn: whoever guesses in parallel slows down other guesses, and nothing else. It is safe for concurrent
// use.
type Passwords struct {
	o       PasswordOptions
	measure sync.Once
	passes  uint32
	turns   chan struct{}
	waiting atomic.Int32
}

var _ latchward.PasswordHasher = (*Passwords)(nil)

// NewPasswords returns Passwords. How fast the machine is, is measured when the first password comes.
func NewPasswords(o PasswordOptions) *Passwords {
	if o.Memory == 0 {
		o.Memory = argonMemory
	}
	return &Passwords{o: o, turns: make(chan struct{}, hashersAtOnce)}
}

// phc is a digest with all that is needed to make it again, as a PHC string:
// https://github.com/P-H-C/phc-string-format/blob/master/phc-sf-spec.md.
type phc struct {
	memory, passes uint32
	threads        uint8
	salt, digest   []byte
}

func (d *phc) String() string {
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, d.memory, d.passes, d.threads,
		encode(d.salt), encode(d.digest))
}

func (d *phc) make(password latchward.Secret) []byte {
	return argon2.IDKey([]byte(password.Expose()), d.salt, d.passes, d.memory, d.threads, argonDigest)
}

// parsePHC reads a digest of ours. What it asks for is bounded, for whoever can write to the database.
func parsePHC(text string) (*phc, error) {
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return nil, fmt.Errorf("it is not of argon2id, version %d", argon2.Version)
	}
	var d phc
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &d.memory, &d.passes, &d.threads); err != nil {
		return nil, fmt.Errorf("its parameters: %w", err)
	}
	var err1, err2 error
	d.salt, err1 = base64.RawStdEncoding.DecodeString(parts[4])
	d.digest, err2 = base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(d.digest) != argonDigest || d.memory < 8 || d.memory > 1<<20 || d.passes < 1 ||
		d.passes > 2*mostPasses || d.threads < 1 {
		return nil, fmt.Errorf("it is out of bounds")
	}
	return &d, nil
}

// Digest implements [latchward.PasswordHasher].
func (p *Passwords) Digest(ctx context.Context, password latchward.Secret) (string, error) {
	end, err := p.begin(ctx)
	if err != nil {
		return "", err
	}
	defer end()
	d := p.fresh()
	d.digest = d.make(password)
	return d.String(), nil
}

// Matches implements [latchward.PasswordHasher].
func (p *Passwords) Matches(ctx context.Context, password latchward.Secret, digest string) (bool, error) {
	end, err := p.begin(ctx)
	if err != nil {
		return false, err
	}
	defer end()
	d := p.fresh()
	if digest != "" {
		if d, err = parsePHC(digest); err != nil {
			return false, fmt.Errorf("reading the digest of a password: %w", err)
		}
	}
	return subtle.ConstantTimeCompare(d.make(password), d.digest) == 1, nil
}

// Outdated implements [latchward.PasswordHasher].
func (p *Passwords) Outdated(digest string) bool {
	d, err := parsePHC(digest)
	if err != nil {
		return false
	}
	p.measure.Do(p.calibrate)
	// Measured anew at every start, passes vary a little; only a real difference is worth a new digest.
	return d.memory < p.o.Memory || 2*d.passes <= p.passes
}

// fresh returns a digest to be made with today's parameters and a salt of its own.
func (p *Passwords) fresh() *phc {
	p.measure.Do(p.calibrate)
	d := &phc{memory: p.o.Memory, passes: p.passes, threads: argonThreads, salt: make([]byte, argonSalt)}
	rand.Read(d.salt) //nolint:errcheck // never fails: crypto/rand ends the program instead
	return d
}

// calibrate finds out how many passes take long enough.
func (p *Passwords) calibrate() {
	if p.passes = p.o.Passes; p.passes != 0 {
		return
	}
	d := &phc{memory: p.o.Memory, passes: argonPasses, threads: argonThreads, salt: make([]byte, argonSalt)}
	fastest := time.Hour
	for range calibrated {
		start := time.Now()
		d.make(latchward.SecretFromText("how fast is this machine"))
		fastest = min(fastest, time.Since(start))
	}
	passes := (argonPasses*leastTime + fastest - 1) / fastest
	p.passes = uint32(min(max(passes, argonPasses), mostPasses))
}

// begin waits for a turn.
func (p *Passwords) begin(ctx context.Context) (end func(), err error) {
	defer p.waiting.Add(-1)
	if p.waiting.Add(1) > hashersWaiting {
		return nil, latchward.Errorf(latchward.CodeUnavailable, "Too many people sign in right now. Try again in a moment.")
	}
	select {
	case p.turns <- struct{}{}:
		return func() { <-p.turns }, nil
	case <-ctx.Done():
		return nil, &latchward.Error{Code: latchward.CodeUnavailable, Message: "The request ended.", Err: ctx.Err()}
	}
}
