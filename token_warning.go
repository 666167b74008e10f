package latchward

import "time"

// TokenWarning says what will become of a token if nobody does anything (S3-16, B-14).
type TokenWarning string

// The warnings. Each begins when five sixths of the time are over: on day 25 of an idle timeout of 30 days.
const (
	WarnIdleSoon        TokenWarning = "idle_soon"        // it goes idle if it stays unused
	WarnExpiresSoon     TokenWarning = "expires_soon"     // 30 days ahead at the earliest
	WarnRotationDue     TokenWarning = "rotation_due"     // its policy wants its secret replaced soon
	WarnRotationOverdue TokenWarning = "rotation_overdue" // and that should have happened by now
)

// maxWarning is how long before a token expires it is warned of that at the earliest.
const maxWarning = 30 * 24 * time.Hour

// warned reports whether now lies in the last sixth of the time from since to end, or behind it.
func warned(since, end, now time.Time) bool {
	return !end.IsZero() && !now.Before(end.Add(-end.Sub(since)/6))
}

// Warnings returns what there is to warn of at now, in a fixed order. Who is inactive, expired or revoked needs none,
// but that its secret should be replaced.
func (t *Token) Warnings(now time.Time) []TokenWarning {
	var list []TokenWarning
	status := t.Status(now)
	if status == StatusRevoked {
		return nil
	}
	if status == StatusActive && warned(t.IdleSince(), t.IdleAt(), now) {
		list = append(list, WarnIdleSoon)
	}
	if status == StatusActive && warned(t.CreatedAt, t.ExpiresAt, now) && t.ExpiresAt.Sub(now) <= maxWarning {
		list = append(list, WarnExpiresSoon)
	}
	switch {
	case t.rotationOverdue(now):
		list = append(list, WarnRotationOverdue)
	case warned(t.SecretSince(), t.RotationDueAt, now):
		list = append(list, WarnRotationDue)
	}
	return list
}
