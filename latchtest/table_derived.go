package latchtest

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/latchward/latchward"
)

// derive exchanges the API token words[0] for a derived token, which is known as words[1] from then on.
func (w *table) derive(ctx context.Context, words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("a derivation is derive TOKEN NAME")
	}
	r := latchward.DeriveRequest{Secret: w.secrets[words[0]], Issuer: "https://latchward.example"}
	for _, word := range words[2:] {
		name, value, _ := strings.Cut(word, "=")
		value = strings.ReplaceAll(value, "+", " ")
		var err error
		switch name {
		case "permission":
			r.Permissions = append(r.Permissions, value)
		case "endpoint":
			r.Endpoints = append(r.Endpoints, value)
		case "audience":
			r.Audience = append(r.Audience, value)
		case "address":
			r.Origin.Address, err = netip.ParseAddr(value)
		case "lifetime":
			r.Lifetime, err = time.ParseDuration(value)
		default:
			err = fmt.Errorf("unknown word %q", word)
		}
		if err != nil {
			return err
		}
	}
	derived, err := w.service.DeriveToken(ctx, r)
	w.secrets[words[1]] = derived.Secret
	return err
}
