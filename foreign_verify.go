package latchward

import (
	"context"
	"net/netip"
	"strings"
	"time"
)

// proveForeign is prove for a string that is no secret of ours. Where nothing was imported it costs no look-up; a
// string with our prefix is looked up only if some import declared that prefix.
func (s *Service) proveForeign(
	ctx context.Context, r *VerifyRequest, v *Verdict, otherPrefix bool,
) (*facts, *ownerRecord, error) {
	forms, err := s.cache.foreign.known(ctx)
	if err != nil {
		return nil, nil, err
	}
	if !forms.find(r.Secret, otherPrefix) {
		v.Reason = ReasonMalformed
		return nil, nil, nil
	}
	q := s.newSearch(r, v.At)
	f, presented, err := s.findForeign(ctx, forms, q)
	switch {
	case err != nil:
		return nil, nil, err
	case q.refused.refused():
		s.throttled(v, q.refused)
		return nil, nil, nil
	case f == nil:
		v.Reason = ReasonNotFound
		return nil, nil, nil
	}
	return s.proven(ctx, f, presented, r, v)
}

// find reports whether a string that is no secret of ours is looked up.
func (f *foreignForms) find(secret Secret, otherPrefix bool) bool {
	return !f.none() && (otherPrefix || f.own) && foreignShape(secret.Expose())
}

// recogniseSecret returns the credential of a secret, ours or foreign, which it does not judge; the zero Credential
// when there is none. The error is of code unavailable, also when too many that are unknown came from that address.
func (s *Service) recogniseSecret(ctx context.Context, secret Secret, address netip.Addr) (Credential, error) {
	presented, err := ParseSecret(secret, s.prefix, s.keys.Load())
	if err == nil {
		return presented, nil
	}
	forms, known := s.cache.foreign.known(ctx)
	if known != nil || !forms.find(secret, err == ErrForeign) {
		return Credential{}, known
	}
	q := s.newSearch(&VerifyRequest{Secret: secret, Address: address, DryRun: true}, s.now())
	f, digest, err := s.findForeign(ctx, forms, q)
	switch {
	case err == nil && q.refused.refused():
		err = Errorf(CodeUnavailable, "Too many unknown secrets came from this address; try again in a minute")
	case f != nil:
		return Credential{KeyID: f.keyID, Digest: digest}, err
	}
	return Credential{}, err
}

func (s *Service) newSearch(r *VerifyRequest, at time.Time) *foreignSearch {
	return &foreignSearch{VerifyRequest: *r, at: at, changes: s.cache.changes.Load()} // a copy: r stays off the heap
}

// foreignSearch is the search for the token whose secret a string is.
type foreignSearch struct {
	VerifyRequest
	at        time.Time
	refused   throttle    // why it was given up
	changes   uint64      // count of changes when it began
	unknown   []candidate // what it may be found by that is not known to lead nowhere
	canonical candidate   // what it will be found by once it was compared
	prefixes  []string    // lookup prefixes that it may have
}

// findForeign returns the facts about the token whose secret a string is and what to compare its digest with; nil when
// it is none, or was not looked up. What is remembered costs neither a look-up nor an allowance.
func (s *Service) findForeign(ctx context.Context, forms *foreignForms, q *foreignSearch) (*facts, Digest, error) {
	candidates, canonical := forms.candidates(s.keys.Load(), q.Secret.Expose())
	q.canonical, q.prefixes = canonical, forms.lookupPrefixes(q.Secret.Expose())
	for _, c := range candidates {
		f, missing := s.cache.remembered(c.KeyID, q.at)
		if f != nil {
			f, presented := s.moveForeign(ctx, f, c, q)
			return f, presented, nil
		}
		if !missing {
			q.unknown = append(q.unknown, c)
		}
	}
	if len(q.prefixes) > 0 {
		if f, err := s.provenForeign(ctx, canonical.KeyID, q.at); f != nil || err != nil {
			return f, digestOf(f), err
		}
		if s.cache.foreign.failed(canonical.KeyID, q.at) {
			q.prefixes = nil
		}
	}
	if len(q.unknown) == 0 && len(q.prefixes) == 0 {
		return nil, Digest{}, nil
	}
	return s.searchForeign(ctx, q)
}

// searchForeign asks the database, if the client's address still may.
func (s *Service) searchForeign(ctx context.Context, q *foreignSearch) (*facts, Digest, error) {
	known, refused := s.foreign.lookup(s.instant(q.at), q.Address)
	if q.refused = refused; refused.refused() {
		return nil, Digest{}, nil
	}
	f, presented, err := s.lookUpForeign(ctx, q)
	if f == nil && err == nil && len(q.prefixes) > 0 {
		f, err = s.tryForeign(ctx, q)
		presented = digestOf(f)
	}
	if f != nil {
		known()
	}
	return f, presented, err
}

// digestOf returns the digest of a secret that was proven otherwise.
func digestOf(f *facts) Digest {
	if f == nil {
		return Digest{}
	}
	return f.digest
}

// throttled makes v the verdict on a string that was not looked up.
func (s *Service) throttled(v *Verdict, t throttle) {
	v.Reason = ReasonRateLimited
	v.Limit = LimitStatus{
		Name: t.name, Limit: t.limit, Window: foreignWindow, Current: t.current,
		Reset: v.At.Add(t.reset.Sub(s.instant(v.At))),
	}
}

// provenForeign returns the facts about a string that was compared before, or nil.
func (s *Service) provenForeign(ctx context.Context, canonical KeyID, now time.Time) (*facts, error) {
	id, ok := s.cache.foreign.found(canonical)
	if !ok {
		return nil, nil
	}
	f, err := s.cache.get(ctx, id, now)
	if ErrorCode(err) == CodeNotFound {
		s.cache.foreign.prove(canonical, KeyID{})
		return nil, nil
	}
	return f, err
}

// lookUpForeign looks for a string by its digests.
func (s *Service) lookUpForeign(ctx context.Context, q *foreignSearch) (*facts, Digest, error) {
	for _, c := range q.unknown {
		f, err := s.cache.get(ctx, c.KeyID, q.at)
		if ErrorCode(err) == CodeNotFound {
			continue
		}
		if err != nil {
			return nil, Digest{}, err
		}
		f, presented := s.moveForeign(ctx, f, c, q)
		return f, presented, nil
	}
	return nil, Digest{}, nil
}

// moveForeign keeps what was found under an old server key under the current one, and returns the facts as they are
// then and the digest to compare with. One is moved at a time, and who comes meanwhile does not wait: after a rotation
// of the key a fleet moves as fast as it may without getting into anybody's way.
func (s *Service) moveForeign(ctx context.Context, f *facts, c candidate, q *foreignSearch) (*facts, Digest) {
	keys := s.keys.Load()
	if c.form.version == keys.Current() || q.DryRun || !f.digest.Equal(c.Digest) ||
		!s.foreign.moving.CompareAndSwap(false, true) {
		return f, c.Digest
	}
	defer s.foreign.moving.Store(false)
	if s.cache.foreign.failed(f.keyID, q.at) { // to be moved, a moment ago
		return f, c.Digest
	}
	to := candidate{form: fastForm{c.form.algorithm, keys.Current()}, sum: c.sum}
	to.Credential = keys.key(keys.Current()).foreign(c.form.algorithm, c.sum)
	if moved := s.rehash(ctx, f, to, q.at); moved != nil {
		return moved, to.Digest
	}
	s.cache.foreign.fail(f.keyID, q.at)
	return f, c.Digest
}

// rehash keeps another digest of a token's current secret, whose text has just been proven, and returns the facts as
// they are then; nil when that could not be done, or the secret is not the current one. It changes nothing about what
// anybody may do, so it leaves no audit entry.
func (s *Service) rehash(ctx context.Context, f *facts, to candidate, now time.Time) *facts {
	ctx = context.WithoutCancel(ctx)
	current := false
	err := s.tx(ctx, func(tx Tx) error {
		t, err := tx.Token(f.id)
		current = err == nil && t.Secret.KeyID == f.keyID && !t.Revoked()
		if err != nil || !current {
			return err
		}
		t.Secret = to.Credential
		if err := tx.SaveToken(t); err != nil {
			return err
		}
		if err := tx.SaveForeignForm(to.form.String()); err != nil {
			return err
		}
		return tx.SaveForeignSecret(ForeignSecret{KeyID: f.keyID, TokenID: f.id, Became: to.KeyID})
	})
	if err != nil {
		if ErrorCode(err) != CodeNotFound {
			s.log.Warn("The digest of an imported secret could not be renewed; it will be tried again.",
				"token_id", int64(f.id), "error", err)
		}
		return nil
	}
	if !current {
		return nil
	}
	renewed, err := s.cache.get(ctx, to.KeyID, now)
	if err != nil {
		return nil
	}
	return renewed
}

// foreignFlight compares one string with all that it may be, for everybody who presents it meanwhile.
type foreignFlight struct {
	done    chan struct{}
	changes uint64 // count of changes when it began
	found   KeyID  // of the secret that it is; zero = none
	refused throttle
	err     error
}

// tryForeign compares a string with the secrets that have its lookup prefix, and keeps a keyed digest of the one that
// it is, so that it is the last time.
func (s *Service) tryForeign(ctx context.Context, q *foreignSearch) (*facts, error) {
	fl, now := s.joinForeign(ctx, q), q.at
	select {
	case <-fl.done:
	case <-ctx.Done():
		return nil, &Error{Code: CodeUnavailable, Message: "The request ended before the token was checked.", Err: ctx.Err()}
	}
	switch {
	case fl.err != nil:
		return nil, fl.err
	case fl.refused.refused():
		q.refused = fl.refused
		return nil, nil
	case fl.found.IsZero():
		return s.becameCanonical(ctx, q)
	}
	f, err := s.cache.get(ctx, fl.found, now)
	if err == nil && !q.DryRun {
		if renewed := s.rehash(ctx, f, q.canonical, now); renewed != nil {
			return renewed, nil
		}
	}
	if faster, _ := s.becameCanonical(ctx, q); faster != nil {
		return faster, nil // somebody else presented it, too
	}
	if err == nil {
		s.cache.foreign.prove(q.canonical.KeyID, fl.found)
	} else if ErrorCode(err) == CodeNotFound {
		err = nil
	}
	return f, err
}

// becameCanonical returns the facts about a string that was found neither by its digest nor among the candidates, if
// what it is moved from the one to the other in between.
func (s *Service) becameCanonical(ctx context.Context, q *foreignSearch) (*facts, error) {
	if q.changes == s.cache.changes.Load() {
		return nil, nil
	}
	f, err := s.cache.get(ctx, q.canonical.KeyID, q.at)
	if ErrorCode(err) == CodeNotFound {
		err = nil
	}
	return f, err
}

// joinForeign returns the flight for a string, which it starts if there is none.
func (s *Service) joinForeign(ctx context.Context, q *foreignSearch) *foreignFlight {
	c := &s.cache.foreign
	c.mu.Lock()
	defer c.mu.Unlock()
	fl := c.flights[q.canonical.KeyID]
	if fl == nil || fl.changes != c.changes.Load() {
		fl = &foreignFlight{done: make(chan struct{}), changes: c.changes.Load()}
		c.flights[q.canonical.KeyID] = fl
		own := foreignSearch{at: q.at, canonical: q.canonical}
		own.Address = q.Address
		// The text may share the memory of a request that ends before the flight does.
		own.Secret = SecretFromText(strings.Clone(q.Secret.Expose()))
		for _, prefix := range q.prefixes {
			own.prefixes = append(own.prefixes, own.Secret.Expose()[:len(prefix)])
		}
		go s.flyForeign(context.WithoutCancel(ctx), fl, &own)
	}
	return fl
}

func (s *Service) flyForeign(ctx context.Context, fl *foreignFlight, q *foreignSearch) {
	ctx, cancel := context.WithTimeout(ctx, slowTimeout)
	defer cancel()
	fl.found, fl.refused, fl.err = s.compareForeign(ctx, q)
	c := &s.cache.foreign
	c.mu.Lock()
	if c.flights[q.canonical.KeyID] == fl {
		delete(c.flights, q.canonical.KeyID)
	}
	if fl.err == nil && fl.found.IsZero() && !fl.refused.refused() && fl.changes == c.changes.Load() {
		c.remember(q.canonical.KeyID, q.at)
	}
	c.mu.Unlock()
	close(fl.done)
}

// compareForeign returns the key id of the secret that a string is.
func (s *Service) compareForeign(ctx context.Context, q *foreignSearch) (KeyID, throttle, error) {
	secrets, err := s.store.ForeignSecrets(ctx, q.prefixes, foreignSecretsMost)
	if err != nil || len(secrets) == 0 {
		return KeyID{}, throttle{}, err
	}
	known, refused := s.foreign.attempt(s.instant(q.at), q.prefixes[0], q.Address)
	if refused.refused() {
		return KeyID{}, refused, nil
	}
	keys := s.keys.Load()
	for i := range secrets {
		t, genuine := secrets[i].unseal(keys)
		if !genuine {
			s.log.Warn("An imported secret is not what this server stored, or its server key was dropped; it is refused.",
				"token_id", int64(secrets[i].TokenID))
			continue
		}
		is, refused, err := s.compareOne(ctx, &t, q)
		if err != nil || refused.refused() {
			return KeyID{}, refused, err
		}
		if is {
			known()
			return secrets[i].KeyID, throttle{}, nil
		}
	}
	return KeyID{}, throttle{}, nil
}

func (s *Service) compareOne(ctx context.Context, t *foreignTest, q *foreignSearch) (bool, throttle, error) {
	if t.Algorithm.slow() {
		end, refused, err := s.foreign.turn(ctx, s.instant(q.at))
		if err != nil || refused.refused() {
			return false, refused, err
		}
		defer end()
	}
	is, err := t.matches(q.Secret, s.options.SlowDigests)
	if err != nil {
		s.log.Warn("An imported secret cannot be compared.", "error", err)
		return false, throttle{}, nil
	}
	return is, throttle{}, nil
}
