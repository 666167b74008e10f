package latchward

import (
	"net/netip"
	"time"
)

func (s *Service) audit(tx Tx, p Principal, action string, t *Token, before map[string]any, now time.Time) error {
	entry := &AuditEntry{
		At: now, Actor: p, Action: action, TargetType: "token", TargetID: int64(t.ID), TargetName: t.Name,
		After: auditFacts(t),
	}
	if before != nil {
		entry.Before, entry.After = changes(before, entry.After)
	}
	return tx.AppendAudit(entry)
}

// auditFacts are the members of a token that the audit log tells about. The display prefix stands for the secret.
func auditFacts(t *Token) map[string]any {
	facts := map[string]any{
		"name": t.Name, "description": t.Description, "kind": string(t.Kind), "owner": t.Owner.String(),
		"active": t.Active, "inactive_reason": string(t.InactiveReason), "rate_limit": t.RateLimit,
		"allowed_endpoints": t.AllowedEndpoints, "allowed_networks": networkTexts(t.AllowedNetworks),
		"permissions": t.Permissions, "roles": t.Roles, "groups": t.Groups, "licenses": t.Licenses,
		"expires_at": auditTime(t.ExpiresAt), "not_before": auditTime(t.NotBefore),
		"idle_timeout_days": t.IdleTimeoutDays, "tags": t.Tags, "metadata": t.Metadata, "token_prefix": t.Prefix,
		"retiring_until": auditTime(t.Retiring.EndsAt), "reuse": string(orDefault(t.Reuse, ReuseAlert)),
		"rotated_at": auditTime(t.RotatedAt), "rotation_due_at": auditTime(t.RotationDueAt),
		"rotation_required": t.RotationRequired, "created_by": t.CreatedBy,
		"revoked_at": auditTime(t.RevokedAt), "revoke_reason": string(t.RevokeReason), "revoke_note": t.RevokeNote,
	}
	if t.Imported != "" {
		facts["imported"] = t.Imported
	}
	return facts
}

func networkTexts(networks []netip.Prefix) []string {
	texts := make([]string, len(networks))
	for i, network := range networks {
		texts[i] = network.String()
	}
	return texts
}

func auditTime(at time.Time) any {
	if at.IsZero() {
		return nil
	}
	return at.Format(time.RFC3339Nano)
}
