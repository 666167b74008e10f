package latchward

import "context"

// Adoption says how many users there are and how many of them use tokens (S1-19).
type Adoption struct {
	Users    int64 // active ones
	Adopters int64 // of those, who own a token that was ever accepted
}

// Inventory is what there is at one moment, in numbers, for metrics. It tells nothing about a single token or user.
type Inventory struct {
	Tokens map[Status]int64 // every status has an entry
	Adoption
}

// Statuses lists every status.
func Statuses() []Status { return []Status{StatusActive, StatusInactive, StatusExpired, StatusRevoked} }

// Inventory counts what is in the store. It reads as much as there are tokens, so ask now and then, not per request.
func (s *Service) Inventory(ctx context.Context) (Inventory, error) {
	adoption, err := s.store.Adoption(ctx)
	if err != nil {
		return Inventory{}, err
	}
	counted := Inventory{Tokens: map[Status]int64{}, Adoption: adoption}
	for _, status := range Statuses() {
		counted.Tokens[status], err = s.store.CountTokens(ctx, TokenFilter{Status: status, Now: s.timestamp()})
		if err != nil {
			return Inventory{}, err
		}
	}
	return counted, nil
}
