package signin

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/httpauth"
)

// Defaults and bounds of JWTs.
const (
	DefaultName   = "latchward" // issuer and audience
	DefaultAdmin  = "admin"     // the role of administrators
	DefaultLeeway = time.Minute // by which clocks may differ
	MinSecretSize = 32          // bytes of an HS256 secret (RFC 7518 §3.2)
)

// SignIner is what a JWT needs of a [latchward.Service].
type SignIner interface {
	SignIn(ctx context.Context, id latchward.Identity, create bool) (latchward.Principal, error)
}

// JWTOptions configures [NewJWT]. Exactly one of Secret, JWKSURL and JWKSFile is required: it fixes the algorithms,
// which a JWT has no say in. The zero value of every other field is a default.
type JWTOptions struct {
	Secret   []byte // for HS256: at least MinSecretSize bytes
	JWKSURL  string // public keys for RS256, PS256, ES256 and EdDSA; https, or http to this machine
	JWKSFile string // the same from a file

	Issuer      string           // what iss must be; "" = DefaultName
	Audience    string           // what aud must be or contain; "" = DefaultName
	AdminClaim  string           // lists or names the roles, also inside another (a.b); "" = roles, or role
	AdminValue  string           // the role that makes an administrator; "" = DefaultAdmin
	CreateUsers bool             // a person seen for the first time becomes an ordinary user
	Leeway      time.Duration    // on exp, nbf and iat; 0 = DefaultLeeway
	Now         func() time.Time // nil = time.Now
	HTTPClient  *http.Client     // for JWKSURL; nil = one that follows no redirects
}

// JWT authenticates people by JWTs of the host application. It implements [httpauth.PersonAuthenticator].
type JWT struct {
	service     SignIner
	keys        keySource
	algorithms  []jose.SignatureAlgorithm
	expected    expected
	createUsers bool
	now         func() time.Time
	remembered  remembered
}

var _ httpauth.PersonAuthenticator = (*JWT)(nil)

// keySource knows the keys that JWTs are signed with.
type keySource interface {
	// find returns the keys of that id ("" = not told) and algorithm, none when there are none. The error is of code
	// unavailable when that cannot be told now.
	find(ctx context.Context, id string, algorithm jose.SignatureAlgorithm) ([]any, error)
	// generation tells which keys are in use: what was verified with others has to be verified again. It is false when
	// that has to be done anyhow, because the keys have grown old.
	generation() (number uint64, current bool)
}

// NewJWT returns an authenticator that signs people in to service. Errors have code invalid and the field at fault, in
// the words of the configuration: jwt.secret, jwt.jwks_url or jwt.jwks_file. A file is read now; an address is asked
// when the first JWT comes.
func NewJWT(service SignIner, o JWTOptions) (*JWT, error) {
	j := &JWT{service: service, createUsers: o.CreateUsers, now: o.Now, expected: newExpected(&o)}
	if j.now == nil {
		j.now = time.Now
	}
	given := 0
	for _, is := range []bool{o.Secret != nil, o.JWKSURL != "", o.JWKSFile != ""} {
		if is {
			given++
		}
	}
	if given != 1 {
		return nil, latchward.Invalid("jwt", "set exactly one of secret, jwks_url and jwks_file")
	}
	var err error
	if o.Secret != nil {
		j.algorithms = []jose.SignatureAlgorithm{jose.HS256}
		j.keys, err = newSharedKey(o.Secret)
	} else {
		j.algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}
		j.keys, err = newPublicKeys(&o, j.now)
	}
	if err != nil {
		return nil, err
	}
	return j, nil
}

// Authenticate implements [httpauth.PersonAuthenticator]: it verifies the JWT and signs its subject in, so that what
// Latchward knows about the person is asked each time. Every refusal says the same, and none quotes the JWT.
func (j *JWT) Authenticate(ctx context.Context, jwt latchward.Secret) (latchward.Principal, error) {
	if !wellFormed(jwt) {
		return latchward.Principal{}, refuse("it is too long or not three parts")
	}
	id, err := j.identify(ctx, jwt)
	if err != nil {
		return latchward.Principal{}, err
	}
	return j.service.SignIn(ctx, id, j.createUsers)
}

// identify returns whom a JWT speaks for. It is verified unless that was done before with the keys in use.
func (j *JWT) identify(ctx context.Context, jwt latchward.Secret) (latchward.Identity, error) {
	generation, current := j.keys.generation()
	digest := sha256.Sum256([]byte(jwt.Expose()))
	if known, ok := j.remembered.get(digest); ok {
		if current && known.generation == generation && j.now().Before(known.expires) {
			return known.identity, nil
		}
		j.remembered.forget(digest)
	}
	c, err := j.verify(ctx, jwt)
	if err != nil {
		return latchward.Identity{}, err
	}
	id := j.expected.identity(c)
	j.remembered.put(digest, goodJWT{identity: id, expires: j.expected.end(c), generation: generation})
	return id, nil
}

// verify returns the claims of a JWT that is signed with one of our keys and meant for us now.
func (j *JWT) verify(ctx context.Context, jwt latchward.Secret) (claims, error) {
	signed, err := jose.ParseSignedCompact(jwt.Expose(), j.algorithms)
	if err != nil {
		return nil, refuse("its header is malformed or names an algorithm that is not allowed")
	}
	header := signed.Signatures[0].Protected
	if err := checkHeader(header.ExtraHeaders); err != nil {
		return nil, err
	}
	keys, err := j.keys.find(ctx, header.KeyID, jose.SignatureAlgorithm(header.Algorithm))
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if payload, err := signed.Verify(key); err == nil {
			return j.expected.check(payload, j.now())
		}
	}
	return nil, refuse("no known key has signed it")
}

// wellFormed reports whether a JWT has the shape and bounds of one. Line ends are passed over when base64 is decoded,
// so they would make several spellings of the same.
func wellFormed(jwt latchward.Secret) bool {
	text := jwt.Expose()
	return len(text) <= httpauth.MaxCredentialBytes && !strings.ContainsAny(text, "\r\n") && httpauth.LooksLikeJWT(jwt)
}

// checkHeader refuses what changes the meaning of a JWT: extensions that must be understood, and types that are not
// for signing in. Latchward's own derived tokens and assertions are such types.
func checkHeader(extra map[jose.HeaderKey]any) error {
	for _, name := range []jose.HeaderKey{"crit", "b64"} {
		if _, ok := extra[name]; ok {
			return refuse("its header asks for an extension")
		}
	}
	kind, ok := extra[jose.HeaderType]
	if text, _ := kind.(string); ok && !strings.EqualFold(strings.TrimPrefix(text, "application/"), "JWT") {
		return refuse("it is of a type that does not sign people in")
	}
	return nil
}

// refuse returns the one error for JWTs that are no good. The cause is for logs and never quotes the JWT.
func refuse(cause string) error {
	return &latchward.Error{Code: latchward.CodeUnauthenticated, Message: "Invalid token", Err: errors.New(cause)}
}
