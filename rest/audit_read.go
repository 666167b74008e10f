package rest

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"

	"github.com/latchward/latchward"
)

// exportedEntry is a line of an export as NDJSON: an entry with what proves it.
type exportedEntry struct {
	AuditEntry
	Proof exportedProof `json:"proof"`
}

// exportedProof is [latchward.AuditProof] without the hash. The keys are null for what was erased.
type exportedProof struct {
	ActorKey     []byte `json:"actor_key"`
	ActorDigest  []byte `json:"actor_digest"`
	TargetKey    []byte `json:"target_key"`
	TargetDigest []byte `json:"target_digest"`
	KeyVersion   int    `json:"key_version"`
	Seal         []byte `json:"seal"`
}

func exportedEntryOf(e *latchward.AuditEntry) exportedEntry {
	p := &e.Proof
	return exportedEntry{auditEntryOf(e), exportedProof{
		p.ActorKey, p.ActorDigest, p.TargetKey, p.TargetDigest, p.KeyVersion, p.Seal,
	}}
}

// maxExportLine bounds a line of an export, in bytes: above every entry.
const maxExportLine = 1 << 20

// ReadAuditExport reads the entries of an export as NDJSON, one at a time. The error, of code invalid, names the line and
// repeats nothing of it; it is the last of the sequence.
func ReadAuditExport(from io.Reader) iter.Seq2[*latchward.AuditEntry, error] {
	return func(yield func(*latchward.AuditEntry, error) bool) {
		lines := bufio.NewScanner(from)
		lines.Buffer(nil, maxExportLine)
		number := 0
		for lines.Scan() {
			number++
			if len(bytes.TrimSpace(lines.Bytes())) == 0 {
				continue
			}
			e, err := readExported(lines.Bytes())
			if err != nil {
				err = latchward.Invalid("audit_export", "line %d is not an entry of an export as ndjson that a Latchward of "+
					"this version wrote: %v", number, err)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(nil, latchward.Invalid("audit_export", "line %d cannot be read: %v", number+1, err))
		}
	}
}

func readExported(line []byte) (*latchward.AuditEntry, error) {
	var wire exportedEntry
	if err := json.Unmarshal(line, &wire); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, fmt.Errorf("it is no JSON at byte %d", syntax.Offset)
		}
		return nil, errors.New("its members are others")
	}
	hash, err := hex.DecodeString(wire.Hash)
	if err != nil || len(hash) == 0 || len(wire.Proof.ActorDigest) == 0 {
		return nil, errors.New("it has no proof")
	}
	a, p := &wire.Actor, &wire.Proof
	e := &latchward.AuditEntry{
		ID: wire.ID, At: wire.At.UTC(), Outcome: wire.Outcome, Action: wire.Action, Before: wire.Before, After: wire.After,
		TargetType: wire.Target.Type, TargetID: wire.Target.ID, TargetName: wire.Target.Name,
		Actor: latchward.Principal{Type: a.Type, ID: a.ID, Name: a.Name, Origin: latchward.Origin{
			UserAgent: textOf(a.UserAgent), RequestID: textOf(a.RequestID),
		}},
		Proof: latchward.AuditProof{
			ActorKey: p.ActorKey, ActorDigest: p.ActorDigest, TargetKey: p.TargetKey, TargetDigest: p.TargetDigest,
			KeyVersion: p.KeyVersion, Seal: p.Seal, Hash: hash,
		},
	}
	if a.Address != nil {
		if e.Actor.Origin.Address, err = netip.ParseAddr(*a.Address); err != nil {
			return nil, errors.New("its address is none")
		}
	}
	return e, nil
}

func textOf(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
