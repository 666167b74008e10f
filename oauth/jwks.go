package oauth

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/internal/jwt"
)

// KeysPath is where the keys are that verify what Latchward signs.
const KeysPath = Root + "jwks"

// publicKeys answers with the keys that verify derived tokens and status lists, as a JWK set (RFC 7517 §5, RFC 8037
// §2). It may be kept for [latchward.SigningKeysMaxAge]: a key is in it for longer before it signs anything. In an
// emergency a key leaves it at once; ask with the ETag to learn of that sooner.
func (h *handler) publicKeys(w http.ResponseWriter, r *http.Request) error {
	keys, err := h.service.PublicKeys(r.Context())
	if err != nil {
		return err
	}
	body, err := jwt.WriteKeys(keys)
	if err != nil {
		return err
	}
	w.Header().Del("Vary")
	serve(w, r, "application/jwk-set+json", latchward.SigningKeysMaxAge, append(body, '\n'))
	return nil
}

// serve answers with what everybody may see and keep for a while: no credential has a part in it.
func serve(w http.ResponseWriter, r *http.Request, media string, age time.Duration, body []byte) {
	header := w.Header()
	header.Del("Pragma")
	header.Set("Cache-Control", "public, max-age="+strconv.FormatInt(int64(age/time.Second), 10))
	header.Set("Content-Type", media)
	sum := sha256.Sum256(body)
	header.Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}
