package latchward

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"strconv"
)

// AuditProof is what makes it noticed when an audit entry is changed behind Latchward's back. Each entry is hashed
// together with the hash of the one before it and with a seal under the server key, which the database does not hold.
// What tells who somebody is goes into the hash as a digest only, under a key that is made for this entry and kept
// beside it: taking the texts and the key away erases a person and leaves the chain as it was. Without the key nothing
// can be learned from the digest, not even by trying names; with it no server key is needed to check it.
type AuditProof struct {
	ActorKey     []byte // 16 bytes; nil once the actor is erased
	ActorDigest  []byte // 32 bytes: HMAC-SHA-256 of the actor's name, address and user agent
	TargetKey    []byte // 16 bytes; nil once the target is erased
	TargetDigest []byte // 32 bytes: HMAC-SHA-256 of the target's name and the members that PersonalMembers names
	KeyVersion   int    // of the server key of Seal; 0 = none, for what an earlier version wrote
	Seal         []byte // 16 bytes: HMAC-SHA-256 of the hash before and the entry, cut (RFC 2104 section 5)
	Hash         []byte // 32 bytes: SHA-256 of the hash before, the entry and its seal
}

// AuditHead is the newest entry, as far as the next one depends on it. The zero AuditHead is that of an empty log.
type AuditHead struct {
	ID   int64
	Hash []byte
}

// PersonalMembers names the members of AuditEntry.Before and After that can tell who a person is.
func PersonalMembers() []string {
	return []string{
		"email", "external_id", "name", "passkey", "user_name", "directory_id", "given_name", "family_name",
	}
}

const (
	auditKeyLen   = 16 // as many bits as SHA-256 has against collisions
	auditSealLen  = 16
	auditLabel    = "latchward audit entry 1"
	sealedLabel   = "latchward audit entry 1 with its seal"
	actorLabel    = "latchward audit actor 1"
	targetLabel   = "latchward audit target 1"
	sealPurpose   = "audit seal"   // of the key that seals are made with
	anchorPurpose = "audit anchor" // of the key that anchors are made with
)

// Chain makes e the entry behind previous: it sets ID, Outcome if there is none, and Proof but for the seal, brings
// Before and After into the form that a store gives back, and cuts texts from outside to their bounds. The error is of
// code unavailable when random fails and of code invalid when the change cannot be written as JSON.
func (e *AuditEntry) Chain(previous AuditHead, random io.Reader) error {
	if err := e.settle(); err != nil {
		return err
	}
	keys := make([]byte, 2*auditKeyLen)
	if _, err := io.ReadFull(random, keys); err != nil {
		return randomFailed("key for an audit entry", err)
	}
	p := AuditProof{ActorKey: keys[:auditKeyLen:auditKeyLen], TargetKey: keys[auditKeyLen:]}
	e.ID, e.Proof = previous.ID+1, p
	e.Proof.ActorDigest, e.Proof.TargetDigest = e.actorDigest(), e.targetDigest()
	e.Proof.Hash = e.hash(e.sum(previous))
	return nil
}

// settle brings e into the form in which stores give it back: what is hashed now must be what is read later.
func (e *AuditEntry) settle() error {
	e.Outcome = orDefault(e.Outcome, OutcomeDone)
	origin := &e.Actor.Origin
	e.At = toMillisecond(e.At)
	e.Actor.Name, e.TargetName = plainText(e.Actor.Name, maxAuditName), plainText(e.TargetName, maxAuditName)
	origin.UserAgent = plainText(origin.UserAgent, MaxUserAgentLength)
	origin.RequestID = plainText(origin.RequestID, MaxRequestIDLength)
	var err error
	if e.Before, err = plainObject(e.Before); err != nil {
		return err
	}
	e.After, err = plainObject(e.After)
	return err
}

// maxAuditName is the most of a name that an entry keeps, in bytes: every name that Validate lets pass.
const maxAuditName = 4 * MaxNameLength

// plainText returns at most n bytes of text, as valid UTF-8.
func plainText(text string, n int) string {
	if len(text) > n {
		text = text[:n]
	}
	return string(bytes.ToValidUTF8([]byte(text), nil))
}

// plainObject returns what a JSON object is read as.
func plainObject(object map[string]any) (map[string]any, error) {
	if object == nil {
		return nil, nil
	}
	text, err := json.Marshal(object)
	if err != nil {
		return nil, Errorf(CodeInvalid, "The change cannot be written as JSON: %v", err)
	}
	var plain map[string]any
	return plain, json.Unmarshal(text, &plain)
}

func (e *AuditEntry) actorDigest() []byte {
	address := ""
	if e.Actor.Origin.Address.IsValid() {
		address = e.Actor.Origin.Address.String()
	}
	return keyedDigest(e.Proof.ActorKey, actorLabel, e.Actor.Name, address, e.Actor.Origin.UserAgent)
}

func (e *AuditEntry) targetDigest() []byte {
	return keyedDigest(e.Proof.TargetKey, targetLabel, e.TargetName, jsonText(personal(e.Before)), jsonText(personal(e.After)))
}

func keyedDigest(key []byte, texts ...string) []byte {
	mac := hmac.New(sha256.New, key)
	writeTexts(mac, texts...)
	return mac.Sum(nil)
}

// writeTexts writes each text behind its length, so that no two lists of texts are written alike.
func writeTexts(to io.Writer, texts ...string) {
	for _, text := range texts {
		_ = binary.Write(to, binary.BigEndian, uint64(len(text))) // hashes do not fail
		_, _ = io.WriteString(to, text)
	}
}

// sum returns the hash of e behind previous, but for its seal, which is made of it. Only digests of what can be erased
// are in it.
func (e *AuditEntry) sum(previous AuditHead) []byte {
	hash := sha256.New()
	p := &e.Proof
	writeTexts(hash, auditLabel, string(previous.Hash), strconv.FormatInt(e.ID, 10), strconv.FormatInt(e.At.UnixMilli(), 10),
		string(e.Actor.Type), strconv.FormatInt(e.Actor.ID, 10), e.Actor.Origin.RequestID, e.Action, string(e.Outcome),
		e.TargetType, strconv.FormatInt(e.TargetID, 10), jsonText(impersonal(e.Before)), jsonText(impersonal(e.After)),
		string(p.ActorDigest), string(p.TargetDigest), strconv.Itoa(p.KeyVersion))
	return hash.Sum(nil)
}

// hash returns the hash of an entry with that sum, and with its seal.
func (e *AuditEntry) hash(sum []byte) []byte {
	hash := sha256.New()
	writeTexts(hash, sealedLabel, string(sum), string(e.Proof.Seal))
	return hash.Sum(nil)
}

// seal seals e under the current server key. It hashes e anew, because the version of the key is part of it.
func (e *AuditEntry) seal(previous AuditHead, ring *KeyRing) {
	e.Proof.KeyVersion = ring.Current()
	sum := e.sum(previous)
	e.Proof.Seal = sealOf(ring, e.Proof.KeyVersion, sealPurpose, sum)
	e.Proof.Hash = e.hash(sum)
}

// sealOf returns nil when the ring has no such key.
func sealOf(ring *KeyRing, version int, purpose string, text []byte) []byte {
	key, ok := ring.Derive(version, purpose)
	if !ok {
		return nil
	}
	return keyedDigest(key[:], string(text))[:auditSealLen]
}

// personal and impersonal are the two parts of an object. An erased object and one that never had a personal member
// look alike.
func personal(object map[string]any) map[string]any {
	part := map[string]any{}
	for _, name := range PersonalMembers() {
		if value, ok := object[name]; ok {
			part[name] = value
		}
	}
	return part
}

func impersonal(object map[string]any) map[string]any {
	part := maps.Clone(object)
	for _, name := range PersonalMembers() {
		delete(part, name)
	}
	return part
}

// jsonText returns the one text of what plainObject returned: the members of objects are sorted. To stores no object
// and one without members are the same.
func jsonText(object map[string]any) string {
	if len(object) == 0 {
		return ""
	}
	text, err := json.Marshal(object)
	if err != nil {
		panic(fmt.Sprintf("latchward: what was read as JSON cannot be written as JSON: %v", err))
	}
	return string(text)
}

// actorErased and targetErased report whether what tells who somebody is was taken away, all of it.
func (e *AuditEntry) actorErased() bool {
	return e.Proof.ActorKey == nil && e.Actor.Name == "" && !e.Actor.Origin.Address.IsValid() && e.Actor.Origin.UserAgent == ""
}

func (e *AuditEntry) targetErased() bool {
	return e.Proof.TargetKey == nil && e.TargetName == "" && len(personal(e.Before)) == 0 && len(personal(e.After)) == 0
}

// follows says what is wrong with e as the entry behind previous, but for its seal; "" = nothing.
func (e *AuditEntry) follows(previous AuditHead) string {
	p := &e.Proof
	switch {
	case len(p.Hash) == 0:
		return "it is not part of the chain: it was not written by Latchward"
	case !bytes.Equal(p.Hash, e.hash(e.sum(previous))):
		return "it was changed, or does not follow the entry before it"
	case !e.actorErased() && !bytes.Equal(p.ActorDigest, e.actorDigest()):
		return "what it tells of the actor was changed"
	case !e.targetErased() && !bytes.Equal(p.TargetDigest, e.targetDigest()):
		return "what it tells of the target was changed"
	}
	return ""
}
