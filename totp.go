package latchward

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what authenticator apps compute (RFC 6238 §1.2); HMAC does not need it collision-free
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Time-based one-time passwords as authenticator apps make them by default (RFC 6238 with the values of its §4 and
// §5.2): six digits, thirty seconds, SHA-1, and one step of drift to either side.
const (
	totpDigits      = 6
	totpPeriod      = 30 // seconds
	totpDrift       = 1  // steps
	totpSecretBytes = 20 // as long as the hash's output (RFC 4226 §4)
)

var totpEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// totpCode returns the code of one step (RFC 4226 §5.3).
func totpCode(secret []byte, step int64) string {
	mac := hmac.New(sha1.New, secret)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(step)))
	sum := mac.Sum(nil)
	offset := sum[len(sum)-1] & 0xf
	number := binary.BigEndian.Uint32(sum[offset:]) & 0x7fffffff
	return fmt.Sprintf("%0*d", totpDigits, number%1_000_000)
}

// matchTOTP returns the step whose code it is, if that is near now and behind the step after; 0 = none.
func matchTOTP(secret []byte, code string, now time.Time, after int64) int64 {
	current, found := now.Unix()/totpPeriod, int64(0)
	for step := current - totpDrift; step <= current+totpDrift; step++ {
		if subtle.ConstantTimeCompare([]byte(totpCode(secret, step)), []byte(code)) == 1 && step > after {
			found = step
		}
	}
	return found
}

// plainCode returns a code as typed without what people put between its characters.
func plainCode(text string) string {
	return strings.ToUpper(strings.NewReplacer(" ", "", "-", "", "\t", "").Replace(text))
}

// TOTPSecret is a new shared secret, for the person to put into an authenticator app.
type TOTPSecret struct {
	Secret Secret // base32
	Issuer string
	Email  string
}

// URL returns the secret as apps read it from a QR code:
// https://github.com/google/google-authenticator/wiki/Key-Uri-Format.
func (t TOTPSecret) URL() Secret {
	query := "secret=" + t.Secret.Expose() + "&issuer=" + url.PathEscape(t.Issuer)
	return SecretFromText("otpauth://totp/" + url.PathEscape(t.Issuer) + ":" + url.PathEscape(t.Email) + "?" + query)
}
