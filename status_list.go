package latchward

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"sync"
	"time"
)

// Status lists say which derived tokens are refused before their end, for verifiers that do not ask Latchward
// (draft-ietf-oauth-status-list-21, "Token Status List"). Sections below are those of that document.
//
// A list is for the tokens of one hour and is served until the last of them has ended (section 13.1). Places are random
// and never given twice (sections 12.4 and 13.3); some are decoys that turn invalid in the course of time, so that
// outsiders do not learn how many tokens are issued or revoked (section 12.4). A place has one bit: whatever is refused
// is INVALID, also while it is only disabled, because more would tell outsiders more (section 12.8).
const (
	StatusListSize = 1 << 20          // places in a list: 128 KiB before it is compressed
	StatusListTTL  = 30 * time.Second // after which verifiers should look again (section 13.7)
	StatusListLife = 5 * time.Minute  // after which a list must not be relied upon

	// StatusListDelay is how far a served list may lie behind the decision of Latchward itself.
	StatusListDelay = time.Second

	listPeriod   = time.Hour
	listsAtOnce  = 8                  // lists for the tokens of one period
	listCapacity = StatusListSize / 2 // tokens in a list; beyond, finding a free place takes long
	listDecoys   = 256
	bitsMaxAge   = 10 * time.Second // tokens go idle without any change
	enlistTries  = 20
)

// StatusList is a status list at one moment.
type StatusList struct {
	Issuer    string
	ID        int64
	IssuedAt  time.Time
	ExpiresAt time.Time
	TTL       time.Duration
	Bits      []byte // one bit a place, the lowest of a byte first (section 4.1); 1 = INVALID
}

// openList is the list in which tokens are given places now.
type openList struct {
	mu   sync.Mutex
	id   int64
	used int // places given
}

// servedList is a status list as it was served last.
type servedList struct {
	signed       string
	issuer, key  string
	at           time.Time // when it was signed
	bits         []byte
	built        time.Time
	changes      uint64 // of facts when the bits were made
	derivedState uint64 // of revoked tokens when the bits were made
}

// firstList returns the first list of the period of an instant.
func firstList(now time.Time) int64 { return now.Unix() / int64(listPeriod/time.Second) * listsAtOnce }

// listBegin returns when the period of a list begins.
func listBegin(id int64) time.Time { return time.Unix(id/listsAtOnce*int64(listPeriod/time.Second), 0) }

// enlist gives a derived token a random place in a status list.
func (s *Service) enlist(ctx context.Context, c *DerivedClaims, now time.Time) (StatusEntry, error) {
	for range enlistTries {
		list, err := s.listWithRoom(ctx, now)
		if err != nil {
			return StatusEntry{}, err
		}
		var random [4]byte
		if _, err := io.ReadFull(s.random, random[:]); err != nil {
			return StatusEntry{}, randomFailed("derived token", err)
		}
		c.Status = StatusEntry{List: list, Index: int(binary.BigEndian.Uint32(random[:]) % StatusListSize)}
		err = s.tx(ctx, func(tx Tx) error { return tx.SaveDerivedToken(c.record()) })
		if ErrorCode(err) != CodeConflict {
			return c.Status, err
		}
	}
	return StatusEntry{}, Errorf(CodeUnavailable, "No place was found in the status lists; try again.")
}

// listWithRoom returns the list in which the next token is to have its place, and counts that token.
func (s *Service) listWithRoom(ctx context.Context, now time.Time) (int64, error) {
	open, first := &s.derived.open, firstList(now)
	open.mu.Lock()
	defer open.mu.Unlock()
	for open.id < first || open.used >= listCapacity {
		next := max(first, open.id+1)
		if next >= first+listsAtOnce {
			return 0, Errorf(CodeExhausted, "Too many derived tokens were issued in this hour.")
		}
		known, err := s.store.DerivedTokens(ctx, next) // of before a restart
		if err != nil {
			return 0, err
		}
		open.id, open.used = next, len(known)
	}
	open.used++
	return open.id, nil
}

// StatusList returns the status list with that id as a JWT of type statuslist+jwt, for clients that reach Latchward
// under the URL issuer. It is at most StatusListDelay old. The error is of code not_found for a list of which no token
// can be alive.
func (s *Service) StatusList(ctx context.Context, issuer string, id int64) (string, error) {
	now := s.now()
	begin := listBegin(id)
	if s.options.JWT == nil || now.Before(begin) || !now.Before(begin.Add(listPeriod+signingBehind)) {
		return "", Errorf(CodeNotFound, "There is no such status list")
	}
	key, err := s.activeSigningKey(ctx, now)
	if err != nil {
		return "", err
	}
	s.derived.serving.Lock()
	defer s.derived.serving.Unlock()
	l := s.derived.list(id, now)
	if l.signed != "" && l.issuer == issuer && l.key == key.ID && now.Sub(l.at) < StatusListDelay {
		return l.signed, nil
	}
	if err := s.refreshBits(ctx, l, id, now); err != nil {
		return "", err
	}
	issued := now.UTC().Truncate(time.Second)
	signed, err := s.options.JWT.SignStatusList(key.secret(), &StatusList{
		Issuer: issuer, ID: id, IssuedAt: issued, ExpiresAt: issued.Add(StatusListLife), TTL: StatusListTTL, Bits: l.bits,
	})
	if err == nil {
		l.signed, l.issuer, l.key, l.at = signed, issuer, key.ID, now
	}
	return signed, err
}

// list returns what is remembered of a list, and forgets lists that are over.
func (d *derivedState) list(id int64, now time.Time) *servedList {
	if d.served == nil {
		d.served = map[int64]*servedList{}
	}
	for known := range d.served {
		if !now.Before(listBegin(known).Add(listPeriod + signingBehind)) {
			delete(d.served, known)
		}
	}
	if d.served[id] == nil {
		d.served[id] = &servedList{}
	}
	return d.served[id]
}

// refreshBits makes the bits of a list anew if they may have changed.
func (s *Service) refreshBits(ctx context.Context, l *servedList, id int64, now time.Time) error {
	changes, ended := s.cache.changes.Load(), s.derived.generation()
	if l.bits != nil && l.changes == changes && l.derivedState == ended && now.Sub(l.built) < bitsMaxAge {
		return nil
	}
	records, err := s.store.DerivedTokens(ctx, id)
	if err != nil {
		return err
	}
	bits := s.decoys(id, now)
	standing := map[KeyID]bool{}
	for _, d := range records {
		valid, known := standing[d.KeyID]
		if !known {
			if valid, err = s.stands(ctx, d.KeyID, now); err != nil {
				return err
			}
			standing[d.KeyID] = valid
		}
		setBit(bits, d.Status.Index, !valid || !d.RevokedAt.IsZero())
	}
	l.bits, l.built, l.changes, l.derivedState = bits, now, changes, ended
	return nil
}

// stands reports whether a secret would be accepted from an allowed address.
func (s *Service) stands(ctx context.Context, id KeyID, now time.Time) (bool, error) {
	f, owner, err := s.parentOf(ctx, id, now)
	if ErrorCode(err) == CodeNotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return f.standing(owner, now.UnixNano()) == ReasonAllowed, nil
}

// decoys returns the bits of a list without any token: places that nobody can tell from revoked tokens, more and more of
// them until the last token of the list has ended.
func (s *Service) decoys(id int64, now time.Time) []byte {
	bits := make([]byte, StatusListSize/8)
	keys := s.keys.Load()
	key, _ := keys.Derive(keys.Current(), "status list decoys")
	age := uint32(now.Sub(listBegin(id)) / time.Second)
	mac := hmac.New(sha256.New, key[:])
	for i := range listDecoys {
		mac.Reset()
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(id*listDecoys+int64(i))))
		sum := mac.Sum(nil)
		if binary.BigEndian.Uint32(sum)%uint32((listPeriod+signingBehind)/time.Second) <= age {
			setBit(bits, int(binary.BigEndian.Uint32(sum[4:])%StatusListSize), true)
		}
	}
	return bits
}

func setBit(bits []byte, index int, value bool) {
	if index < 0 || index >= 8*len(bits) {
		return
	}
	bits[index/8] &^= 1 << (index % 8)
	if value {
		bits[index/8] |= 1 << (index % 8)
	}
}
