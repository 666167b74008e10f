package latchward

import (
	"bytes"
	"context"
	"crypto/hmac"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// anchorInterval is how often the head of the audit log is written to the program's log, if it has changed (bar 128).
const anchorInterval = time.Minute

// AuditAnchor says which audit entry was the newest at a moment. Kept where the database's owner cannot reach it, such
// as in a log that is sent elsewhere, it shows that entries were cut off the end, which the chain itself cannot show.
type AuditAnchor struct {
	AuditHead
	At         time.Time
	KeyVersion int // of the server key that signed it
	text, mac  []byte
}

// anchorPattern finds anchors in text of any kind, such as a log.
var anchorPattern = regexp.MustCompile(`audit-anchor:[0-9]{1,19}:[0-9]{1,19}:[0-9a-f]{64}:[0-9]{1,2}:[0-9a-f]{32}`)

// AuditAnchors returns the anchors in a text, such as a line of a log or a whole log.
func AuditAnchors(text []byte) []AuditAnchor {
	var anchors []AuditAnchor
	for _, found := range anchorPattern.FindAll(text, -1) {
		if anchor, ok := parseAnchor(string(found)); ok {
			anchors = append(anchors, anchor)
		}
	}
	return anchors
}

func parseAnchor(text string) (AuditAnchor, bool) {
	fields := strings.Split(text, ":")
	id, err1 := strconv.ParseInt(fields[1], 10, 64)
	at, err2 := strconv.ParseInt(fields[2], 10, 64)
	hash, err3 := hex.DecodeString(fields[3])
	version, err4 := strconv.Atoi(fields[4])
	mac, err5 := hex.DecodeString(fields[5])
	for _, err := range []error{err1, err2, err3, err4, err5} {
		if err != nil {
			return AuditAnchor{}, false
		}
	}
	return AuditAnchor{
		AuditHead: AuditHead{ID: id, Hash: hash}, At: time.UnixMilli(at).UTC(), KeyVersion: version,
		text: []byte(text[:strings.LastIndexByte(text, ':')]), mac: mac,
	}, true
}

// String returns the anchor as [AuditAnchors] reads it.
func (a AuditAnchor) String() string { return string(a.text) + ":" + hex.EncodeToString(a.mac) }

// signed returns the anchor for a head.
func (h AuditHead) signed(ring *KeyRing, now time.Time) AuditAnchor {
	a := AuditAnchor{AuditHead: h, At: now, KeyVersion: ring.Current()}
	a.text = fmt.Appendf(nil, "audit-anchor:%d:%d:%x:%d", h.ID, now.UnixMilli(), h.Hash, a.KeyVersion)
	a.mac = sealOf(ring, a.KeyVersion, anchorPurpose, a.text)
	return a
}

// genuine reports whether the signature is right, and whether its server key is there to tell.
func (a *AuditAnchor) genuine(ring *KeyRing) (genuine, held bool) {
	mac := sealOf(ring, a.KeyVersion, anchorPurpose, a.text)
	return mac != nil && hmac.Equal(mac, a.mac), mac != nil
}

func (a *AuditAnchor) holds(e *AuditEntry) bool { return bytes.Equal(a.Hash, e.Proof.Hash) }

// anchored is which head was last written to the log.
type anchored struct {
	mu sync.Mutex
	id int64
}

// AuditAnchor returns the anchor of the newest audit entry; one with ID 0 says that there is none. It needs
// audit.read.
func (s *Service) AuditAnchor(ctx context.Context) (AuditAnchor, error) {
	if _, err := holder(ctx, PermissionAuditRead); err != nil {
		return AuditAnchor{}, err
	}
	return s.anchor(ctx)
}

func (s *Service) anchor(ctx context.Context) (AuditAnchor, error) {
	newest, err := s.store.AuditEntries(ctx, AuditFilter{Limit: 1})
	if err != nil || len(newest) == 0 {
		return AuditAnchor{}, err
	}
	head := AuditHead{ID: newest[0].ID, Hash: newest[0].Proof.Hash}
	return head.signed(s.keys.Load(), s.timestamp()), nil
}

// Anchor writes the anchor of the newest audit entry to the log, if there is a newer one than last time.
// [Service.Run] does it once a minute.
func (s *Service) Anchor(ctx context.Context) error {
	s.anchored.mu.Lock()
	defer s.anchored.mu.Unlock()
	a, err := s.anchor(ctx)
	if err != nil || a.ID == s.anchored.id {
		return err
	}
	s.anchored.id = a.ID
	s.log.Info("The newest audit entry.", "id", a.ID, "anchor", a.String())
	return nil
}
