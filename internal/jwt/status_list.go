package jwt

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"io"
	"time"

	"github.com/go-jose/go-jose/v4/json"

	"github.com/latchward/latchward"
)

// statusListClaims are the claims of a status list (draft-ietf-oauth-status-list-21 section 5.1).
type statusListClaims struct {
	Issuer   string     `json:"iss"`
	Subject  string     `json:"sub"` // where the list is
	IssuedAt int64      `json:"iat"`
	Expires  int64      `json:"exp"`
	TTL      int64      `json:"ttl"` // seconds
	List     statusList `json:"status_list"`
}

// statusList is section 4.2.
type statusList struct {
	Bits int    `json:"bits"` // of one entry
	List string `json:"lst"`  // compressed, in base64url
}

// SignStatusList returns a status list as a JWT.
func SignStatusList(key latchward.SigningSecret, l *latchward.StatusList) (string, error) {
	compressed, err := compress(l.Bits)
	if err != nil {
		return "", err
	}
	return sign(key, TypeStatusList, &statusListClaims{
		Issuer: l.Issuer, Subject: StatusListURI(l.Issuer, l.ID), IssuedAt: l.IssuedAt.Unix(), Expires: l.ExpiresAt.Unix(),
		TTL: int64(l.TTL / time.Second), List: statusList{1, base64.RawURLEncoding.EncodeToString(compressed)},
	})
}

// compress is section 4.1: DEFLATE in the format of zlib, at the highest level.
func compress(bits []byte) ([]byte, error) {
	var compressed bytes.Buffer
	w, err := zlib.NewWriterLevel(&compressed, zlib.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(bits); err != nil {
		return nil, err
	}
	err = w.Close() // it writes the end
	return compressed.Bytes(), err
}

// ReadStatusList returns the status list at uri from a JWT that one of the keys has signed. It judges no times. The
// error is of code unauthenticated.
func ReadStatusList(text, issuer, uri string, find Find) (*latchward.StatusList, error) {
	payload, err := open(text, TypeStatusList, find)
	if err != nil {
		return nil, err
	}
	var claims statusListClaims
	if err := json.Unmarshal(payload, &claims); err != nil {
		return nil, refuse("its claims are not those of a status list")
	}
	id, err := readID("sub", issuer+StatusListsPath, claims.Subject)
	if err != nil || claims.Issuer != issuer || claims.Subject != uri || claims.List.Bits != 1 {
		return nil, refuse("it is another status list")
	}
	l := &latchward.StatusList{
		Issuer: issuer, ID: id, IssuedAt: time.Unix(claims.IssuedAt, 0).UTC(), ExpiresAt: time.Unix(claims.Expires, 0).UTC(),
		TTL: time.Duration(claims.TTL) * time.Second,
	}
	l.Bits, err = decompress(claims.List.List)
	return l, err
}

// decompress reads at most as much as a list of ours has: what unpacks to more is not one.
func decompress(encoded string) ([]byte, error) {
	compressed, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return nil, refuse("its list is not base64url")
	}
	r, err := zlib.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, refuse("its list is not compressed")
	}
	const most = latchward.StatusListSize / 8
	bits, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil || len(bits) > most {
		return nil, refuse("its list is damaged or too long")
	}
	return bits, nil
}
