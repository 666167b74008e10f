package jwt

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json"

	"github.com/latchward/latchward"
)

// StatusListsPath is where status lists are, below the issuer.
const StatusListsPath = "/oauth/status-lists/"

// derivedClaims are the claims of a derived token: those of RFC 9068 section 2.2, the reference to a status list
// (draft-ietf-oauth-status-list-21 section 6.2), and one object of our own.
type derivedClaims struct {
	Issuer       string       `json:"iss"`
	Subject      string       `json:"sub"` // "user:3" or "token:7", as in X-Latchward-Subject
	Audience     audience     `json:"aud"`
	Expires      int64        `json:"exp"`
	IssuedAt     int64        `json:"iat"`
	ID           string       `json:"jti"`
	Client       string       `json:"client_id"` // the id of the API token: each is a client of its own
	Scope        string       `json:"scope"`
	Roles        []string     `json:"roles,omitempty"`  // RFC 9068 section 2.2.3.1
	Groups       []string     `json:"groups,omitempty"` // the same
	Entitlements []string     `json:"entitlements,omitempty"`
	Status       statusClaim  `json:"status"`
	Latchward    privateClaim `json:"latchward"`
}

type statusClaim struct {
	List statusReference `json:"status_list"`
}

type statusReference struct {
	Index int    `json:"idx"`
	URI   string `json:"uri"`
}

// privateClaim says what no registered claim does.
type privateClaim struct {
	KeyID     string         `json:"key_id"` // of the secret that the token was derived with
	Kind      latchward.Kind `json:"kind"`
	Owner     string         `json:"owner"`
	Endpoints []string       `json:"endpoints,omitempty"`
	Networks  []string       `json:"networks,omitempty"`
}

// audience is one string where there is one, and else a list (RFC 7519 section 4.1.3).
type audience []string

// MarshalJSON implements json.Marshaler.
func (a audience) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *audience) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		*a = audience{""}
		return json.Unmarshal(text, &(*a)[0])
	}
	return json.Unmarshal(text, (*[]string)(a))
}

// StatusListURI returns where a status list is, for clients that reach Latchward under the URL issuer.
func StatusListURI(issuer string, id int64) string {
	return issuer + StatusListsPath + strconv.FormatInt(id, 10)
}

// SignDerived returns claims as a JWT.
func SignDerived(key latchward.SigningSecret, c *latchward.DerivedClaims) (string, error) {
	claims := derivedClaims{
		Issuer: c.Issuer, Subject: string(c.Subject.Type) + ":" + strconv.FormatInt(c.Subject.ID, 10), Audience: c.Audience,
		Expires: c.ExpiresAt.Unix(), IssuedAt: c.IssuedAt.Unix(), ID: c.ID,
		Client: strconv.FormatInt(int64(c.Token), 10), Scope: strings.Join(c.Permissions, " "),
		Roles: c.Roles, Groups: c.Groups, Entitlements: c.Licenses,
		Status: statusClaim{statusReference{c.Status.Index, StatusListURI(c.Issuer, c.Status.List)}},
		Latchward: privateClaim{
			KeyID: c.KeyID.String(), Kind: c.Kind, Owner: c.Owner.String(), Endpoints: c.Endpoints,
		},
	}
	for _, network := range c.Networks {
		claims.Latchward.Networks = append(claims.Latchward.Networks, network.String())
	}
	return sign(key, TypeDerived, &claims)
}

// ReadDerived returns the claims of a derived token that one of the keys has signed. It judges neither times nor
// audience. The error is of code unauthenticated.
func ReadDerived(jwt latchward.Secret, find Find) (*latchward.DerivedClaims, error) {
	payload, err := open(jwt.Expose(), TypeDerived, find)
	if err != nil {
		return nil, err
	}
	var claims derivedClaims
	if err := json.Unmarshal(payload, &claims); err != nil {
		return nil, refuse("its claims are not those of a derived token")
	}
	c, err := claims.read()
	if err != nil {
		return nil, refuse("its claims are not those of a derived token: " + latchward.ErrorField(err))
	}
	return c, nil
}

// read returns what claims say. What one of our keys has signed is ours, so it is only checked to be whole.
func (c *derivedClaims) read() (*latchward.DerivedClaims, error) {
	read := &latchward.DerivedClaims{
		Issuer: c.Issuer, ID: c.ID, Kind: c.Latchward.Kind, Audience: c.Audience,
		IssuedAt: time.Unix(c.IssuedAt, 0).UTC(), ExpiresAt: time.Unix(c.Expires, 0).UTC(),
		Permissions: strings.Fields(c.Scope), Roles: c.Roles, Groups: c.Groups, Licenses: c.Entitlements,
		Endpoints: c.Latchward.Endpoints,
	}
	if c.Issuer == "" || c.ID == "" || len(c.Audience) == 0 || c.Expires <= 0 || c.Expires > math.MaxUint32 {
		return nil, latchward.Invalid("iss", "is missing")
	}
	var err error
	if read.KeyID, err = latchward.ParseKeyID(c.Latchward.KeyID); err != nil {
		return nil, err
	}
	if read.Owner, err = latchward.ParseOwner(c.Latchward.Owner); err != nil {
		return nil, err
	}
	token, err := readID("client_id", "", c.Client)
	if err != nil {
		return nil, err
	}
	read.Token = latchward.TokenID(token)
	if err := readSubject(c.Subject, &read.Subject); err != nil {
		return nil, err
	}
	if read.Networks, err = readNetworks(c.Latchward.Networks); err != nil {
		return nil, err
	}
	read.Status.Index = c.Status.List.Index
	read.Status.List, err = readID("status", c.Issuer+StatusListsPath, c.Status.List.URI)
	return read, err
}

func readSubject(text string, into *latchward.Subject) error {
	kind, _, _ := strings.Cut(text, ":")
	if kind != string(latchward.SubjectUser) && kind != string(latchward.SubjectToken) {
		return latchward.Invalid("sub", "is neither a user nor a token")
	}
	id, err := readID("sub", kind+":", text)
	*into = latchward.Subject{Type: latchward.SubjectType(kind), ID: id}
	return err
}

func readID(field, prefix, text string) (int64, error) {
	digits, ok := strings.CutPrefix(text, prefix)
	id, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || id <= 0 || strconv.FormatInt(id, 10) != digits {
		return 0, latchward.Invalid(field, "is not one of ours")
	}
	return id, nil
}

func readNetworks(texts []string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for _, text := range texts {
		network, err := latchward.ParseNetwork("networks", text)
		if err != nil {
			return nil, err
		}
		networks = append(networks, network)
	}
	return networks, nil
}
