package server_test

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"testing"
	"time"

	coreos "github.com/coreos/go-oidc/v3/oidc"
	"github.com/zitadel/oidc/v3/pkg/client"
	"github.com/zitadel/oidc/v3/pkg/client/rs"
	"github.com/zitadel/oidc/v3/pkg/client/tokenexchange"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/oauth"
	"github.com/latchward/latchward/rest"
)

// discovered is what a client library made of the metadata.
type discovered struct {
	*running
	*oidc.DiscoveryConfiguration
}

// discover reads the metadata with a library that is not ours (RFC 8414).
func discover(t *testing.T, pairs ...string) *discovered {
	t.Helper()
	r := start(t, settings(t, folder(t), append([]string{"upstreams", upstream(t)}, pairs...)...))
	port := r.URL()[len("http://127.0.0.1"):]
	issuer := "http://localhost" + port
	configuration, err := client.Discover(t.Context(), issuer, http.DefaultClient, issuer+oauth.MetadataPath)
	if err != nil {
		t.Fatal(err)
	}
	return &discovered{r, configuration}
}

// GetRevokeEndpoint and HttpClient make of d what the library takes for somebody who revokes.
func (d *discovered) GetRevokeEndpoint() string { return d.RevocationEndpoint }

func (d *discovered) HttpClient() *http.Client { return http.DefaultClient }

func (d *discovered) exchange(t *testing.T, jwt string, scopes, resources []string) (*oidc.TokenExchangeResponse, error) {
	t.Helper()
	exchanger, err := tokenexchange.NewTokenExchanger(t.Context(), d.Issuer,
		tokenexchange.WithStaticTokenEndpoint(d.Issuer, d.TokenEndpoint), tokenexchange.WithHTTPClient(http.DefaultClient))
	if err != nil {
		t.Fatal(err)
	}
	return tokenexchange.ExchangeToken(t.Context(), exchanger, jwt, oidc.JWTTokenType, "", "", resources, nil, scopes, oidc.AccessTokenType)
}

// S3-02, X-04, bar 19, bar 51: a client library that is not ours finds the endpoints, gets a token for a person's JWT,
// uses it, asks about it and ends it.
func TestOAuthByAnotherLibrary(t *testing.T) {
	d := discover(t)
	issued, err := d.exchange(t, d.jwt(t).Expose(), []string{"offline_access"}, []string{d.Issuer + "/api/products"})
	if err != nil {
		t.Fatal(err)
	}
	if issued.IssuedTokenType != oidc.AccessTokenType || issued.TokenType != "Bearer" || issued.ExpiresIn != 0 {
		t.Errorf("%+v", issued)
	}
	bearer := "Bearer " + issued.AccessToken
	get(t, d.URL()+"/api/products?store_id=1", bearer).want(t, "what it is for", http.StatusOK)
	get(t, d.URL()+"/api/stores", bearer).want(t, "something else", http.StatusForbidden)

	permissions := []string{latchward.PermissionVerify}
	id, secret := d.token(t, rest.NewToken{
		Name: rest.Some("resource server"), Kind: rest.Some(latchward.KindService), Permissions: rest.Some(permissions),
	})
	server, err := rs.NewResourceServerClientCredentials(t.Context(), d.Issuer, strconv.FormatInt(id, 10), secret,
		rs.WithStaticEndpoints(d.TokenEndpoint, d.IntrospectionEndpoint), rs.WithClient(http.DefaultClient))
	if err != nil {
		t.Fatal(err)
	}
	told, err := rs.Introspect[*oidc.IntrospectionResponse](t.Context(), server, issued.AccessToken)
	if err != nil || !told.Active || told.Subject != "user:1" || told.TokenType != "Bearer" || told.Issuer != d.Issuer ||
		told.ClientID != "1" || told.JWTID == "" || time.Since(told.IssuedAt.AsTime()) > time.Minute || !told.Expiration.AsTime().IsZero() {
		t.Errorf("%+v, %v", told, err)
	}
	if err := client.CallRevokeEndpoint(t.Context(), client.RevokeRequest{Token: issued.AccessToken, TokenTypeHint: "access_token"}, nil, d); err != nil {
		t.Fatal(err)
	}
	get(t, d.URL()+"/api/products", bearer).want(t, "a revoked token", http.StatusUnauthorized)
	told, err = rs.Introspect[*oidc.IntrospectionResponse](t.Context(), server, issued.AccessToken)
	if err != nil || told.Active || told.Subject != "" {
		t.Errorf("after the revocation: %+v, %v", told, err)
	}
	if err := client.CallRevokeEndpoint(t.Context(), client.RevokeRequest{Token: "unknown"}, nil, d); err != nil {
		t.Errorf("revoking what is not there: %v", err)
	}
}

// What is refused arrives in the library as the error that it is.
func TestOAuthErrorsInAnotherLibrary(t *testing.T) {
	d := discover(t)
	jwt := d.jwt(t).Expose()
	for _, test := range []struct {
		jwt               string
		scopes, resources []string
		code              string
	}{
		{"a.b.c", nil, nil, "invalid_request"},
		{jwt, []string{"tokens.create"}, nil, "invalid_scope"},
		{jwt, nil, []string{"https://other.example.com"}, "invalid_target"},
	} {
		_, err := d.exchange(t, test.jwt, test.scopes, test.resources)
		var fault *oidc.Error
		if !errors.As(err, &fault) || string(fault.ErrorType) != test.code || fault.Description == "" {
			t.Errorf("%s: %v", test.code, err)
		}
	}
	server, err := rs.NewResourceServerClientCredentials(t.Context(), d.Issuer, "1", "wrong",
		rs.WithStaticEndpoints(d.TokenEndpoint, d.IntrospectionEndpoint), rs.WithClient(http.DefaultClient))
	if err != nil {
		t.Fatal(err)
	}
	if told, err := rs.Introspect[*oidc.IntrospectionResponse](t.Context(), server, "x"); err == nil {
		t.Errorf("a wrong client learned %+v", told)
	}
	if err := client.CallRevokeEndpoint(t.Context(), client.RevokeRequest{Token: jwt}, nil, d); err == nil {
		t.Error("a JWT was revoked")
	}
}

// golang.org/x/oauth2 gets tokens too, and finds out by itself how clients prove themselves here: not at all.
func TestOAuthByX(t *testing.T) {
	d := discover(t)
	for name, style := range map[string]oauth2.AuthStyle{
		"in parameters": oauth2.AuthStyleInParams, "found out": oauth2.AuthStyleAutoDetect,
	} {
		t.Run(name, func(t *testing.T) {
			config := clientcredentials.Config{
				ClientID: "cli", TokenURL: d.TokenEndpoint, AuthStyle: style,
				EndpointParams: url.Values{
					"grant_type": {oauth.GrantExchange}, "subject_token": {d.jwt(t).Expose()}, "subject_token_type": {oauth.TypeJWT},
				},
			}
			http := config.Client(t.Context())
			for range 2 { // the second time with the same token, which lasts an hour
				send(t, http, "GET", d.URL()+"/api/products", "", nil).want(t, "with the token", 200)
			}
			token, err := config.Token(t.Context())
			if err != nil || token.Type() != "Bearer" || time.Until(token.Expiry) > time.Hour || time.Until(token.Expiry) < 50*time.Minute ||
				token.Extra("issued_token_type") != oauth.TypeAccessToken {
				t.Errorf("%+v, %v", token, err)
			}
			config.EndpointParams.Set("grant_type", "client_credentials")
			var fault *oauth2.RetrieveError
			if _, err := config.Token(t.Context()); !errors.As(err, &fault) || fault.ErrorCode != "unsupported_grant_type" {
				t.Errorf("client credentials: %v", err)
			}
		})
	}
}

// B-11, bar 137: a derived token that one library got verifies in another, by the keys that the metadata names; it is
// told of, and ends with the token that it comes from.
func TestDerivedTokenByAnotherLibrary(t *testing.T) {
	d := discover(t)
	id, secret := d.token(t, rest.NewToken{Name: rest.Some("robot")})
	exchanger, err := tokenexchange.NewTokenExchanger(t.Context(), d.Issuer,
		tokenexchange.WithStaticTokenEndpoint(d.Issuer, d.TokenEndpoint), tokenexchange.WithHTTPClient(http.DefaultClient))
	if err != nil {
		t.Fatal(err)
	}
	issued, err := tokenexchange.ExchangeToken(t.Context(), exchanger, secret, oidc.AccessTokenType, "", "", nil,
		[]string{"https://billing.example.com"}, nil, oidc.JWTTokenType)
	if err != nil || issued.IssuedTokenType != oidc.JWTTokenType {
		t.Fatalf("%+v, %v", issued, err)
	}
	verifier := coreos.NewVerifier(d.Issuer, coreos.NewRemoteKeySet(t.Context(), d.JwksURI), &coreos.Config{
		ClientID: "https://billing.example.com", SupportedSigningAlgs: []string{coreos.EdDSA},
	})
	verified, err := verifier.Verify(t.Context(), issued.AccessToken)
	if err != nil || verified.Subject != "user:1" || time.Until(verified.Expiry) > time.Hour {
		t.Errorf("%+v, %v", verified, err)
	}
	told, err := oauth.Introspect(t.Context(), d.verifier(t), secretOf(issued.AccessToken))
	if err != nil || !told.Active || int64(told.TokenID) != id || !slices.Equal(told.Audience, []string{"https://billing.example.com"}) {
		t.Errorf("%+v, %v", told, err)
	}
	if _, err := d.exchange(t, issued.AccessToken, nil, nil); err == nil {
		t.Error("a derived token was exchanged")
	}
	if _, err := d.administrator(t).RevokeToken(t.Context(), id, rest.Revocation{}); err != nil {
		t.Fatal(err)
	}
	if told, err = oauth.Introspect(t.Context(), d.verifier(t), secretOf(issued.AccessToken)); err != nil || told.Active {
		t.Errorf("after the revocation: %+v, %v", told, err)
	}
}
