package signin

import (
	"cmp"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/latchward/latchward"
)

// Claims are what [MintJWT] puts into a JWT.
type Claims struct {
	Issuer    string // "" = DefaultName
	Audience  string // "" = DefaultName
	Subject   string // required: the external id of the user
	Email     string // "" = none
	Name      string // "" = none
	Roles     []string
	IssuedAt  time.Time
	ExpiresAt time.Time // required
}

// MintJWT returns an HS256 JWT that a [JWT] with the same secret, issuer and audience accepts. Whoever has it can act
// as its subject. Errors have code invalid and the field secret, subject or expires_at.
func MintJWT(secret []byte, c Claims) (string, error) {
	switch {
	case len(secret) < MinSecretSize:
		return "", latchward.Invalid("secret", "must have at least %d bytes", MinSecretSize)
	case c.Subject == "":
		return "", latchward.Invalid("subject", "must not be empty")
	case !c.ExpiresAt.After(c.IssuedAt):
		return "", latchward.Invalid("expires_at", "must be after the time of issue")
	}
	options := (&jose.SignerOptions{}).WithType("JWT")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: secret}, options)
	if err != nil {
		return "", err
	}
	registered := jwt.Claims{
		Issuer: cmp.Or(c.Issuer, DefaultName), Audience: jwt.Audience{cmp.Or(c.Audience, DefaultName)},
		Subject: c.Subject, IssuedAt: jwt.NewNumericDate(c.IssuedAt), Expiry: jwt.NewNumericDate(c.ExpiresAt),
	}
	personal := struct {
		Email string   `json:"email,omitempty"`
		Name  string   `json:"name,omitempty"`
		Roles []string `json:"roles,omitempty"`
	}{c.Email, c.Name, c.Roles}
	return jwt.Signed(signer).Claims(registered).Claims(personal).Serialize()
}
