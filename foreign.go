package latchward

import "context"

// Bounds of secrets that were made elsewhere (B-03).
const (
	MinForeignLength      = 16  // characters: fewer can be guessed, and are neither imported nor looked up
	MaxForeignLength      = 512 // characters
	MinLookupPrefixLength = 4   // characters
	MaxLookupPrefixLength = 32
	MaxLookupLengths      = 4   // different lengths of lookup prefixes in one database
	MaxSamePrefix         = 8   // secrets with one lookup prefix: each would cost a slow digest
	MaxForeignSalt        = 256 // bytes
	maxSlowDigest         = 512 // characters of a digest by bcrypt or argon2 as text
)

// ForeignAlgorithm says how a secret was digested where it was made.
type ForeignAlgorithm string

// The algorithms. A salted digest is that of the salt followed by the secret, or the other way round, as the name says.
const (
	ForeignSHA256          ForeignAlgorithm = "sha256"
	ForeignSHA512          ForeignAlgorithm = "sha512"
	ForeignSaltTokenSHA256 ForeignAlgorithm = "sha256-salt-token"
	ForeignTokenSaltSHA256 ForeignAlgorithm = "sha256-token-salt"
	ForeignSaltTokenSHA512 ForeignAlgorithm = "sha512-salt-token"
	ForeignTokenSaltSHA512 ForeignAlgorithm = "sha512-token-salt"
	ForeignBcrypt          ForeignAlgorithm = "bcrypt"
	ForeignArgon2i         ForeignAlgorithm = "argon2i"
	ForeignArgon2id        ForeignAlgorithm = "argon2id"
)

// ForeignAlgorithms lists every algorithm, for tables that must be complete.
func ForeignAlgorithms() []ForeignAlgorithm {
	return []ForeignAlgorithm{
		ForeignSHA256, ForeignSHA512, ForeignSaltTokenSHA256, ForeignTokenSaltSHA256, ForeignSaltTokenSHA512,
		ForeignTokenSaltSHA512, ForeignBcrypt, ForeignArgon2i, ForeignArgon2id,
	}
}

// fast reports whether a secret is found by its digest alone.
func (a ForeignAlgorithm) fast() bool { return a == ForeignSHA256 || a == ForeignSHA512 }

// slow reports whether a digest takes long to make, on purpose.
func (a ForeignAlgorithm) slow() bool {
	return a == ForeignBcrypt || a == ForeignArgon2i || a == ForeignArgon2id
}

// SlowDigests compares secrets with digests by bcrypt and argon2. It is safe for concurrent use. [Service] calls
// Matches from at most two goroutines at a time.
type SlowDigests interface {
	// Check returns an Error of code invalid, whose Field is digest, for a text that is not a whole digest by that
	// algorithm, or one that asks for more time or memory than anybody may.
	Check(algorithm ForeignAlgorithm, digest string) error
	// Matches reports whether digest, which Check accepts, is that of the secret.
	Matches(secret Secret, algorithm ForeignAlgorithm, digest string) (bool, error)
}

// ForeignSecret is a secret that was made elsewhere and can be recognised by trying only: all that have its lookup
// prefix are candidates. What it is compared with is sealed under the server key together with whose it is: whoever can
// write to the database alone can neither make one, nor change one, nor move one to another token.
type ForeignSecret struct {
	KeyID        KeyID // made of the digest, so that one secret has one key id, however often it is imported
	TokenID      TokenID
	LookupPrefix string // the first characters of the secret; "" once it became another
	Sealed       string // algorithm, salt and digest, see [KeyRing.Seal]; "" once it became another
	Became       KeyID  // of the keyed digest that is kept instead since the secret was first used; zero = none yet
}

// foreignSecretsMost is how many candidates one string can have.
const foreignSecretsMost = MaxLookupLengths * MaxSamePrefix

// ForeignStore is what [Service] asks of a database about secrets that were made elsewhere.
type ForeignStore interface {
	// ForeignForms returns all forms that were saved, in the order of their bytes.
	ForeignForms(ctx context.Context) ([]string, error)
	// ForeignSecrets returns the secrets that have one of the lookup prefixes and became nothing else yet, ordered by key
	// id, at most limit of them.
	ForeignSecrets(ctx context.Context, lookupPrefixes []string, limit int) ([]ForeignSecret, error)
}

// ForeignTx is what a transaction does with secrets that were made elsewhere.
type ForeignTx interface {
	// TokenOfSecret returns the token to which one of the key ids leads: as its current secret, as one that was rotated
	// out, or as a foreign secret, whatever that became.
	TokenOfSecret(ids []KeyID) (TokenID, error)
	// CountForeignSecrets returns how many secrets have this lookup prefix and became nothing else yet.
	CountForeignSecrets(lookupPrefix string) (int, error)
	// SaveForeignForm remembers a form. The commit must name the forms as changed, unless it was known already.
	SaveForeignForm(form string) error
	// SaveForeignSecret inserts the secret, or replaces the one with its key id. There must be such a token, else it is an
	// Error of code not_found. The commit must name the forms as changed. All of them disappear with their token.
	SaveForeignSecret(secret ForeignSecret) error
}
